//! What is written down of a service: its history in the store, its figures in the metrics, and
//! what is learned from both. The machine's steps are told here, after they were made.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::domain::lifecycle::{Input, Sighting, StopEnd, WakeKind};
use crate::domain::name::ServiceName;
use crate::domain::time::Moment;
use crate::domain::words::{Phase, StopCause, WakeCause, WakeOutcome};
use crate::metrics::{Being, ServiceMetrics};
use crate::store::{
    REMEMBERED_WAKES, ServiceMemory, SessionEnd, SessionReady, SessionStart, SessionStop, Store, WakeFailed,
};
use crate::supervisor::actor::Actor;
use crate::supervisor::handle::AskedBy;

/// The record of one service.
pub(super) struct Chronicle {
    name: ServiceName,
    store: Store,
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
}

impl Chronicle {
    pub(super) fn new(
        name: ServiceName,
        store: Store,
        metrics: Arc<ServiceMetrics>,
        memory: ServiceMemory,
    ) -> Self {
        let wakes = memory.wake_durations.iter().copied().collect();
        let last_wake = memory.open_session.as_ref().map(|session| session.cause);
        Self {
            name,
            store,
            metrics,
            memory,
            wakes,
            memory_in_use: 0,
            wake: None,
            unpaused: false,
            last_wake,
            last_stop: None,
        }
    }

    /// What is remembered, for the first look.
    pub(super) fn take_memory(&mut self) -> ServiceMemory {
        self.memory.clone()
    }

    pub(super) fn memory(&mut self, bytes: u64) {
        self.memory_in_use = bytes;
    }

    pub(super) fn wake_cause(&self) -> Option<WakeCause> {
        self.last_wake
    }

    pub(super) fn stop_cause(&self) -> Option<StopCause> {
        self.last_stop
    }

    /// How long a wake usually takes: the median of the last ones.
    pub(super) fn usual(&self) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.wakes.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    pub(super) fn wake_ordered(&mut self, now: Moment, cause: WakeCause, kind: WakeKind, by: &AskedBy) {
        self.wake = Some((cause, kind));
        self.last_wake = Some(cause);
        self.metrics.account(now, Being::Awake);
        self.store.session_started(SessionStart {
            service: self.name.clone(),
            cause,
            ordered_at: clock::wall_at(now),
        });
        let (request_id, host) = (by.request_id.as_deref(), by.host.as_deref());
        tracing::info!(service = %self.name, %cause, request_id, host, "waking");
    }

    /// The application answers, after a start or only an unpause.
    pub(super) fn answers(&mut self, unpaused: bool) {
        self.unpaused = unpaused;
    }

    fn ready(&mut self, demanded_at: Moment) {
        let Some((cause, kind)) = self.wake.take() else { return };
        let now = clock::now();
        let took = (kind == WakeKind::Start).then(|| now.since(demanded_at));
        self.metrics.wake(cause, WakeOutcome::Ready);
        if let Some(took) = took {
            self.metrics.wake_took(took);
            self.wakes.push_back(took);
            if self.wakes.len() > REMEMBERED_WAKES {
                self.wakes.pop_front();
            }
        }
        self.store.session_ready(SessionReady {
            service: self.name.clone(),
            at: clock::wall_at(now),
            wake: took,
        });
        let duration_ms = took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        tracing::info!(service = %self.name, %cause, duration_ms, "ready");
    }

    /// Found ready at the start: the session goes on, or one begins now.
    fn found_ready(&mut self) {
        self.metrics.account(clock::now(), Being::Awake);
        if self.memory.open_session.is_none() {
            let (service, at) = (self.name.clone(), clock::wall());
            let start = SessionStart { service: service.clone(), cause: WakeCause::Startup, ordered_at: at };
            self.store.session_started(start);
            self.store.session_ready(SessionReady { service, at, wake: None });
            self.last_wake = Some(WakeCause::Startup);
        }
        tracing::info!(service = %self.name, "ready, as it was found");
    }

    fn wake_failed(&mut self, outcome: WakeOutcome, reason: &str) {
        let Some((cause, _)) = self.wake.take() else { return };
        self.metrics.wake(cause, outcome);
        self.store.wake_failed(WakeFailed {
            service: self.name.clone(),
            outcome,
            reason: reason.to_owned(),
            at: clock::wall(),
        });
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
