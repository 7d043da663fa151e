//! What can happen.

use std::time::Duration;

use crate::domain::name::ServiceName;
use crate::domain::time::Timestamp;
use crate::domain::words::{Origin, Phase, PublishOutcome, StopCause, WakeCause, WakeOutcome};
use crate::store::AskedBy;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Grows from event to event, with gaps.
    pub id: u64,
    pub at: Timestamp,
    /// `None`: it concerns WakeDock as a whole.
    pub service: Option<ServiceName>,
    pub what: What,
}

impl Event {
    pub(super) fn is_of(&self, service: Option<&ServiceName>) -> bool {
        service.is_none_or(|service| self.service.as_ref() == Some(service))
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A service entered a phase; `cause` is the wake's or the stop's, where there is one.
    Phase { phase: Phase, cause: Option<&'static str> },
    /// A wake was ordered.
    WakeStarted { cause: WakeCause, by: AskedBy },
    /// It ended. `took` is from demand to ready, `engine` the engine's part of it; `reason` says why
    /// it failed, for the operator.
    WakeEnded {
        outcome: WakeOutcome,
        took: Option<Duration>,
        engine: Option<Duration>,
        reason: Option<Box<str>>,
    },
    /// A service is off or paused now. `by`: who stopped it by hand.
    Stopped { cause: StopCause, took: Option<Duration>, paused: bool, by: Option<Box<str>> },
    /// Somebody keeps it awake until then; `None`: no longer.
    KeptAwake { until: Option<Timestamp>, by: Box<str> },
    /// A source says something that cannot be used: of a service, of a container that makes none,
    /// or of all of them.
    Problem {
        key: String,
        value: Option<String>,
        reason: String,
        mend: String,
        origin: Origin,
        container: Option<String>,
    },
    /// That is not so any more.
    ProblemMended { key: String, value: Option<String>, origin: Origin, container: Option<String> },
    /// A service was taken up.
    Added,
    /// Its configuration changed.
    Changed,
    /// It was let go.
    Removed,
    /// Caddy was told of the routes, or an attempt to do so failed.
    Published { outcome: PublishOutcome, hosts: usize, message: Option<String> },
    /// The configuration file was read anew. `waiting` keys need a restart.
    ConfigApplied { services: usize, waiting: Vec<String> },
    /// The configuration file has problems; nothing of it was applied.
    ConfigRejected { reason: String },
    /// Docker answers, or does not any more.
    Engine { connected: bool, version: Option<String> },
    /// The store can write again, or cannot any more. `dropped` finished sessions were lost.
    Store { writable: bool, reason: Option<String>, dropped: u64 },
    /// WakeDock serves.
    Started { version: String },
    /// WakeDock was told to end.
    Draining,
}

impl What {
    /// A stable word for the kind of event.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Phase { .. } => "phase",
            Self::WakeStarted { .. } => "wake-started",
            Self::WakeEnded { .. } => "wake-ended",
            Self::Stopped { .. } => "stopped",
            Self::KeptAwake { .. } => "kept-awake",
            Self::Problem { .. } => "problem",
            Self::ProblemMended { .. } => "problem-mended",
            Self::Added => "service-added",
            Self::Changed => "service-changed",
            Self::Removed => "service-removed",
            Self::Published { .. } => "published",
            Self::ConfigApplied { .. } => "config-applied",
            Self::ConfigRejected { .. } => "config-rejected",
            Self::Engine { .. } => "engine",
            Self::Store { .. } => "store",
            Self::Started { .. } => "started",
            Self::Draining => "draining",
        }
    }
}
