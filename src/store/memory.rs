//! The values that callers give to the store and get back.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::lifecycle::How;
use crate::domain::name::ServiceName;
use crate::domain::time::Timestamp;
use crate::domain::words::{StopCause, WakeCause, WakeOutcome};

/// Whether a service is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// A lease is out.
    Busy,
    /// Nobody has used it since.
    Quiet { since: Timestamp },
}

/// A stop that is about to be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopIntent {
    /// The container the order is for: never a newer one of the same name.
    pub container_id: String,
    pub how: How,
    pub cause: StopCause,
    pub at: Timestamp,
}

/// Who asked: a request, or a person. What is not known is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskedBy {
    pub request_id: Option<Box<str>>,
    pub host: Option<Box<str>>,
    pub method: Option<Box<str>>,
    /// Without the query, and not longer than [`AskedBy::LONGEST_PATH`] bytes.
    pub path: Option<Box<str>>,
    /// The client's address, as far as trusted proxies say.
    pub client: Option<IpAddr>,
    /// Who it was, where it was done by hand.
    pub user: Option<Box<str>>,
}

impl AskedBy {
    /// Longer paths are cut.
    pub const LONGEST_PATH: usize = 200;

    /// A person, or what acts for one.
    #[must_use]
    pub fn user(name: &str) -> Self {
        Self { user: Some(name.into()), ..Self::default() }
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        *self == Self::default()
    }
}

/// A session begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStart {
    pub service: ServiceName,
    pub cause: WakeCause,
    pub ordered_at: Timestamp,
    pub by: AskedBy,
}

/// The application of a session answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionReady {
    pub service: ServiceName,
    pub at: Timestamp,
    /// From demand to ready; `None` where nobody woke it (it was found running), and it says
    /// nothing about how long a wake usually takes.
    pub wake: Option<Duration>,
    /// The engine's part of that: its answer to the order to start or unpause.
    pub engine: Option<Duration>,
}

/// The wake of a session failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WakeFailed {
    pub service: ServiceName,
    pub outcome: WakeOutcome,
    /// For the operator.
    pub reason: String,
    pub at: Timestamp,
}

/// A session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEnd {
    pub service: ServiceName,
    pub stop: SessionStop,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStop {
    pub cause: StopCause,
    pub at: Timestamp,
    /// From the stop order to its end; `None` where it was not our order.
    pub took: Option<Duration>,
}

/// A period of being awake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub cause: WakeCause,
    pub ordered_at: Timestamp,
    pub by: AskedBy,
    pub wake: Wake,
    /// `None`: it goes on, or WakeDock was not there when it ended.
    pub stop: Option<SessionStop>,
}

/// How the wake of a session went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// Not ready yet.
    Pending,
    Ready {
        at: Timestamp,
        /// As [`SessionReady::wake`].
        took: Option<Duration>,
        /// As [`SessionReady::engine`].
        engine: Option<Duration>,
    },
    Failed {
        at: Timestamp,
        outcome: WakeOutcome,
        reason: String,
    },
}

/// What is remembered of all services, by name. Names that are no longer configured are among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    pub services: BTreeMap<ServiceName, ServiceMemory>,
    /// No event of an earlier process has this number, or a higher one.
    pub next_event: u64,
}

/// What is remembered of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceMemory {
    /// The newest since the last session began, also where that session is over: a pause goes on.
    /// `None`: none was noted since then.
    pub activity: Option<Activity>,
    /// Since when the session that is not over is ready.
    pub ready_since: Option<Timestamp>,
    /// A stop that was about to be ordered and of which nothing more is known.
    pub stop_intent: Option<StopIntent>,
    /// The newest successful wakes, at most [`super::REMEMBERED_WAKES`], the newest last.
    pub wake_durations: Vec<Duration>,
    /// A session that was not over when WakeDock ended: end it, or go on with it.
    pub open_session: Option<Session>,
    /// The newest session that is over.
    pub last_session: Option<Session>,
    /// Not put to sleep for want of use before then.
    pub keep_awake: Option<Timestamp>,
}

/// Whether the store can write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreHealth {
    Ok,
    /// The disk failed; the store tries to reopen itself.
    ReadOnly {
        since: Timestamp,
        reason: Arc<str>,
        /// Finished sessions lost since then.
        dropped: u64,
    },
}

/// The newest state of one service, as the ledger holds and the disk keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ServiceState {
    pub(super) activity: Option<Activity>,
    pub(super) ready_since: Option<Timestamp>,
    pub(super) intent: Option<StopIntent>,
    pub(super) wakes: VecDeque<Duration>,
    pub(super) open: Option<Session>,
    pub(super) keep_awake: Option<Timestamp>,
    /// The number of the next session to go into the history.
    pub(super) next_session: u64,
}

pub(super) type States = BTreeMap<ServiceName, ServiceState>;

pub(super) fn remembered(
    states: &States,
    mut last: BTreeMap<ServiceName, Session>,
    next_event: u64,
) -> Remembered {
    let services = states.iter().map(|(name, state)| {
        let memory = ServiceMemory { last_session: last.remove(name), ..state.into() };
        (name.clone(), memory)
    });
    let services = services.collect();
    Remembered { services, next_event }
}

impl From<&ServiceState> for ServiceMemory {
    fn from(state: &ServiceState) -> Self {
        Self {
            activity: state.activity,
            ready_since: state.ready_since,
            stop_intent: state.intent.clone(),
            wake_durations: state.wakes.iter().copied().collect(),
            open_session: state.open.clone(),
            last_session: None,
            keep_awake: state.keep_awake,
        }
    }
}
