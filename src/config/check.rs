//! What only the whole configuration shows: names and hosts that clash, listeners on one address.

use std::collections::HashMap;

use crate::config::kind::below;
use crate::config::problem::Fault;
use crate::config::report::Report;
use crate::config::service::Draft;
use crate::config::{CaddyMode, Config, Listen};
use crate::domain::host::{HostPattern, Hostname};
use crate::domain::service::ServiceSpec;

/// Holds the settings outside `services` against each other.
pub(super) fn settings(config: &Config, report: &mut Report) {
    let listen = config.admin.listen;
    if listen.port() != 0
        && !report.has_failed(&["admin.listen", "proxy.listen"])
        && config.proxy.listen.contains(&Listen::Tcp(listen))
    {
        let fault =
            Fault::new(format!("is {listen}, where the proxy listens too"), "give one of them another port");
        report.problem("admin.listen", None, fault);
    }
    if config.caddy.http_port == config.caddy.https_port
        && !report.has_failed(&["caddy.http_port", "caddy.https_port"])
    {
        let fault = Fault::new("is the port for plain HTTP too", "give one of them another port");
        report.problem("caddy.https_port", None, fault);
    }
    oidc(config, report);
    forward_auth(config, report);
}

/// Caddy's site for `admin.host` asks no log-in proxy, and comes from an address that one may have.
fn forward_auth(config: &Config, report: &mut Report) {
    let is_ours = config.admin.host.is_some() && config.caddy.mode != CaddyMode::Off;
    let keys = ["admin.forward_auth.proxies", "admin.host", "caddy.mode"];
    if is_ours && !config.admin.forward_auth.proxies.is_empty() && !report.has_failed(&keys) {
        let reason = "is for a site that asks a log-in proxy; the one that WakeDock writes for `admin.host` \
                      asks none, and whatever its visitors say of themselves would be believed";
        let mend = "write that site yourself (`caddy.extra`), with its name in `admin.hosts`, and take \
                    `admin.host` out";
        report.problem(keys[0], None, Fault::new(reason, mend));
    }
}

fn oidc(config: &Config, report: &mut Report) {
    let oidc = &config.admin.oidc;
    let keys = ["admin.oidc.issuer", "admin.oidc.client_id"];
    for (one, other, lonely) in [
        (keys[0], keys[1], oidc.issuer.is_some() && oidc.client_id.is_none()),
        (keys[1], keys[0], oidc.client_id.is_some() && oidc.issuer.is_none()),
    ] {
        if lonely && !report.has_failed(&keys) {
            let mend =
                format!("write `{one}` too, or take `{other}` out", one = &other[6..], other = &one[6..]);
            report.problem(one, None, Fault::new("means nothing alone", mend));
        }
    }
    let roles = &oidc.roles;
    let nobody = roles.admin.is_empty() && roles.user.is_empty() && roles.viewer.is_empty();
    if oidc.is_on() && nobody && !report.has_failed(&["admin.oidc"]) {
        report.warning("admin.oidc.roles", "names no group, so that nobody can log in with OpenID Connect");
    }
}

/// Turns drafts into services, where nothing is missing and nothing clashes.
pub(super) fn services(
    drafts: Vec<Draft>,
    domain: Option<&str>,
    own: &[Hostname],
    report: &mut Report,
) -> Vec<ServiceSpec> {
    let mut seen = Seen::default();
    let mut services = Vec::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let base = format!("services[{index}]");
        let label = match &draft.name {
            Some(name) => format!("`{name}` ({base})"),
            None => base.clone(),
        };
        missing(&draft, &base, report);
        let hosts = hosts(&draft, &base, domain, report);
        let is_own = |host: &HostPattern| matches!(host, HostPattern::Exact(host) if own.contains(host));
        if let Some(host) = hosts.iter().find(|host| is_own(host)) {
            let fault = Fault::new(
                format!("has `{host}`, which is WakeDock's own (`admin.host`, `admin.hosts`)"),
                "give one of the two another host",
            );
            report.problem(&format!("{base}.hosts"), None, fault);
        }
        seen.add(&draft, &hosts, &base, &label, report);
        if let (Some(name), Some(container)) = (draft.name.clone(), draft.container.clone()) {
            services.push(draft.into_spec(name, hosts, container));
        }
    }
    services
}

fn missing(draft: &Draft, base: &str, report: &mut Report) {
    // An entry that is not even a mapping has been told so.
    if report.is_problem(base) {
        return;
    }
    // Whoever asks for one of these has been told that it is not there yet.
    let other_source =
        ["image", "compose", "swarm"].iter().any(|source| report.is_problem(&format!("{base}.{source}")));
    let mut complain = |key: &str, absent: bool, mend: &str| {
        let key = format!("{base}.{key}");
        if absent && !report.was_given(&key) {
            report.problem(&key, None, Fault::new("is missing", mend));
        }
    };
    complain("name", draft.name.is_none(), "give the service a name, like `name: cloud`");
    complain(
        "container",
        draft.container.is_none() && !other_source,
        "name the container, like `container: nextcloud-app`",
    );
}

/// The hosts as written, or NAME.domain.
fn hosts(draft: &Draft, base: &str, domain: Option<&str>, report: &mut Report) -> Vec<HostPattern> {
    let key = format!("{base}.hosts");
    if let Some(hosts) = &draft.hosts {
        return hosts.clone();
    }
    let Some(name) = draft.name.as_ref().filter(|_| !report.was_given(&key)) else { return Vec::new() };
    let Some(domain) = domain else {
        if !report.has_failed(&["domain"]) {
            let mend =
                format!("write `hosts: [{name}.example.com]`, set `domain`, or `hosts: []` for no route");
            report.problem(&key, None, Fault::new("is missing, and there is no `domain` either", mend));
        }
        return Vec::new();
    };
    match below(name, domain) {
        Ok(host) => vec![host],
        Err(error) => {
            let reason = format!("is missing, and `{name}.{domain}` {error}");
            report.problem(&key, None, Fault::new(reason, "write its hosts out"));
            Vec::new()
        }
    }
}

/// Who has what already.
#[derive(Default)]
struct Seen {
    names: HashMap<String, String>,
    routes: HashMap<(HostPattern, Option<String>), String>,
    containers: HashMap<String, String>,
}

impl Seen {
    fn add(&mut self, draft: &Draft, hosts: &[HostPattern], base: &str, label: &str, report: &mut Report) {
        if let Some(name) = &draft.name
            && let Some(first) = self.names.insert(name.to_string(), base.to_owned())
        {
            let reason = format!("is `{name}`, which is the name of {first} already");
            report.problem(
                &format!("{base}.name"),
                None,
                Fault::new(reason, "give one of the two another name"),
            );
            return;
        }
        for host in hosts {
            let route = (host.clone(), draft.path.clone());
            if let Some(first) = self.routes.get(&route) {
                let path = draft.path.as_deref().unwrap_or_default();
                let reason =
                    format!("has {host}{path}, which belongs to {first} already and cannot be {label} too");
                let mend = "take it from one of the two, or tell them apart by `path`";
                report.problem(&format!("{base}.hosts"), None, Fault::new(reason, mend));
            } else {
                self.routes.insert(route, label.to_owned());
            }
        }
        if let Some(container) = &draft.container {
            if let Some(first) = self.containers.get(container.as_str()) {
                report.warning(
                    format!("{base}.container"),
                    format!(
                        "is `{container}`, the container of {first} too: each would stop it under the other"
                    ),
                );
            } else {
                self.containers.insert(container.to_string(), label.to_owned());
            }
        }
    }
}
