//! The page of one service, and its forms.

use serde::Serialize;

use crate::domain::words::{Origin, StopCause, WakeCause, WakeOutcome};
use crate::html::dashboard::chart::{Day, Wakes};
use crate::html::dashboard::overview::{KEEP_FOR, Link, Row};
use crate::html::dashboard::spark::Sparks;
use crate::html::dashboard::{Frame, render};
use crate::html::{RenderError, clip};

/// Bytes of log that are on the page before the script follows it.
const LOG: usize = 16 * 1024;

/// Everything about one service. Durations are milliseconds.
#[derive(Debug, Clone)]
pub struct Service {
    pub row: Row,
    pub container: String,
    /// Percent of one CPU, as shown.
    pub cpu: Option<String>,
    pub wakes_today: u64,
    /// The last days, the newest first; empty where there is no history.
    pub days: Vec<Day>,
    pub wakes: Option<Wakes>,
    pub sparks: Option<Sparks>,
    /// The newest first.
    pub sessions: Vec<Session>,
    /// The last lines; `None`: they cannot be had, because the container does not run or Docker is away.
    pub log: Option<Vec<String>>,
    pub sources: Vec<Origin>,
    pub values: Vec<Setting>,
    pub problems: Vec<Problem>,
    pub may: May,
}

/// What the reader may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct May {
    /// Wake, stop, keep awake.
    pub act: bool,
    pub edit: bool,
    /// There is something of the dashboard's or the API's to delete.
    pub remove: bool,
}

/// A period of being awake.
#[derive(Debug, Clone)]
pub struct Session {
    pub at: i64,
    pub cause: WakeCause,
    pub outcome: WakeOutcome,
    /// Method and path of the request that woke it.
    pub path: Option<String>,
    pub client: Option<String>,
    pub took: Option<i64>,
    pub engine: Option<i64>,
    /// How long it was awake in all.
    pub awake: Option<i64>,
    /// It is awake still.
    pub open: bool,
    pub stop: Option<StopCause>,
}

/// A value of its configuration, as it is written in YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub key: String,
    pub value: String,
    pub origin: Origin,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub key: String,
    pub reason: String,
    pub mend: String,
    pub origin: Origin,
}

/// Renders the page.
///
/// # Errors
/// [`RenderError`] says which template is broken.
pub fn service(frame: &Frame, view: &Service) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Context<'a> {
        row: super::overview::RowContext<'a>,
        links: &'a [Link],
        container: &'a str,
        cpu: Option<&'a str>,
        wakes_today: u64,
        days: &'a [Day],
        wakes: Option<&'a Wakes>,
        sparks: Option<&'a Sparks>,
        sessions: Vec<SessionContext<'a>>,
        log: String,
        log_waits: bool,
        sources: Vec<&'static str>,
        values: Vec<SettingContext<'a>>,
        defaults: usize,
        problems: Vec<ProblemContext<'a>>,
        may: May,
        keep_for: &'static [&'static str],
    }
    let context = Context {
        row: view.row.context(),
        links: &view.row.links,
        container: &view.container,
        cpu: view.cpu.as_deref(),
        wakes_today: view.wakes_today,
        days: &view.days,
        wakes: view.wakes.as_ref(),
        sparks: view.sparks.as_ref(),
        sessions: view.sessions.iter().map(Into::into).collect(),
        log: view.log.as_ref().map(|lines| clip::newest(lines, LOG)).unwrap_or_default(),
        log_waits: view.log.is_none(),
        sources: view.sources.iter().map(|source| source.as_str()).collect(),
        values: view.values.iter().map(Into::into).collect(),
        defaults: view.values.iter().filter(|value| value.origin == Origin::Default).count(),
        problems: view.problems.iter().map(Into::into).collect(),
        may: view.may,
        keep_for: KEEP_FOR,
    };
    render("dashboard/service.html", frame, context)
}

#[derive(Serialize)]
struct SessionContext<'a> {
    at: i64,
    cause: &'static str,
    outcome: &'static str,
    path: Option<&'a str>,
    client: Option<&'a str>,
    took: Option<i64>,
    engine: Option<i64>,
    awake: Option<i64>,
    open: bool,
    stop: Option<&'static str>,
}

impl<'a> From<&'a Session> for SessionContext<'a> {
    fn from(session: &'a Session) -> Self {
        Self {
            at: session.at,
            cause: session.cause.as_str(),
            outcome: session.outcome.as_str(),
            path: session.path.as_deref(),
            client: session.client.as_deref(),
            took: session.took,
            engine: session.engine,
            awake: session.awake,
            open: session.open,
            stop: session.stop.map(StopCause::as_str),
        }
    }
}

#[derive(Serialize)]
struct SettingContext<'a> {
    key: &'a str,
    value: &'a str,
    origin: &'static str,
}

impl<'a> From<&'a Setting> for SettingContext<'a> {
    fn from(setting: &'a Setting) -> Self {
        Self { key: &setting.key, value: &setting.value, origin: setting.origin.as_str() }
    }
}

#[derive(Serialize)]
struct ProblemContext<'a> {
    key: &'a str,
    reason: &'a str,
    mend: &'a str,
    origin: &'static str,
}

impl<'a> From<&'a Problem> for ProblemContext<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self {
            key: &problem.key,
            reason: &problem.reason,
            mend: &problem.mend,
            origin: problem.origin.as_str(),
        }
    }
}

/// A form about a service.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Form {
    pub main: Vec<Field>,
    pub more: Vec<Field>,
    /// Whether one of `more` has something to say.
    pub more_open: bool,
    /// How many mistakes there are.
    pub errors: usize,
    /// Those that belong to no field.
    pub general: Vec<General>,
}

/// What is wrong with a key that has no field.
#[derive(Debug, Clone, Default, Serialize)]
pub struct General {
    pub key: String,
    pub reason: String,
    pub mend: String,
}

/// One field: its key is the one of the configuration.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Field {
    pub key: String,
    /// Whether the languages have a name for it beside its key.
    pub label: bool,
    pub value: String,
    /// What holds where it is left empty.
    pub default: String,
    /// The words it may be; empty: any text.
    pub options: Vec<String>,
    pub required: bool,
    /// Shown and not changed.
    pub fixed: bool,
    /// Who else says this value.
    pub origin: Option<&'static str>,
    /// What somebody else saved meanwhile; empty: nothing.
    pub now: Option<String>,
    pub error: Option<Wrong>,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wrong {
    pub reason: String,
    pub mend: String,
}

/// The page on which a service is changed.
#[derive(Debug, Clone, Serialize)]
pub struct Edit {
    pub name: String,
    /// The configuration file says something about it.
    pub from_file: bool,
    /// Labels do.
    pub from_label: bool,
    pub editable: bool,
    /// Somebody else has changed it since it was opened.
    pub changed: bool,
    /// What was read, so that two people don't overwrite each other.
    pub revision: String,
    pub form: Form,
    pub labels: Option<String>,
    pub yaml: String,
}

/// Renders the page.
///
/// # Errors
/// [`RenderError`] says which template is broken.
pub fn edit(frame: &Frame, view: &Edit) -> Result<String, RenderError> {
    render("dashboard/edit.html", frame, view)
}

/// The page on which a service is made.
#[derive(Debug, Clone, Default, Serialize)]
pub struct New {
    /// What Docker has; `None`: Docker is away.
    pub containers: Option<Vec<Container>>,
    /// `None`: a container is picked first.
    pub form: Option<Form>,
    pub labels: Option<String>,
    pub yaml: String,
}

/// A container to pick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    pub name: String,
    pub image: String,
    pub ports: Vec<u16>,
    /// In Docker's own words.
    pub state: String,
    /// Which service it is already.
    pub service: Option<String>,
}

/// Renders the page.
///
/// # Errors
/// [`RenderError`] says which template is broken.
pub fn new(frame: &Frame, view: &New) -> Result<String, RenderError> {
    render("dashboard/new.html", frame, view)
}
