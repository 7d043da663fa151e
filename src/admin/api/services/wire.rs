//! A service as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::admin::api::wire::{Time, millis, one_of, one_of_or_null};
use crate::clock;
use crate::config::SourceProblem;
use crate::domain::host::HostPattern;
use crate::domain::service::ServiceSpec;
use crate::domain::words::{Origin, Phase, StopCause, WakeCause, WakeOutcome};
use crate::store::{Session, Wake};
use crate::supervisor::catalog::Entry;
use crate::supervisor::fleet::Fleet;
use crate::supervisor::handle::{Awake, ServiceHandle};

fn phases() -> Object {
    one_of_or_null(Phase::ALL.iter().map(|phase| phase.as_str()))
}

pub(super) fn wake_causes() -> Object {
    one_of(WakeCause::ALL.iter().map(|cause| cause.as_str()))
}

pub(super) fn wake_outcomes() -> Object {
    one_of_or_null(WakeOutcome::ALL.iter().map(|outcome| outcome.as_str()))
}

pub(super) fn stop_causes() -> Object {
    one_of(StopCause::ALL.iter().map(|cause| cause.as_str()))
}

fn sources() -> Object {
    one_of([Origin::File, Origin::Api, Origin::Label].iter().map(|origin| origin.as_str()))
}

fn origins() -> Object {
    one_of(Origin::ALL.iter().map(|origin| origin.as_str()))
}

fn reasons() -> Object {
    one_of_or_null(["in-use", "idle", "kept-awake", "min-awake", "never"].into_iter())
}

/// A service.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Service {
    #[schema(example = "cloud")]
    pub name: String,
    /// Where it stands. Null: it is left out, and its problems say why.
    #[schema(schema_with = phases)]
    pub phase: Option<&'static str>,
    /// Since when it is in this phase.
    pub since: Option<Time>,
    /// Hosts that lead to it.
    pub hosts: Vec<String>,
    /// Only requests below this path, where there is one.
    pub path: Option<String>,
    /// Its container's name.
    pub container: String,
    pub group: Option<String>,
    /// A few characters to show beside its name.
    pub icon: Option<String>,
    /// Asleep with its memory kept.
    pub paused: bool,
    /// Who speaks about it.
    pub sources: Vec<Source>,
    /// What of that cannot be used.
    pub problems: Vec<ServiceProblem>,
    /// Requests that wait for it.
    pub held: u64,
    /// Clients that use it now.
    pub leases: u64,
    /// Requests answered since WakeDock started.
    pub requests: u64,
    /// What it used when it was read last, without the page cache. Null while it is not ready.
    pub memory_bytes: Option<u64>,
    /// Share of one processor: 1.0 is one that is busy.
    pub cpu: Option<f64>,
    /// When it falls asleep if nobody comes.
    pub sleeps_at: Option<Time>,
    pub kept_awake_until: Option<Time>,
    /// Why it is not asleep.
    #[schema(schema_with = reasons)]
    pub awake_because: Option<&'static str>,
    pub last_wake: Option<LastWake>,
    pub last_stop: Option<LastStop>,
    /// Since midnight, UTC.
    pub wakes_today: u64,
    /// How long a wake usually takes, from its own past.
    pub usual_wake_ms: Option<u64>,
    /// Why the last wake failed.
    pub failure: Option<WakeFailure>,
    /// Of what the API says about it: its `ETag`. Null: the API says nothing.
    pub revision: Option<u64>,
}

/// Who speaks about a service.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Source(&'static str);

impl utoipa::PartialSchema for Source {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        sources().into()
    }
}

impl ToSchema for Source {}

/// Something that cannot be used. Everything else goes on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ServiceProblem {
    /// As it was written: `wakedock.stop-after`, `idle.stop_after`.
    pub key: String,
    /// What was written there, shortened.
    pub value: Option<String>,
    /// Completes the sentence that begins with the key.
    pub reason: String,
    /// What to write instead.
    pub mend: String,
    #[schema(schema_with = origins)]
    pub origin: &'static str,
}

impl From<&SourceProblem> for ServiceProblem {
    fn from(problem: &SourceProblem) -> Self {
        Self {
            key: problem.key.clone(),
            value: problem.value.clone(),
            reason: problem.reason.clone(),
            mend: problem.mend.clone(),
            origin: problem.origin.as_str(),
        }
    }
}

/// The newest wake.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LastWake {
    /// When it was ordered.
    pub at: Time,
    #[schema(schema_with = wake_causes)]
    pub cause: &'static str,
    /// Null while it goes on.
    #[schema(schema_with = wake_outcomes)]
    pub outcome: Option<&'static str>,
    /// From demand to ready.
    pub took_ms: Option<u64>,
    /// The engine's part of that.
    pub engine_ms: Option<u64>,
    /// The address that asked.
    pub client: Option<String>,
    /// What it asked for, without the query.
    pub path: Option<String>,
    /// Who it was, where it was done by hand.
    pub user: Option<String>,
}

impl From<&Session> for LastWake {
    fn from(session: &Session) -> Self {
        let (outcome, took, engine) = match &session.wake {
            Wake::Pending => (None, None, None),
            Wake::Ready { took, engine, .. } => (Some(WakeOutcome::Ready), *took, *engine),
            Wake::Failed { outcome, .. } => (Some(*outcome), None, None),
        };
        Self {
            at: session.ordered_at.into(),
            cause: session.cause.as_str(),
            outcome: outcome.map(WakeOutcome::as_str),
            took_ms: took.map(millis),
            engine_ms: engine.map(millis),
            client: session.by.client.map(|client| client.to_string()),
            path: session.by.path.as_deref().map(str::to_owned),
            user: session.by.user.as_deref().map(str::to_owned),
        }
    }
}

/// The newest stop.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LastStop {
    pub at: Time,
    #[schema(schema_with = stop_causes)]
    pub cause: &'static str,
}

/// Why a wake failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WakeFailure {
    /// For the operator: may name the container, its image and Docker's message.
    pub reason: String,
    /// When the next try is allowed.
    pub retry_at: Time,
}

impl Service {
    /// The service as of now. Whatever of the two there is: what is left out has no handle.
    #[must_use]
    pub fn new(fleet: &Fleet, entry: Option<&Entry>, handle: Option<&ServiceHandle>) -> Self {
        let mut service = Self::of_entry(entry);
        if let Some(handle) = handle {
            let own = handle.spec();
            // What was just said is in the catalog a moment before its actor has heard of it.
            let spec = entry.and_then(|entry| entry.spec.as_deref()).unwrap_or(&own);
            service.take(fleet, handle, spec);
        }
        service
    }

    fn of_entry(entry: Option<&Entry>) -> Self {
        let spoken = entry.map_or(&[][..], |entry| &entry.sources);
        let problems = entry.map_or(&[][..], |entry| &entry.problems);
        Self {
            name: entry.map_or_else(String::new, |entry| entry.name.to_string()),
            phase: None,
            since: None,
            hosts: Vec::new(),
            path: None,
            container: entry.map_or_else(String::new, |entry| entry.container.clone()),
            group: None,
            icon: None,
            paused: false,
            sources: spoken.iter().map(|origin| Source(origin.as_str())).collect(),
            problems: problems.iter().map(ServiceProblem::from).collect(),
            held: 0,
            leases: 0,
            requests: 0,
            memory_bytes: None,
            cpu: None,
            sleeps_at: None,
            kept_awake_until: None,
            awake_because: None,
            last_wake: None,
            last_stop: None,
            wakes_today: 0,
            usual_wake_ms: None,
            failure: None,
            revision: entry.and_then(|entry| entry.api.as_ref()).map(|layer| layer.revision),
        }
    }

    fn take(&mut self, fleet: &Fleet, handle: &ServiceHandle, spec: &ServiceSpec) {
        let snapshot = handle.snapshot();
        let (usage, awake) = (handle.usage(), handle.awake());
        self.name = spec.name.to_string();
        self.phase = Some(snapshot.phase.as_str());
        self.since = Some(clock::wall_at(snapshot.since).into());
        self.hosts = spec.hosts.iter().map(HostPattern::to_string).collect();
        self.path.clone_from(&spec.path);
        self.container = spec.container.to_string();
        self.group.clone_from(&spec.group);
        self.icon.clone_from(&spec.icon);
        self.paused = snapshot.paused;
        self.held = u64::try_from(handle.held()).unwrap_or(u64::MAX);
        self.leases = handle.leases();
        self.requests = handle.requests();
        self.memory_bytes = usage.map(|usage| usage.memory);
        self.cpu = usage.and_then(|usage| usage.cpu);
        self.sleeps_at = awake.and_then(Awake::until).map(Time);
        self.kept_awake_until = handle.keep_awake_until().map(Time);
        self.awake_because = awake.map(Awake::as_str);
        self.last_wake = snapshot.session.as_deref().map(LastWake::from);
        self.last_stop = snapshot
            .session
            .as_ref()
            .and_then(|session| session.stop.as_ref())
            .map(|stop| LastStop { at: stop.at.into(), cause: stop.cause.as_str() });
        self.wakes_today = fleet.rollups().wakes_today(&spec.name);
        self.usual_wake_ms = snapshot.usual.map(millis);
        self.failure = snapshot.failure.map(|failure| WakeFailure {
            reason: failure.reason.clone(),
            retry_at: clock::wall_at(failure.retry_at).into(),
        });
    }
}

/// A service, and everything that is said about it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ServiceDetail {
    #[serde(flatten)]
    pub service: Service,
    /// Every option with its value and where that comes from, in the order of the reference.
    pub config: Vec<ConfigValue>,
    /// What the API says, nested as in the configuration file: what `PUT` replaces.
    #[schema(value_type = Option<std::collections::HashMap<String, serde_json::Value>>)]
    pub api_keys: Option<serde_json::Value>,
    /// Who said that.
    pub api: Option<ApiSays>,
}

/// One option of a service.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConfigValue {
    #[schema(example = "idle.stop_after")]
    pub key: &'static str,
    /// As in the configuration file; null: not set.
    pub value: serde_json::Value,
    #[schema(schema_with = origins)]
    pub origin: &'static str,
}

/// Who said what the API says about a service, and when.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApiSays {
    pub made_by: String,
    pub made_at: Time,
    pub changed_by: String,
    pub changed_at: Time,
}

impl ServiceDetail {
    /// The service as of now.
    #[must_use]
    pub fn new(fleet: &Fleet, entry: Option<&Entry>, handle: Option<&ServiceHandle>) -> Self {
        let values = entry.map(Entry::values).unwrap_or_default();
        let layer = entry.and_then(|entry| entry.api.as_deref());
        Self {
            service: Service::new(fleet, entry, handle),
            config: values
                .into_iter()
                .map(|value| ConfigValue {
                    key: value.key,
                    value: value.value,
                    origin: value.origin.as_str(),
                })
                .collect(),
            api_keys: layer.map(|layer| layer.keys.nested()),
            api: layer.map(|layer| ApiSays {
                made_by: layer.made_by.clone(),
                made_at: layer.made_at.into(),
                changed_by: layer.changed_by.clone(),
                changed_at: layer.changed_at.into(),
            }),
        }
    }
}
