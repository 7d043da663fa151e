//! An event as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::admin::api::wire::{Time, millis, one_of};
use crate::store::AskedBy;
use crate::supervisor::journal::{Event, What};

fn kinds() -> Object {
    one_of(KINDS.iter().copied())
}

/// Every kind of event.
const KINDS: [&str; 17] = [
    "phase",
    "wake-started",
    "wake-ended",
    "stopped",
    "kept-awake",
    "problem",
    "problem-mended",
    "service-added",
    "service-changed",
    "service-removed",
    "published",
    "config-applied",
    "config-rejected",
    "engine",
    "store",
    "started",
    "draining",
];

/// Something that happened. Which of the fields are there depends on its kind.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventRecord {
    /// Grows from event to event, with gaps.
    pub id: u64,
    pub at: Option<Time>,
    /// Null: it concerns WakeDock as a whole.
    pub service: Option<String>,
    #[schema(schema_with = kinds)]
    pub kind: &'static str,
    /// `phase`: which one it entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<&'static str>,
    /// Of a wake or a stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    /// Of a wake or a publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// The engine's part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_ms: Option<u64>,
    /// Why not; for the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `wake-started`: who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// `stopped`: its memory is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// `kept-awake`: until then; null: no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Option<Time>>,
    /// `problem`, `problem-mended`: where it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<&'static str>,
    /// `problem`, `problem-mended`: of this container, which makes no service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// `published`: of so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<u64>,
    /// `config-applied`: so many services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<u64>,
    /// `config-applied`: keys that wait for a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Vec<String>>,
    /// `engine`: whether Docker answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// Of WakeDock, or of the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `store`: whether it takes changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writable: Option<bool>,
    /// `store`: finished sessions that were lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
}

/// Who asked: a request, or a person.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct By {
    pub request_id: Option<String>,
    pub host: Option<String>,
    pub method: Option<String>,
    /// Without the query.
    pub path: Option<String>,
    /// The client's address.
    pub client: Option<String>,
    /// Who it was, where it was done by hand.
    pub user: Option<String>,
}

impl By {
    /// `None` where nothing is known.
    #[must_use]
    pub fn new(by: &AskedBy) -> Option<Self> {
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        (!by.is_nobody()).then(|| Self {
            request_id: text(&by.request_id),
            host: text(&by.host),
            method: text(&by.method),
            path: text(&by.path),
            client: by.client.map(|client| client.to_string()),
            user: text(&by.user),
        })
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl EventRecord {
    #[must_use]
    pub fn new(event: &Event) -> Self {
        let mut record = Self {
            id: event.id,
            at: Some(event.at.into()),
            service: event.service.as_ref().map(ToString::to_string),
            kind: event.what.kind(),
            ..Self::default()
        };
        record.tell(&event.what);
        record
    }

    fn tell(&mut self, what: &What) {
        match what {
            What::Phase { phase, cause } => {
                self.phase = Some(phase.as_str());
                self.cause = *cause;
            }
            What::WakeStarted { cause, by } => {
                self.cause = Some(cause.as_str());
                self.by = By::new(by);
            }
            What::WakeEnded { outcome, took, engine, reason } => {
                self.outcome = Some(outcome.as_str());
                self.took_ms = took.map(millis);
                self.engine_ms = engine.map(millis);
                self.reason = reason.as_deref().map(str::to_owned);
            }
            What::Stopped { cause, took, paused, by } => {
                self.cause = Some(cause.as_str());
                self.took_ms = took.map(millis);
                self.paused = Some(*paused);
                self.by = by.as_deref().and_then(|user| By::new(&AskedBy::user(user)));
            }
            What::KeptAwake { until, by } => {
                self.until = Some(until.map(Time));
                self.by = By::new(&AskedBy::user(by));
            }
            What::Problem { key, value, reason, mend, origin, container } => {
                self.key = Some(key.clone());
                self.value.clone_from(value);
                self.reason = Some(reason.clone());
                self.mend = Some(mend.clone());
                self.origin = Some(origin.as_str());
                self.container.clone_from(container);
            }
            What::ProblemMended { key, value, origin, container } => {
                self.key = Some(key.clone());
                self.value.clone_from(value);
                self.origin = Some(origin.as_str());
                self.container.clone_from(container);
            }
            What::Added | What::Changed | What::Removed | What::Draining => {}
            What::Published { outcome, hosts, message } => {
                self.outcome = Some(outcome.as_str());
                self.hosts = Some(count(*hosts));
                self.reason.clone_from(message);
            }
            What::ConfigApplied { services, waiting } => {
                self.services = Some(count(*services));
                self.waiting = Some(waiting.clone());
            }
            What::ConfigRejected { reason } => self.reason = Some(reason.clone()),
            What::Engine { connected, version } => {
                self.connected = Some(*connected);
                self.version.clone_from(version);
            }
            What::Store { writable, reason, dropped } => {
                self.writable = Some(*writable);
                self.reason.clone_from(reason);
                self.dropped = Some(*dropped);
            }
            What::Started { version } => self.version = Some(version.clone()),
        }
    }
}
