//! The lifecycle of one service, as a pure machine: `step(now, input) -> effects`, one
//! `deadline()`, and generation numbers that make a late answer to an old order inert. It can
//! neither wait nor fail; the actor in `crate::supervisor` carries its effects out.

mod machine;
mod policy;

use std::time::Duration;

use crate::domain::time::Moment;
use crate::domain::words::{Refusal, StopCause, WakeCause};

pub use machine::Machine;
pub use policy::Policy;

/// The number of one waiting request, unique within its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DemandId(pub u64);

/// The number of one order. A late answer that carries an older one says nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(pub u64);

/// What the gate said when it was asked to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Leases are out.
    InUse,
    /// Nobody has used it since.
    Quiet { since: Moment },
}

/// How a container is put to sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Stop,
    /// Frozen, memory kept: it wakes in milliseconds.
    Pause,
}

/// How a container that the lifecycle counts as asleep rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    Off,
    Paused,
}

/// What is to be done to wake a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeKind {
    /// Start or unpause the container, then probe it.
    Start,
    /// It runs already, by somebody else's doing: only probe it.
    Adopt,
}

/// Why a wake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeFailure {
    /// The container ended before the application answered.
    Exited,
    /// Docker refused to start it, it does not exist, or it has no address.
    Refused,
    /// Docker does not answer. Nobody's fault here: no back-off.
    EngineAway,
    /// The container is away, and the next one of its name is waited for. Nobody's fault either.
    ContainerAway,
}

/// How a stop order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopEnd {
    /// It is off, or paused, as ordered.
    Done,
    /// Taken back before it was sent.
    Cancelled,
    /// Docker refused, and the container still runs.
    Failed,
}

/// What the engine shows when nobody ordered anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    Running,
    Paused,
    /// Exited, only created, or not there at all.
    Off,
}

/// What was found of a service when WakeDock started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub sighting: Sighting,
    /// Running long enough, or healthy: requests may go to it at once.
    pub settled: bool,
    /// The idle clock that the previous process kept.
    pub quiet_since: Option<Moment>,
    pub ready_since: Option<Moment>,
    /// The previous process had decided to stop it, and perhaps told it so.
    pub stopping: Option<(How, StopCause)>,
}

/// What happens to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The first look at the container after WakeDock started.
    Found(Found),
    /// A request waits for a lease.
    Demand(DemandId),
    /// It waits no longer.
    Withdraw(DemandId),
    /// Wake it without anybody waiting.
    Wake(WakeCause),
    /// Stop it now, whoever uses it.
    Stop(StopCause),
    /// Stop it now, whoever uses it, and wake it again; wake it where it sleeps.
    Restart,
    /// Not to be put to sleep for want of use before then; `None`: no longer.
    KeepAwake(Option<Moment>),
    /// A look at the container, taken while no order was in progress.
    Seen(Sighting),
    WakeEnded {
        order: Generation,
        result: Result<(), WakeFailure>,
        /// On failure: the container may run, by our doing, and must be stopped.
        clean_up: bool,
    },
    StopEnded {
        order: Generation,
        end: StopEnd,
    },
    /// The deadline has come. In the ready phase the gate was closed if nobody was inside.
    Deadline(Usage),
    /// The container was made anew: what failed before says nothing about it.
    Renewed,
    /// The configuration changed.
    Respec(Policy),
    /// The service is no longer ours.
    Retire,
}

/// What the machine wants done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    OrderWake {
        order: Generation,
        cause: WakeCause,
        kind: WakeKind,
    },
    /// Its time is over: stop probing.
    AbandonWake {
        order: Generation,
    },
    OrderStop {
        order: Generation,
        how: How,
        cause: StopCause,
    },
    /// Take the stop back if it has not been sent. It ends with [`Input::StopEnded`] either way.
    CancelStop {
        order: Generation,
    },
    /// Let requests pass; the idle clock runs from here at the earliest.
    Open {
        clock_from: Moment,
    },
    /// Let requests pass again after a look at the idle clock.
    Reopen,
    /// Let nobody pass.
    Close,
    Admit(DemandId),
    Refuse(DemandId, Refusal),
}

/// The back-off after this many failed wakes in a row: 1 s, doubling to 60 s.
#[must_use]
pub fn back_off(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(Duration::from_secs(60))
}
