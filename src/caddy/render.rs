//! The Caddyfile, from a template.
//!
//! minijinja escapes nothing in a Caddyfile, and a host name with a brace or a line break in it
//! would add directives. So the environment's formatter refuses anything but one bare token. The
//! operator's own text, which is configuration already, is the only exception, and is marked in
//! one place.

use std::borrow::Cow;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, context,
};

use crate::caddy::extra::{Extra, GlobalOption, OwnSite};
use crate::caddy::features::Features;
use crate::caddy::lexer::{is_bare_token, is_token_char};
use crate::caddy::sites::Sites;
use crate::config::{CaddyAddress, CaddyConfig, CaddyTls, Listen};
use crate::domain::host::HostPattern;

const TEMPLATES: [(&str, &str); 3] = [
    ("Caddyfile.j2", include_str!("../../templates/caddy/Caddyfile.j2")),
    ("import.j2", include_str!("../../templates/caddy/import.j2")),
    ("sites.j2", include_str!("../../templates/caddy/sites.j2")),
];

/// How long Caddy lets running requests finish when its configuration changes. Its own default is
/// for ever.
const GRACE_PERIOD: &str = "10s";

/// A value that does not belong in a Caddyfile.
#[derive(Debug, thiserror::Error)]
#[error("the Caddyfile was not written")]
pub struct RenderError(#[from] Error);

impl RenderError {
    /// What stands in the way, for the operator.
    #[must_use]
    pub fn reason(&self) -> String {
        // A value inside an included template is the last cause of the error.
        let mut deepest: &dyn std::error::Error = &self.0;
        while let Some(cause) = deepest.source() {
            deepest = cause;
        }
        let detail = deepest.downcast_ref::<Error>().and_then(Error::detail);
        detail.map_or_else(|| deepest.to_string(), ToOwned::to_owned)
    }
}

/// A Caddyfile, and what the operator should know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    /// Options of the operator's that WakeDock's own take the place of, and sites of theirs that take
    /// the place of a service's.
    pub notes: Vec<String>,
}

/// The whole Caddyfile of mode `managed`.
///
/// # Errors
/// [`RenderError`] where a value is not a bare token.
pub fn caddyfile(
    sites: &Sites,
    config: &CaddyConfig,
    features: Features,
    extra: &Extra,
) -> Result<Rendered, RenderError> {
    let asks = config.tls != CaddyTls::Off;
    let has = |name: &str| extra.options.iter().any(|option| option.name == name);
    let mut notes = Vec::new();
    let mut sites = Cow::Borrowed(sites);
    leave_own_sites(&mut sites, config, extra, &mut notes);
    let sites = &*sites;
    let mut options = Vec::new();
    for option in &extra.options {
        match ours_instead(&option.name, asks) {
            Some(reason) => {
                notes.push(format!("{}: option `{}` {reason}", option.file.display(), option.name));
            }
            None => options.push(own_option(option)),
        }
    }
    let inlined: Vec<Value> = extra
        .inlined
        .iter()
        .map(|(file, text)| context! { name => comment(file), text => Value::from_safe_string(text.clone()) })
        .collect();
    let imports: Vec<String> = extra.imports.iter().map(|path| path.display().to_string()).collect();
    let text = environment()?.get_template("Caddyfile.j2")?.render(context! {
        admin => admin_address(&config.admin),
        http_port => config.http_port,
        https_port => config.https_port,
        grace_period => (!has("grace_period")).then_some(GRACE_PERIOD),
        ask => asks.then(|| ask_url(sites)),
        // Without TLS there is no negotiation: gRPC comes by prior knowledge or not at all.
        h2c_port => (!asks && !has("servers") && !sites.hosts.is_empty()).then_some(config.http_port),
        options,
        imports,
        inlined,
        ..site_values(sites, config, features),
    })?;
    Ok(Rendered { text, notes })
}

/// Leaves out the hosts that the operator has sites for: Caddy takes no two of one address, and
/// would refuse the routes of all services for it.
fn leave_own_sites(sites: &mut Cow<'_, Sites>, config: &CaddyConfig, extra: &Extra, notes: &mut Vec<String>) {
    let is_plain = config.tls == CaddyTls::Off;
    let is_there = |own: &OwnSite| {
        let http = own.scheme.as_deref() == Some("http") || own.port == Some(config.http_port);
        let usual = if is_plain { config.http_port } else { config.https_port };
        http == is_plain && own.port.is_none_or(|port| port == usual)
    };
    for own in extra.sites.iter().filter(|own| is_there(own)) {
        let Some(host) = sites.hosts.iter().find(|host| host.to_string() == own.host).cloned() else {
            continue;
        };
        notes.push(format!(
            "{}: `{host}` is a site of yours, so that none is published for the service that asks for it",
            own.file.display()
        ));
        sites.to_mut().hosts.remove(&host);
    }
}

/// The file of mode `file`: the sites alone, to be imported.
///
/// # Errors
/// [`RenderError`] where a value is not a bare token.
pub fn import_file(sites: &Sites, config: &CaddyConfig) -> Result<String, RenderError> {
    let asks = config.tls != CaddyTls::Off;
    Ok(environment()?.get_template("import.j2")?.render(context! {
        file => comment(&config.file),
        ask => asks.then(|| ask_url(sites)),
        ..site_values(sites, config, Features::default()),
    })?)
}

fn site_values(sites: &Sites, config: &CaddyConfig, features: Features) -> Value {
    let (h2c, http1) = match &sites.own.proxy {
        Listen::Unix(path) => (format!("unix+h2c/{}", path.display()), format!("unix/{}", path.display())),
        Listen::Tcp(address) => (format!("h2c://{address}"), address.to_string()),
    };
    context! {
        groups => groups(sites, config.tls),
        dashboard => dashboard(sites, config.tls),
        upstream => context! { h2c, http1 },
        stream_close_delay => features.stream_close_delay,
    }
}

/// One block for all hosts that are treated alike: for Caddy a thousand hosts in one matcher are
/// cheap, a thousand blocks are not.
fn groups(sites: &Sites, tls: CaddyTls) -> Vec<Value> {
    // A client says no name when it asks for an address, and nobody issues a public certificate
    // for one: those get theirs from Caddy's own authority, and at once.
    let (addresses, names): (Vec<_>, Vec<_>) =
        sites.hosts.iter().partition(|host| matches!(host, HostPattern::Exact(host) if host.is_address()));
    let groups = match tls {
        CaddyTls::Off => vec![("http", "off", sites.hosts.iter().collect())],
        CaddyTls::Auto => vec![("https", "on_demand", names), ("https", "internal", addresses)],
        CaddyTls::Internal => vec![("https", "internal_on_demand", names), ("https", "internal", addresses)],
    };
    groups
        .into_iter()
        .filter(|(_, _, hosts)| !hosts.is_empty())
        .map(|(scheme, tls, hosts)| {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            context! { scheme, tls, hosts }
        })
        .collect()
}

/// The dashboard's own site. Nobody has to ask whether it is known: Caddy may get its certificate at
/// once.
fn dashboard(sites: &Sites, tls: CaddyTls) -> Option<Value> {
    let host = sites.dashboard.as_ref()?;
    let (scheme, tls) = match tls {
        CaddyTls::Off => ("http", "off"),
        CaddyTls::Auto if !host.is_address() => ("https", "public"),
        CaddyTls::Auto | CaddyTls::Internal => ("https", "internal"),
    };
    Some(context! { scheme, tls, host => host.as_str(), upstream => sites.own.admin.to_string() })
}

/// Why an option of the operator's is left out, where it is.
fn ours_instead(option: &str, asks: bool) -> Option<&'static str> {
    match option {
        "admin" => Some("is left out: the admin endpoint stays where WakeDock reaches it"),
        "http_port" => Some("is left out: set `caddy.http_port` instead"),
        "https_port" => Some("is left out: set `caddy.https_port` instead"),
        "on_demand_tls" if asks => Some("is left out: Caddy asks WakeDock which hosts are known"),
        _ => None,
    }
}

fn own_option(option: &GlobalOption) -> Value {
    context! { file => comment(&option.file), text => Value::from_safe_string(option.text.clone()) }
}

/// A path as it may stand in a comment.
fn comment(path: &std::path::Path) -> String {
    path.display().to_string().replace(|c| !is_token_char(c), "_")
}

fn admin_address(address: &CaddyAddress) -> String {
    match address {
        CaddyAddress::Tcp(address) => address.clone(),
        CaddyAddress::Unix(path) => format!("unix/{}", path.display()),
    }
}

fn ask_url(sites: &Sites) -> String {
    format!("http://{}/caddy/ask", sites.own.admin)
}

fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("caddyfile".into()));
    environment.set_formatter(bare_token);
    environment.set_syntax(
        SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?,
    );
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

/// Writes one bare token, or the operator's own text.
fn bare_token(out: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    let refuse = |what: String| Err(Error::new(ErrorKind::BadEscape, what));
    match value.kind() {
        ValueKind::Number => write(out, &value.to_string()),
        ValueKind::String => match value.as_str() {
            Some(text) if value.is_safe() || is_bare_token(text) => write(out, text),
            Some(text) => refuse(format!("{text:?} cannot be written as one word of a Caddyfile")),
            None => refuse("a text that is not UTF-8".to_owned()),
        },
        kind => refuse(format!("a value of kind {kind} in the place of a word")),
    }
}

fn write(out: &mut Output, text: &str) -> Result<(), Error> {
    out.write_str(text).map_err(|_| Error::from(ErrorKind::WriteFailure))
}
