//! What every page has around it.

use serde::Serialize;

use crate::domain::service::Theme;
use crate::domain::words::Role;
use crate::html::Language;

/// Everything about a page that is not its own.
#[derive(Debug, Clone)]
pub struct Frame {
    pub language: Language,
    pub theme: Theme,
    /// Who reads; `None`: nobody is logged in.
    pub person: Option<Person>,
    /// What forms send along against forged requests.
    pub csrf: String,
    /// This page's own path and query: where actions come back to.
    pub back: String,
    pub place: Place,
    pub banners: Vec<Banner>,
    pub notice: Option<Notice>,
    /// The newest event that the page knows of.
    pub newest: u64,
    /// Now, in milliseconds since the epoch.
    pub now: i64,
    /// By how many seconds the reader's clock is ahead of UTC.
    pub offset: i32,
}

/// Who reads a page.
#[derive(Debug, Clone)]
pub struct Person {
    pub name: String,
    pub role: Role,
    /// Whether there is a session that logging out ends.
    pub leaves: bool,
}

/// Where a page stands in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Services,
    Activity,
    Caddy,
    Settings,
    Users,
    Tokens,
    Audit,
    Account,
    Elsewhere,
}

/// Something is away, and what still works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Banner {
    /// `docker`, `caddy`, `store`, `config`, `restart`.
    pub kind: &'static str,
    /// Milliseconds since the epoch.
    pub since: Option<i64>,
    pub detail: Option<String>,
}

/// What became of a click.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    pub bad: bool,
    /// A text `said.KEY`.
    pub key: &'static str,
    pub subject: String,
    pub detail: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Context<'a> {
    theme: &'static str,
    next_theme: &'static str,
    user: Option<User<'a>>,
    csrf: &'a str,
    back: &'a str,
    place: &'static str,
    subplace: Option<&'static str>,
    nav: Vec<Entry>,
    subnav: Vec<Entry>,
    banners: &'a [Banner],
    notice: Option<&'a Notice>,
    version: &'static str,
    newest: u64,
}

#[derive(Serialize)]
struct User<'a> {
    name: &'a str,
    role: &'static str,
    leaves: bool,
    acts: bool,
    admin: bool,
}

#[derive(Serialize)]
struct Entry {
    key: &'static str,
    href: &'static str,
}

const fn entry(key: &'static str, href: &'static str) -> Entry {
    Entry { key, href }
}

impl Frame {
    pub(super) fn context(&self) -> Context<'_> {
        let role = self.person.as_ref().map(|person| person.role);
        let admin = role == Some(Role::Admin);
        let mut nav = vec![entry("services", "/"), entry("activity", "/activity"), entry("caddy", "/caddy")];
        if admin {
            nav.push(entry("settings", "/settings"));
        }
        let (place, subplace) = match self.place {
            Place::Services => ("services", None),
            Place::Activity => ("activity", None),
            Place::Caddy => ("caddy", None),
            Place::Settings => ("settings", Some("general")),
            Place::Users => ("settings", Some("users")),
            // Everybody has tokens; the settings around them are for admins.
            Place::Tokens if !admin => ("account", None),
            Place::Tokens => ("settings", Some("tokens")),
            Place::Audit => ("settings", Some("audit")),
            Place::Account => ("account", None),
            Place::Elsewhere => ("", None),
        };
        let subnav = if subplace.is_some() {
            vec![
                entry("general", "/settings"),
                entry("users", "/users"),
                entry("tokens", "/tokens"),
                entry("audit", "/audit"),
            ]
        } else {
            Vec::new()
        };
        let (theme, next_theme) = match self.theme {
            Theme::Auto => ("auto", "light"),
            Theme::Light => ("light", "dark"),
            Theme::Dark => ("dark", "auto"),
        };
        Context {
            theme,
            next_theme,
            user: self.person.as_ref().map(|person| User {
                name: &person.name,
                role: person.role.as_str(),
                leaves: person.leaves,
                acts: person.role >= Role::User,
                admin,
            }),
            csrf: &self.csrf,
            back: &self.back,
            place,
            subplace,
            nav,
            subnav,
            banners: &self.banners,
            notice: self.notice.as_ref(),
            version: env!("CARGO_PKG_VERSION"),
            newest: self.newest,
        }
    }
}
