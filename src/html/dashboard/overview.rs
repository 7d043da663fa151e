//! The overview: every service as a row, grouped, sorted and filtered, and the totals on top.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;

use crate::config::SourceProblem;
use crate::domain::words::{Phase, Role, StopCause, WakeCause};
use crate::html::dashboard::{Frame, encode, page, ready};
use crate::html::{RenderError, failed};

/// For how long a service may be kept awake by one click: what the API takes as `for`.
pub const KEEP_FOR: &[&str] = &["30m", "2h", "8h", "1d", "7d"];

/// One service in a list. Times are milliseconds since the epoch, durations milliseconds.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    /// A sign of the operator's own; otherwise the first letter stands for it.
    pub icon: Option<String>,
    pub group: Option<String>,
    /// Where it answers.
    pub links: Vec<Link>,
    pub phase: Phase,
    pub since: i64,
    /// The name of its container, where there is none of that name: it cannot be woken.
    pub missing: Option<String>,
    pub paused: bool,
    /// Waking, and the container runs already.
    pub probing: bool,
    pub usual: Option<i64>,
    pub failure: Option<Failure>,
    pub awake: Awake,
    /// Requests that wait.
    pub held: usize,
    pub last_wake: Option<LastWake>,
    pub last_stop: Option<StopCause>,
    pub requests: u64,
    /// Bytes, while awake.
    pub memory: Option<u64>,
    /// What is wrong with its configuration.
    pub problems: usize,
}

/// An address of a service. Opening it wakes the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    pub href: String,
    pub text: String,
}

/// Why the last wake failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub reason: String,
    pub retry_at: i64,
}

/// Why a ready service is awake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awake {
    InUse { leases: u64 },
    Idle { until: i64 },
    KeptAwake { until: i64 },
    MinAwake { until: i64 },
    Never,
    Unknown,
}

/// The last wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastWake {
    pub at: i64,
    pub cause: WakeCause,
    pub took: Option<i64>,
}

/// The figures on top. Bytes and milliseconds; `None`: not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub awake: usize,
    pub asleep: usize,
    pub memory: Option<u64>,
    pub saved: Option<u64>,
    pub wakes_today: u64,
    pub wake_p50: Option<i64>,
    pub problems: usize,
}

/// By what rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    #[default]
    Name,
    Phase,
    Wake,
    Requests,
    Memory,
}

impl Sort {
    const ALL: [Self; 5] = [Self::Name, Self::Phase, Self::Wake, Self::Requests, Self::Memory];

    /// The one that an address names; by name where it names none.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|sort| sort.as_str() == word).unwrap_or_default()
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Phase => "phase",
            Self::Wake => "wake",
            Self::Requests => "requests",
            Self::Memory => "memory",
        }
    }
}

/// The whole page.
#[derive(Debug, Clone)]
pub struct Overview {
    pub rows: Vec<Row>,
    pub totals: Totals,
    pub sort: Sort,
    /// What was typed into the filter.
    pub filter: String,
    /// What is wrong with what the sources say.
    pub troubles: Vec<Trouble>,
    /// For where there is no service yet.
    pub start: Start,
}

/// A service that failed, or something that is wrong with what file, labels or dashboard say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// Why its last wake failed; then there is nothing else to say.
    pub failure: Option<String>,
    /// There is no container of that name.
    pub missing: bool,
    /// `None`: it makes no service.
    pub service: Option<String>,
    pub container: Option<String>,
    pub key: String,
    pub value: Option<String>,
    pub reason: String,
    pub mend: String,
    origin: &'static str,
}

impl Trouble {
    /// The last wake of a service failed, or there is nothing to wake.
    #[must_use]
    pub fn failed(row: &Row) -> Option<Self> {
        if let Some(container) = &row.missing {
            let (container, service) = (Some(container.clone()), Some(row.name.clone()));
            return Some(Self { missing: true, container, service, ..Self::default() });
        }
        let failure = row.failure.as_ref().filter(|_| row.phase == Phase::Failed)?;
        Some(Self {
            failure: Some(failure.reason.clone()),
            service: Some(row.name.clone()),
            ..Self::default()
        })
    }

    #[must_use]
    pub fn new(service: Option<String>, problem: &SourceProblem) -> Self {
        Self {
            failure: None,
            missing: false,
            service,
            container: problem.container.clone(),
            key: problem.key.clone(),
            value: problem.value.clone(),
            reason: problem.reason.clone(),
            mend: problem.mend.clone(),
            origin: problem.origin.as_str(),
        }
    }
}

/// What somebody does who has no service yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Start {
    /// Whether labels make services here.
    pub labels: bool,
    /// A host that leads to this machine.
    pub host: String,
    pub href: String,
    /// What asks for it, word for word.
    pub command: String,
}

/// A row as the templates read it.
#[derive(Serialize)]
pub(super) struct RowContext<'a> {
    name: &'a str,
    icon: Icon,
    group: Option<&'a str>,
    link: Option<&'a Link>,
    phase: &'static str,
    since: i64,
    missing: Option<&'a str>,
    paused: bool,
    probing: bool,
    usual: Option<i64>,
    failure: Option<&'a str>,
    retry_at: Option<i64>,
    awake: AwakeContext,
    held: usize,
    last_wake: Option<WakeContext>,
    last_stop: Option<&'static str>,
    requests: u64,
    memory: Option<u64>,
    problems: usize,
    /// Whether waking it, and stopping it, means something now.
    wakes: bool,
    stops: bool,
}

#[derive(Serialize)]
struct Icon {
    own: bool,
    text: String,
}

#[derive(Serialize)]
struct AwakeContext {
    why: &'static str,
    until: Option<i64>,
    leases: u64,
}

#[derive(Serialize)]
struct WakeContext {
    at: i64,
    cause: &'static str,
    took: Option<i64>,
}

impl Row {
    pub(super) fn context(&self) -> RowContext<'_> {
        let (why, until, leases) = match self.awake {
            Awake::InUse { leases } => ("in-use", None, leases),
            Awake::Idle { until } => ("idle", Some(until), 0),
            Awake::KeptAwake { until } => ("kept-awake", Some(until), 0),
            Awake::MinAwake { until } => ("min-awake", Some(until), 0),
            Awake::Never => ("never", None, 0),
            Awake::Unknown => ("unknown", None, 0),
        };
        RowContext {
            name: &self.name,
            icon: self.sign(),
            group: self.group.as_deref(),
            link: self.links.first(),
            phase: self.phase.as_str(),
            since: self.since,
            missing: self.missing.as_deref(),
            paused: self.paused,
            probing: self.probing,
            usual: self.usual,
            failure: self.failure.as_ref().map(|failure| failure.reason.as_str()),
            retry_at: self.failure.as_ref().map(|failure| failure.retry_at),
            awake: AwakeContext { why, until, leases },
            held: self.held,
            last_wake: self.last_wake.map(|wake| WakeContext {
                at: wake.at,
                cause: wake.cause.as_str(),
                took: wake.took,
            }),
            last_stop: self.last_stop.map(StopCause::as_str),
            requests: self.requests,
            memory: self.memory,
            problems: self.problems,
            wakes: matches!(self.phase, Phase::Asleep | Phase::Failed | Phase::Stopping),
            stops: matches!(self.phase, Phase::Ready | Phase::Waking),
        }
    }

    /// A picture sign of the operator's, or the first letter of the name.
    fn sign(&self) -> Icon {
        let own = self.icon.as_deref();
        let first = || self.name.chars().next().map(|first| first.to_uppercase().to_string());
        Icon { own: own.is_some(), text: own.map(Into::into).or_else(first).unwrap_or_default() }
    }

    fn matches(&self, filter: &str) -> bool {
        let texts = [Some(self.name.as_str()), self.group.as_deref()].into_iter().flatten();
        let mut texts = texts.chain(self.links.iter().map(|link| link.text.as_str()));
        filter.is_empty() || texts.any(|text| text.to_lowercase().contains(filter))
    }
}

#[derive(Serialize)]
struct Context<'a> {
    total: usize,
    shown: usize,
    totals: &'a Totals,
    sort: &'static str,
    sort_links: BTreeMap<&'static str, String>,
    filter: &'a str,
    troubles: &'a [Trouble],
    start: &'a Start,
    keep_for: &'static [&'static str],
}

/// Renders the page.
///
/// # Errors
/// [`RenderError`] says which template is broken.
pub fn overview(frame: &Frame, view: &Overview) -> Result<String, RenderError> {
    let environment = ready()?;
    let filter = view.filter.trim().to_lowercase();
    let mut all: Vec<&Row> = view.rows.iter().collect();
    sort(&mut all, view.sort);
    // Rows that do not match are there and not shown: whoever clears the filter sees them at once.
    let shown = all.iter().filter(|row| row.matches(&filter)).count();
    // In another order than that of the names, groups would hide what comes first.
    let flat = view.sort != Sort::Name;
    let mut groups: BTreeMap<(bool, &str), Vec<&Row>> = BTreeMap::new();
    for row in &all {
        // Those without a group come last.
        let group = row.group.as_deref().filter(|_| !flat);
        groups.entry((group.is_none(), group.unwrap_or_default())).or_default().push(row);
    }
    let mut parts = Vec::new();
    for ((rest, name), rows) in groups {
        let html = rows_of(&environment, frame, rows.iter().copied(), &filter, flat)?;
        let hidden = !rows.iter().any(|row| row.matches(&filter));
        parts.push(context! {
            name => (!rest).then_some(name),
            count => rows.len(),
            hidden => hidden,
            // Made by a template that escapes.
            rows => Value::from_safe_string(html),
        });
    }
    let context = Context {
        total: view.rows.len(),
        shown,
        totals: &view.totals,
        sort: view.sort.as_str(),
        sort_links: links(view),
        filter: &view.filter,
        troubles: &view.troubles,
        start: &view.start,
        keep_for: KEEP_FOR,
    };
    let view = context! { groups => parts, ..Value::from(Serde(context)) };
    page(&environment, "dashboard/overview.html", frame, view)
}

/// Renders rows alone: what the script puts in the place of those on the page.
///
/// # Errors
/// [`RenderError`] says which template is broken.
pub fn rows(frame: &Frame, rows: &[Row], totals: &Totals) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Only<'a> {
        totals: &'a Totals,
    }
    let environment = ready()?;
    let html = rows_of(&environment, frame, rows.iter(), "", false)?;
    let totals = page(&environment, "dashboard/totals.html", frame, Value::from(Serde(Only { totals })))?;
    let notice = match &frame.notice {
        Some(notice) => {
            let template = "dashboard/notice.html";
            let found = environment.get_template(template).map_err(|error| failed(template, error))?;
            let context = context! { lang => frame.language.code(), notice => Value::from(Serde(notice)) };
            found.render(context).map_err(|error| failed(template, error))?
        }
        None => String::new(),
    };
    Ok(format!("{notice}<table><tbody>{html}</tbody></table>{totals}"))
}

/// One by one: a thousand rows are never a thousand contexts at a time.
fn rows_of<'a>(
    environment: &Environment<'static>,
    frame: &Frame,
    rows: impl Iterator<Item = &'a Row>,
    filter: &str,
    flat: bool,
) -> Result<String, RenderError> {
    let template = "dashboard/row.html";
    let found = environment.get_template(template).map_err(|error| failed(template, error))?;
    let may = frame.person.as_ref().is_some_and(|person| person.role >= Role::User);
    let mut html = String::new();
    for row in rows {
        let context = context! {
            lang => frame.language.code(),
            now => frame.now,
            offset => frame.offset,
            may => may,
            hidden => !row.matches(filter),
            flat => flat,
            r => Value::from(Serde(row.context())),
        };
        html.push_str(&found.render(context).map_err(|error| failed(template, error))?);
    }
    Ok(html)
}

fn sort(rows: &mut [&Row], by: Sort) {
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    match by {
        Sort::Name => {}
        Sort::Phase => rows.sort_by_key(|row| match row.phase {
            Phase::Failed => 0,
            Phase::Waking => 1,
            Phase::Ready => 2,
            Phase::Stopping => 3,
            Phase::Asleep => 4,
        }),
        Sort::Wake => rows.sort_by_key(|row| Reverse(row.last_wake.map(|wake| wake.at))),
        Sort::Requests => rows.sort_by_key(|row| Reverse(row.requests)),
        Sort::Memory => rows.sort_by_key(|row| Reverse(row.memory)),
    }
}

fn links(view: &Overview) -> BTreeMap<&'static str, String> {
    let filter = match view.filter.trim() {
        "" => String::new(),
        filter => format!("&q={}", encode(filter)),
    };
    Sort::ALL.iter().map(|sort| (sort.as_str(), format!("/?sort={}{filter}", sort.as_str()))).collect()
}
