//! A service as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::admin::api::wire::{Time, millis, one_of, one_of_or_null};
use crate::clock;
use crate::domain::host::HostPattern;
use crate::domain::words::{Phase, StopCause, WakeCause};
use crate::metrics::AnsweredBy;
use crate::supervisor::handle::ServiceHandle;

fn phases() -> Object {
    one_of(Phase::ALL.iter().map(|phase| phase.as_str()))
}

fn wake_causes() -> Object {
    one_of_or_null(WakeCause::ALL.iter().map(|cause| cause.as_str()))
}

fn stop_causes() -> Object {
    one_of_or_null(StopCause::ALL.iter().map(|cause| cause.as_str()))
}

/// A service.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Service {
    #[schema(example = "cloud")]
    pub name: String,
    /// Where it stands.
    #[schema(schema_with = phases)]
    pub phase: &'static str,
    /// Since when it is in this phase.
    pub since: Time,
    /// Hosts that lead to it.
    pub hosts: Vec<String>,
    /// Only requests below this path, where there is one.
    pub path: Option<String>,
    /// Its container's name.
    pub container: String,
    /// Asleep with its memory kept.
    pub paused: bool,
    /// Requests that wait for it.
    pub held: u64,
    /// Clients that use it now.
    pub leases: u64,
    /// Requests answered since WakeDock started.
    pub requests: u64,
    /// What woke it last, or wakes it now.
    #[schema(schema_with = wake_causes)]
    pub wake_cause: Option<&'static str>,
    /// What stopped it last, or stops it now.
    #[schema(schema_with = stop_causes)]
    pub stop_cause: Option<&'static str>,
    /// How long a wake usually takes, from its own past.
    pub usual_wake_ms: Option<u64>,
    /// Why the last wake failed.
    pub failure: Option<WakeFailure>,
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
    /// The service as of now.
    #[must_use]
    pub fn new(handle: &ServiceHandle) -> Self {
        let snapshot = handle.snapshot();
        let spec = handle.spec();
        let answered = [AnsweredBy::Upstream, AnsweredBy::Wakedock];
        let requests =
            (1..=5).flat_map(|class| answered.map(|by| handle.metrics().requests(class, by))).sum();
        Self {
            name: spec.name.to_string(),
            phase: snapshot.phase.as_str(),
            since: clock::wall_at(snapshot.since).into(),
            hosts: spec.hosts.iter().map(HostPattern::to_string).collect(),
            path: spec.path.clone(),
            container: spec.container.to_string(),
            paused: snapshot.paused,
            held: u64::try_from(handle.held()).unwrap_or(u64::MAX),
            leases: handle.leases(),
            requests,
            wake_cause: snapshot.wake_cause.map(WakeCause::as_str),
            stop_cause: snapshot.stop_cause.map(StopCause::as_str),
            usual_wake_ms: snapshot.usual.map(millis),
            failure: snapshot.failure.map(|failure| WakeFailure {
                reason: failure.reason.clone(),
                retry_at: clock::wall_at(failure.retry_at).into(),
            }),
        }
    }
}
