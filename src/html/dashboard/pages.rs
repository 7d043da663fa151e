//! The other pages: routes and Caddy, activity, people and their keys, settings, and the doors.
//! Times are milliseconds since the epoch.

use serde::Serialize;

use crate::domain::words::{Phase, Role};
use crate::html::dashboard::service::Field;
use crate::html::dashboard::{Frame, render};
use crate::html::{Language, RenderError};

/// A function that renders a view by its template.
macro_rules! pages {
    ($($name:ident: $view:ty => $template:literal),+ $(,)?) => {
        $(
            /// Renders the page.
            ///
            /// # Errors
            /// [`RenderError`] says which template is broken.
            pub fn $name(frame: &Frame, view: &$view) -> Result<String, RenderError> {
                render(concat!("dashboard/", $template, ".html"), frame, view)
            }
        )+
    };
}

pages! {
    caddy: Caddy => "caddy",
    activity: Activity => "activity",
    users: Users => "users",
    user: OneUser => "user",
    tokens: Tokens => "tokens",
    audit: Audit => "audit",
    settings: Settings => "settings",
    login: Login => "login",
    setup: Setup => "setup",
    account: Account => "account",
    error: ErrorPage => "error",
}

/// What is published, and what Caddy says to it.
#[derive(Debug, Clone, Serialize)]
pub struct Caddy {
    /// `published`, `unchanged`, `rejected`, `unreachable`, `waiting` or `off`.
    pub verdict: &'static str,
    /// The sign beside it: that of a phase.
    pub sign: &'static str,
    pub since: Option<i64>,
    /// `managed`, `file` or `off`.
    pub mode: &'static str,
    /// The admin API or the file.
    pub target: String,
    /// Caddy's own words.
    pub message: Option<String>,
    pub routes: Vec<Route>,
    pub caddyfile: Option<String>,
    /// What Caddy says to the Caddyfile as it would be published now: `accepted`, `refused`, or
    /// `unknown`. Empty: it was not asked.
    pub opinion: &'static str,
    /// Why it refuses it, in its own words.
    pub objection: Option<String>,
    /// Options in the operator's files that WakeDock's own take the place of.
    pub notes: Vec<String>,
}

/// A way from a host to a service.
#[derive(Debug, Clone, Serialize)]
pub struct Route {
    pub host: String,
    /// Empty: everything at the host.
    pub path: String,
    /// `None` for a wildcard.
    pub href: Option<String>,
    pub service: String,
    pub container: String,
    phase: &'static str,
}

impl Route {
    #[must_use]
    pub fn new(
        host: &str,
        path: &str,
        href: Option<String>,
        service: &str,
        container: &str,
        phase: Phase,
    ) -> Self {
        let own = str::to_owned;
        let (host, path) = (own(host), own(path));
        Self { host, path, href, service: own(service), container: own(container), phase: phase.as_str() }
    }
}

/// What happened, the newest first.
#[derive(Debug, Clone, Serialize)]
pub struct Activity {
    pub events: Vec<Event>,
    /// Of this service alone.
    pub service: Option<String>,
    pub only_problems: bool,
    /// Where the older ones are.
    pub next: Option<String>,
}

/// Something that happened.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Event {
    pub id: u64,
    pub at: i64,
    pub service: Option<String>,
    /// A text `event.KIND`, where it is no change of phase.
    pub kind: String,
    pub phase: Option<&'static str>,
    /// Of a wake.
    pub cause: Option<&'static str>,
    /// The cause of a stop.
    pub stop: Option<&'static str>,
    /// Who asked for it, and by what.
    pub by: Option<String>,
    /// Milliseconds, and the engine's part of them.
    pub took: Option<i64>,
    pub engine: Option<i64>,
    pub until: Option<i64>,
    pub detail: Option<String>,
    /// Somebody has to do something about it.
    pub bad: bool,
}

/// Everybody who may log in.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Users {
    pub users: Vec<User>,
    pub wrong: Option<String>,
    /// What was typed.
    pub username: String,
}

/// Somebody who may log in.
#[derive(Debug, Clone, Serialize)]
pub struct User {
    pub name: String,
    role: &'static str,
    pub disabled: bool,
    pub made_at: i64,
    pub seen_at: Option<i64>,
}

impl User {
    #[must_use]
    pub const fn new(name: String, role: Role, disabled: bool, made_at: i64, seen_at: Option<i64>) -> Self {
        Self { name, role: role.as_str(), disabled, made_at, seen_at }
    }
}

/// One user.
#[derive(Debug, Clone, Serialize)]
pub struct OneUser {
    pub user: User,
    pub wrong: Option<String>,
}

/// The keys of programs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tokens {
    pub tokens: Vec<Token>,
    /// One that was made just now: shown this once.
    pub fresh: Option<Fresh>,
    /// Those that the reader may give away.
    pub roles: Vec<&'static str>,
    /// How long a token may live.
    pub lives: &'static [&'static str],
    pub wrong: Option<String>,
}

/// The key of a program.
#[derive(Debug, Clone, Serialize)]
pub struct Token {
    pub id: String,
    pub name: String,
    pub role: &'static str,
    pub owner: String,
    pub used_at: Option<i64>,
    pub expires_at: Option<i64>,
    pub expired: bool,
}

/// A token and its secret.
#[derive(Debug, Clone, Serialize)]
pub struct Fresh {
    pub name: String,
    pub token: String,
}

/// Who did what.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Audit {
    pub entries: Vec<Deed>,
    /// Where the older ones are.
    pub next: Option<String>,
}

/// Something that somebody did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Deed {
    pub at: i64,
    pub who: String,
    pub via: String,
    pub address: Option<String>,
    pub action: String,
    pub subject: String,
    /// What it changed, each with what was and what is.
    pub changes: Vec<String>,
}

/// What can be set, and what WakeDock says of itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Settings {
    pub fields: Vec<Field>,
    pub revision: String,
    pub wrong: Option<String>,
    pub facts: Vec<Fact>,
    pub running: Running,
}

/// The configuration outside the services, as it runs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Running {
    /// `None`: there is no file.
    pub file: Option<String>,
    /// When it was read and applied.
    pub at: i64,
    pub refused: Option<RefusedEdit>,
    pub values: Vec<Value>,
}

/// The last edit of the file, where it was refused.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RefusedEdit {
    pub at: i64,
    pub problems: Vec<ConfigProblem>,
}

/// What is wrong with a value in the file.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ConfigProblem {
    pub key: String,
    pub value: Option<String>,
    pub reason: String,
    pub mend: String,
    pub place: Option<String>,
}

/// A key, its value, and where it was written.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Value {
    pub key: &'static str,
    /// As in YAML; `None`: not set, or hidden.
    pub value: Option<String>,
    pub hidden: bool,
    /// `file`, `environment` or `default`.
    pub origin: &'static str,
    /// A line of the file, or the name of a variable.
    pub place: Option<String>,
    pub waits: bool,
}

/// A fact about this WakeDock: a text, a time or a size.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Fact {
    /// A text `fact.KEY`.
    pub key: &'static str,
    pub value: String,
    pub at: Option<i64>,
    pub bytes: Option<u64>,
}

/// Where people log in.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Login {
    /// Where to go then.
    pub next: String,
    pub username: String,
    pub wrong: Option<String>,
    /// Where people may log in besides.
    pub provider: Option<Provider>,
}

/// A log-in provider.
#[derive(Debug, Clone, Serialize)]
pub struct Provider {
    pub name: String,
    /// It does not answer at the moment.
    pub away: bool,
}

/// Where the first user is made.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Setup {
    /// `None`: the link is used up.
    pub token: Option<String>,
    pub username: String,
    pub wrong: Option<String>,
}

/// The reader's own account.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    pub name: String,
    role: &'static str,
    /// `false`: somebody else vouches for this person.
    pub has_password: bool,
    pub sessions: Vec<LogIn>,
    languages: Vec<Tongue>,
    pub wrong: Option<String>,
}

impl Account {
    /// `language`: the one that was chosen; `None`: as the browser says.
    #[must_use]
    pub fn new(
        name: String,
        role: Role,
        has_password: bool,
        sessions: Vec<LogIn>,
        language: Option<Language>,
    ) -> Self {
        let languages = Language::ALL.iter().map(|one| Tongue {
            code: one.code(),
            name: one.name(),
            chosen: Some(*one) == language,
        });
        Self {
            name,
            role: role.as_str(),
            has_password,
            sessions,
            languages: languages.collect(),
            wrong: None,
        }
    }
}

/// A place where somebody is logged in.
#[derive(Debug, Clone, Serialize)]
pub struct LogIn {
    pub id: String,
    pub agent: String,
    pub address: String,
    pub made_at: i64,
    pub seen_at: i64,
    /// The one of this page.
    pub this: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Tongue {
    code: &'static str,
    name: &'static str,
    chosen: bool,
}

/// There is nothing here, or nothing for this person.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorPage {
    /// `missing`, `forbidden`, `changed`, `broken`: a text `error.KIND`.
    pub kind: &'static str,
    pub detail: Option<String>,
}
