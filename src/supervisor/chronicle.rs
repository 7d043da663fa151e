//! What is written down of a service: its history in the store, its figures in the metrics, and
//! what is learned from both. The machine's steps are told here, after they were made.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::domain::lifecycle::{Input, Sighting, StopEnd, WakeKind};
use crate::domain::name::ServiceName;
use crate::domain::time::{Moment, Timestamp};
use crate::domain::words::{Phase, StopCause, WakeCause, WakeOutcome};
use crate::metrics::{Being, ServiceMetrics};
use crate::store::{
    REMEMBERED_WAKES, ServiceMemory, Session, SessionEnd, SessionReady, SessionStart, SessionStop, Store,
    Wake, WakeFailed,
};
use crate::supervisor::actor::Actor;
use crate::supervisor::handle::AskedBy;
use crate::supervisor::journal::{Journal, What};
use crate::supervisor::rollup::Rollups;

/// The record of one service.
pub(super) struct Chronicle {
    name: ServiceName,
    store: Store,
    journal: Journal,
    rollups: Rollups,
    metrics: Arc<ServiceMetrics>,
    /// What the previous process left, until the first look has used it.
    memory: ServiceMemory,
    /// Durations of the last wakes.
    wakes: VecDeque<Duration>,
    /// Bytes the service used when it was read last.
    memory_in_use: u64,
    wake: Option<(WakeCause, WakeKind)>,
    /// The wake in progress was only an unpause.
    unpaused: bool,
    last_wake: Option<WakeCause>,
    last_stop: Option<StopCause>,
    /// The engine's part of the wake in progress.
    engine_took: Option<Duration>,
    /// Who stopped it by hand, until the stop has ended.
    stopped_by: Option<Box<str>>,
    /// The newest session: the one that goes on, or the last one.
    session: Option<Arc<Session>>,
}

impl Chronicle {
    pub(super) fn new(
        name: ServiceName,
        store: &Store,
        journal: &Journal,
        rollups: &Rollups,
        metrics: Arc<ServiceMetrics>,
        memory: ServiceMemory,
    ) -> Self {
        let wakes = memory.wake_durations.iter().copied().collect();
        let session = memory.open_session.clone().or_else(|| memory.last_session.clone());
        let last_wake = session.as_ref().map(|session| session.cause);
        let last_stop = session.as_ref().and_then(|session| session.stop.as_ref()).map(|stop| stop.cause);
        Self {
            name,
            store: store.clone(),
            journal: journal.clone(),
            rollups: rollups.clone(),
            metrics,
            memory,
            wakes,
            memory_in_use: 0,
            wake: None,
            unpaused: false,
            last_wake,
            last_stop,
            engine_took: None,
            stopped_by: None,
            session: session.map(Arc::new),
        }
    }

    /// What is remembered, for the first look.
    pub(super) fn take_memory(&mut self) -> ServiceMemory {
        self.memory.clone()
    }

    /// It uses so many bytes now, and used so many nanoseconds of processors since the last reading.
    pub(super) fn used(&mut self, memory: u64, cpu: u64) {
        self.memory_in_use = memory;
        self.metrics.used(clock::now(), memory, cpu);
    }

    /// Kept awake until then, as the previous process knew.
    pub(super) fn keep_awake(&self) -> Option<Timestamp> {
        self.memory.keep_awake
    }

    pub(super) fn wake_cause(&self) -> Option<WakeCause> {
        self.last_wake
    }

    pub(super) fn stop_cause(&self) -> Option<StopCause> {
        self.last_stop
    }

    /// The newest session: the one that goes on, or the last one.
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        self.session.clone()
    }

    /// Somebody stops it by hand.
    pub(super) fn stopped_by(&mut self, by: AskedBy) {
        self.stopped_by = by.user;
    }

    /// It entered a phase.
    pub(super) fn entered(&self, phase: Phase, stopping: Option<StopCause>) {
        let cause = match phase {
            Phase::Waking | Phase::Ready => self.last_wake.map(WakeCause::as_str),
            Phase::Stopping => stopping.map(StopCause::as_str),
            Phase::Asleep => self.last_stop.map(StopCause::as_str),
            Phase::Failed => None,
        };
        self.tell(What::Phase { phase, cause });
    }

    pub(super) fn tell(&self, what: What) {
        self.journal.publish(Some(self.name.clone()), what);
    }

    /// Changes the newest session.
    fn change_session(&mut self, change: impl FnOnce(&mut Session)) {
        if let Some(session) = &mut self.session {
            change(Arc::make_mut(session));
        }
    }

    /// How long a wake usually takes: the median of the last ones.
    pub(super) fn usual(&self) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.wakes.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    pub(super) fn wake_ordered(&mut self, now: Moment, cause: WakeCause, kind: WakeKind, by: AskedBy) {
        self.wake = Some((cause, kind));
        self.last_wake = Some(cause);
        self.metrics.account(now, Being::Awake);
        let (request_id, host) = (by.request_id.as_deref(), by.host.as_deref());
        let user = by.user.as_deref();
        tracing::info!(service = %self.name, %cause, request_id, host, user, "waking");
        self.engine_took = None;
        self.begin_session(cause, clock::wall_at(now), by.clone());
        self.tell(What::WakeStarted { cause, by });
    }

    fn begin_session(&mut self, cause: WakeCause, ordered_at: Timestamp, by: AskedBy) {
        let session = Session { cause, ordered_at, by: by.clone(), wake: Wake::Pending, stop: None };
        self.session = Some(Arc::new(session));
        self.store.session_started(SessionStart { service: self.name.clone(), cause, ordered_at, by });
    }

    /// The application answers, after a start or only an unpause, which took the engine so long.
    pub(super) fn answers(&mut self, unpaused: bool, engine_took: Option<Duration>) {
        self.unpaused = unpaused;
        self.engine_took = engine_took;
    }

    fn ready(&mut self, demanded_at: Moment) {
        let Some((cause, kind)) = self.wake.take() else { return };
        let now = clock::now();
        let took = (kind == WakeKind::Start).then(|| now.since(demanded_at));
        self.metrics.wake(cause, WakeOutcome::Ready);
        self.rollups.woke(&self.name, took);
        if let Some(took) = took {
            self.metrics.wake_took(took);
            self.wakes.push_back(took);
            if self.wakes.len() > REMEMBERED_WAKES {
                self.wakes.pop_front();
            }
        }
        let at = clock::wall_at(now);
        let engine = self.engine_took;
        self.change_session(|session| session.wake = Wake::Ready { at, took, engine });
        self.store.session_ready(SessionReady { service: self.name.clone(), at, wake: took, engine });
        self.tell(What::WakeEnded { outcome: WakeOutcome::Ready, took, engine, reason: None });
        let duration_ms = took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        tracing::info!(service = %self.name, %cause, duration_ms, "ready");
    }

    /// Found ready at the start: the session goes on, or one begins now.
    fn found_ready(&mut self) {
        self.metrics.account(clock::now(), Being::Awake);
        if self.memory.open_session.is_none() {
            let (service, at) = (self.name.clone(), clock::wall());
            self.begin_session(WakeCause::Startup, at, AskedBy::default());
            self.change_session(|session| session.wake = Wake::Ready { at, took: None, engine: None });
            self.store.session_ready(SessionReady { service, at, wake: None, engine: None });
            self.last_wake = Some(WakeCause::Startup);
        }
        tracing::info!(service = %self.name, "ready, as it was found");
    }

    fn wake_failed(&mut self, outcome: WakeOutcome, reason: &str) {
        let Some((cause, _)) = self.wake.take() else { return };
        self.metrics.wake(cause, outcome);
        let (at, text) = (clock::wall(), reason.to_owned());
        self.change_session(|session| session.wake = Wake::Failed { at, outcome, reason: text });
        self.store.wake_failed(WakeFailed {
            service: self.name.clone(),
            outcome,
            reason: reason.to_owned(),
            at,
        });
        self.tell(What::WakeEnded { outcome, took: None, engine: None, reason: Some(reason.into()) });
        match outcome {
            WakeOutcome::Cancelled => tracing::info!(service = %self.name, %cause, "wake cancelled"),
            WakeOutcome::Failed | WakeOutcome::Timeout | WakeOutcome::Ready => {
                tracing::warn!(service = %self.name, %cause, %outcome, reason, "wake failed");
            }
        }
    }

    /// It is off or paused, by our order or somebody else's doing.
    fn asleep(&mut self, cause: StopCause, took: Option<Duration>, paused: bool) {
        let now = clock::now();
        self.last_stop = Some(cause);
        self.metrics.stop(cause);
        self.rests(now, paused);
        let stop = SessionStop { cause, at: clock::wall_at(now), took };
        let ended = stop.clone();
        self.change_session(|session| session.stop = Some(ended));
        let by = self.stopped_by.take().filter(|_| cause == StopCause::Manual);
        self.tell(What::Stopped { cause, took, paused, by });
        self.store.session_ended(SessionEnd { service: self.name.clone(), stop });
        let duration_ms = took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        tracing::info!(service = %self.name, %cause, duration_ms, paused, "asleep");
    }

    fn rests(&self, now: Moment, paused: bool) {
        let saving = if paused { 0 } else { self.memory_in_use };
        self.metrics.account(now, Being::Asleep { saving });
    }
}

impl Actor {
    /// Writes down what a step of the machine, from the phase `before`, brought about.
    pub(super) fn chronicle_step(&mut self, before: Phase, input: Input) {
        let after = self.machine.phase();
        let paused = self.machine.is_paused();
        match (before, input) {
            (_, Input::Found(found)) if after == Phase::Ready => {
                debug_assert_eq!(found.sighting, Sighting::Running);
                self.chronicle.found_ready();
            }
            (_, Input::Found(found)) if after == Phase::Stopping => {
                debug_assert!(found.stopping.is_some());
                self.chronicle.metrics.account(clock::now(), Being::Awake);
            }
            (_, Input::Found(_))
                if after == Phase::Asleep && self.chronicle.memory.open_session.is_some() =>
            {
                // It ended, or was paused, while nobody looked: as the last process had intended, or
                // by somebody else's doing.
                let intent = self.chronicle.memory.stop_intent.as_ref();
                let cause = intent.map_or(StopCause::External, |intent| intent.cause);
                self.chronicle.asleep(cause, None, paused);
            }
            (Phase::Waking, Input::WakeEnded { result: Ok(()), .. }) if after == Phase::Ready => {
                let demanded_at = self.waking.take().map_or_else(clock::now, |waking| waking.demanded_at);
                self.chronicle.ready(demanded_at);
            }
            (Phase::Waking, Input::WakeEnded { result: Err(_), .. }) => {
                self.waking = None;
                let reason = self.failure.as_ref().map(|failure| failure.reason.clone()).unwrap_or_default();
                self.chronicle.wake_failed(WakeOutcome::Failed, &reason);
                if after != Phase::Stopping {
                    self.chronicle.rests(clock::now(), paused);
                }
            }
            (Phase::Waking, Input::Deadline(_)) if after != Phase::Waking => {
                let reason = self.failure.as_ref().map(|failure| failure.reason.clone()).unwrap_or_default();
                self.chronicle.wake_failed(WakeOutcome::Timeout, &reason);
            }
            (Phase::Waking, Input::Stop(_) | Input::Retire) => {
                self.chronicle.wake_failed(WakeOutcome::Cancelled, "stopped on the way");
            }
            (Phase::Stopping, Input::StopEnded { end: StopEnd::Done, .. }) => {
                if let Some(stopping) = self.stopping.take() {
                    let took = clock::now().since(stopping.ordered_at);
                    if let Some(known) = &mut self.known {
                        known.state = if stopping.paused {
                            crate::ports::ContainerState::Paused
                        } else {
                            crate::ports::ContainerState::Exited
                        };
                    }
                    self.chronicle.asleep(stopping.cause, Some(took), stopping.paused);
                }
            }
            (Phase::Stopping, Input::StopEnded { .. }) if after == Phase::Ready => {
                if let Some(stopping) = self.stopping.take() {
                    tracing::info!(service = %self.chronicle.name, cause = %stopping.cause, "stop taken back");
                }
            }
            (Phase::Ready, Input::Seen(sighting)) if after != Phase::Ready => {
                self.chronicle.asleep(StopCause::External, None, sighting == Sighting::Paused);
            }
            _ => {}
        }
    }
}
