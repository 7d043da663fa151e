//! Who looks at a page, in which language and theme, and what stands around it.

use axum::extract::FromRequestParts;
use axum::http::header::{HOST, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

use crate::admin::audit;
use crate::admin::auth::Client;
use crate::admin::caller::{Caller, Via};
use crate::admin::pages::front::Front;
use crate::admin::peer::Origin;
use crate::admin::speech::{self, cookie};
use crate::admin::{AdminState, ConfigStatus};
use crate::clock;
use crate::domain::service::Theme;
use crate::domain::words::Role;
use crate::html::Language;
use crate::html::dashboard::{Banner, Frame, Notice, Person, Place, encode};
use crate::store::StoreHealth;
use crate::supervisor::catalog::By;

pub(super) const THEME: &str = "wakedock_theme";
const OFFSET: &str = "wakedock_tz";

/// What became of a click: a text `said.KEY`, and whether it is bad news.
const SAID: &[(&str, bool)] = &[
    ("wake", false),
    ("stop", false),
    ("restart", false),
    ("keep-awake", false),
    ("wake-kept", false),
    ("let-sleep", false),
    ("saved", false),
    ("made", false),
    ("deleted", false),
    ("user-made", false),
    ("user-saved", false),
    ("user-deleted", false),
    ("token-revoked", false),
    ("password", false),
    ("session-ended", false),
    ("settings", false),
    ("failed", true),
    ("engine", true),
];

/// One request for a page.
#[derive(Debug, Clone)]
pub(in crate::admin) struct Visit {
    pub(super) state: AdminState,
    pub(super) caller: Option<Caller>,
    pub(super) client: Client,
    /// The browser came by TLS.
    pub(super) secure: bool,
    pub(super) language: Language,
    /// The one that was chosen; `None`: the browser's.
    pub(super) chosen: Option<Language>,
    theme: Theme,
    pub(super) offset: i32,
    pub(super) query: Vec<(String, String)>,
    path: String,
    /// The dashboard was reached through what is in front of the services too: the port asked for.
    through: Option<Option<u16>>,
}

impl FromRequestParts<AdminState> for Visit {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Self::Rejection> {
        Ok(Self::new(parts, state))
    }
}

impl Visit {
    pub(in crate::admin) fn new(parts: &Parts, state: &AdminState) -> Self {
        let origin = parts.extensions.get::<Origin>();
        let chosen = speech::chosen(&parts.headers);
        let offset = cookie(&parts.headers, OFFSET).and_then(|offset| offset.parse().ok()).unwrap_or(0);
        Self {
            state: state.clone(),
            caller: parts.extensions.get::<Caller>().cloned(),
            client: Client {
                address: origin.and_then(|origin| origin.address),
                agent: text(&parts.headers, USER_AGENT).to_owned(),
            },
            secure: origin.is_some_and(|origin| origin.secure),
            language: chosen.unwrap_or_else(|| Language::accepted(&parts.headers)),
            chosen,
            theme: theme(cookie(&parts.headers, THEME).unwrap_or_default()),
            // No place on Earth is further from Greenwich.
            offset: if (-57_600..=57_600).contains(&offset) { offset } else { 0 },
            query: pairs_of(parts.uri.query().unwrap_or_default()),
            path: parts.uri.path().to_owned(),
            through: origin.and_then(|origin| through(origin, text(&parts.headers, HOST))),
        }
    }

    /// What stands in front of the services.
    pub(super) fn front(&self) -> Front {
        Front::of(&self.state.running.load().settings().caddy, self.state.proxy_address, self.through)
    }

    /// The value of a key in the query.
    pub(super) fn asked(&self, key: &str) -> &str {
        self.query.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub(super) fn role(&self) -> Role {
        self.caller.as_ref().map_or(Role::Viewer, |caller| caller.role)
    }

    /// The name of whoever acts.
    pub(super) fn name(&self) -> &str {
        self.caller.as_ref().map_or("", |caller| &caller.name)
    }

    /// Whoever acts, for a change of a service.
    pub(super) fn by(&self) -> By {
        // Nobody comes to such a page without being somebody.
        self.caller.as_ref().map_or_else(|| By::from(""), audit::service_by)
    }

    /// What stands around the page.
    pub(in crate::admin) fn frame(&self, place: Place) -> Frame {
        let csrf = self.caller.as_ref().and_then(|caller| self.state.auth.csrf_token(caller));
        Frame {
            language: self.language,
            theme: self.theme,
            person: self.caller.as_ref().map(|caller| Person {
                name: caller.name.to_string(),
                role: caller.role,
                leaves: matches!(caller.via, Via::Session { .. }),
            }),
            csrf: csrf.unwrap_or_default(),
            back: self.back(),
            place,
            banners: if self.caller.is_some() { banners(&self.state, self.role()) } else { Vec::new() },
            notice: self.notice(),
            newest: self.state.fleet.journal().newest(),
            now: clock::wall().as_millis(),
            offset: self.offset,
        }
    }

    /// This page, without what was said on it.
    fn back(&self) -> String {
        let pairs = self.query.iter().filter(|(key, _)| key != "said" && key != "of" && key != "token");
        let pairs: Vec<String> =
            pairs.map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
        if pairs.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, pairs.join("&")) }
    }

    fn notice(&self) -> Option<Notice> {
        let (key, bad) = SAID.iter().find(|(key, _)| *key == self.asked("said"))?;
        Some(Notice { bad: *bad, key, subject: self.asked("of").chars().take(80).collect(), detail: None })
    }
}

/// The port that a browser asked at, where the request came by the data plane, or by a proxy in front
/// that says so. By the admin listener itself: `None`.
fn through(origin: &Origin, host: &str) -> Option<Option<u16>> {
    let by_the_proxy = origin.believed && (origin.proxy.is_none() || origin.host.is_some());
    let host = origin.host.as_deref().unwrap_or(host);
    let port = || host.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    by_the_proxy.then(port)
}

/// What is away at the moment, and what still works.
fn banners(state: &AdminState, role: Role) -> Vec<Banner> {
    let plain = |kind| Banner { kind, since: None, detail: None };
    let mut banners = Vec::new();
    {
        let engine = state.fleet.engine_status();
        let engine = engine.borrow();
        if !engine.connected {
            banners.push(Banner { since: Some(engine.since.as_millis()), ..plain("docker") });
        }
    }
    {
        let publish = state.publish.borrow();
        if !publish.is_fine() {
            banners.push(Banner { detail: publish.message.clone(), ..plain("caddy") });
        }
    }
    if let StoreHealth::ReadOnly { since, .. } = state.store.health() {
        banners.push(Banner { since: Some(since.as_millis()), ..plain("store") });
    }
    match *state.config.borrow() {
        ConfigStatus::Current => {}
        ConfigStatus::Stale => banners.push(Banner { detail: refused_edit(state, role), ..plain("config") }),
        ConfigStatus::WaitsForRestart => banners.push(plain("restart")),
    }
    banners
}

/// What is wrong with the last edit of the file, for whoever may see the file.
fn refused_edit(state: &AdminState, role: Role) -> Option<String> {
    let running = state.running.load();
    let problems = &running.last_refused().filter(|_| role == Role::Admin)?.problems;
    let lines = problems
        .iter()
        .take(5)
        .map(|problem| format!("{} {}: {}", problem.key, problem.reason, problem.mend));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

pub(super) fn theme(word: &str) -> Theme {
    match word {
        "light" => Theme::Light,
        "dark" => Theme::Dark,
        _ => Theme::Auto,
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The pairs of a query or a form, in their order; a key may stand there more than once.
pub(super) fn pairs_of(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let hex = |digit: Option<&u8>| digit.and_then(|digit| char::from(*digit).to_digit(16));
        match (first, hex(after.first()), hex(after.get(1))) {
            (b'+', ..) => bytes.push(b' '),
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest = after.get(2..).unwrap_or_default();
            }
            (other, ..) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dashboard_came_through() {
        let origin = |believed, proxy: Option<&str>, host: Option<&str>| Origin {
            address: None,
            secure: false,
            host: host.map(ToOwned::to_owned),
            proxy: proxy.map(|proxy| proxy.parse().unwrap()),
            believed,
        };
        assert_eq!(through(&origin(true, Some("127.0.0.1"), None), "localhost:7081"), None, "directly");
        assert_eq!(through(&origin(false, Some("192.0.2.1"), None), "dash.example"), None);
        assert_eq!(through(&origin(true, None, None), "dash.localhost:7080"), Some(Some(7080)));
        assert_eq!(through(&origin(true, None, None), "dash.example"), Some(None));
        assert_eq!(
            through(&origin(true, Some("127.0.0.1"), Some("dash.example:8443")), "127.0.0.1:7081"),
            Some(Some(8443))
        );
    }

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let own = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(pairs_of(""), []);
        assert_eq!(
            pairs_of("a=1+2&b=%C3%A9%26&c&d=%&e=%zz&a="),
            [own("a", "1 2"), own("b", "é&"), own("c", ""), own("d", "%"), own("e", "%zz"), own("a", "")]
        );
    }
}
