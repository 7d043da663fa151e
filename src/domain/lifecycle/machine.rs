//! The states and the one transition function.

mod by_hand;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::lifecycle::{
    DemandId, Effect, Found, Generation, How, Input, Policy, Rest, Sighting, StopEnd, Usage, WakeFailure,
    WakeKind, back_off,
};
use crate::domain::time::Moment;
use crate::domain::words::{Phase, Refusal, StopCause, WakeCause};

/// A deadline that passed while WakeDock was away is carried out this long after its return, so
/// that a request that is already at the door counts as demand.
const RETURN_GRACE: Duration = Duration::from_secs(1);

/// An adoption ends by itself within the wake timeout; this much later the machine stops waiting.
const ADOPTION_GRACE: Duration = Duration::from_secs(5);

/// The least time between two looks at the idle clock.
const LEAST_PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Asleep {
        rest: Rest,
        /// When a paused container is stopped for good.
        stop_at: Option<Moment>,
    },
    Waking {
        order: Generation,
        deadline: Moment,
        kind: WakeKind,
    },
    Ready {
        since: Moment,
        /// When to look at the idle clock next.
        check_at: Option<Moment>,
    },
    Stopping {
        order: Generation,
        deadline: Moment,
        how: How,
        cause: StopCause,
        /// What it goes back to when the stop is taken back.
        undo: Undo,
        /// Unused since, for the stop that follows a pause.
        quiet_since: Moment,
        /// Since when it was ready, should the stop be taken back.
        ready_since: Moment,
        /// Wake it again when it has stopped, though nobody waits.
        again: Option<WakeCause>,
        /// Stop it for good when it is paused.
        then_stop: Option<StopCause>,
        /// Somebody asked for a restart: a stop that was taken back is ordered again.
        restart: bool,
    },
    Failed {
        until: Moment,
    },
    /// Let go: no longer ours.
    Retired,
}

/// What a stop that is taken back goes back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Undo {
    /// It was serving, and goes on.
    Ready,
    /// It was paused, and is: it serves nobody before it is unpaused.
    Paused,
    /// It cannot be taken back: what runs was not ready, or may have been told to stop already.
    Never,
}

/// The lifecycle of one service.
#[derive(Debug, Clone)]
pub struct Machine {
    policy: Policy,
    state: State,
    /// Who waits, in the order they came.
    waiting: BTreeSet<DemandId>,
    generation: Generation,
    /// Failed wakes in a row.
    failures: u32,
    /// When the back-off of the last failure ends.
    retry_at: Moment,
    /// Not put to sleep for want of use before then.
    keep_until: Option<Moment>,
}

impl Machine {
    /// A service of which nothing is known yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            state: State::Asleep { rest: Rest::Off, stop_at: None },
            waiting: BTreeSet::new(),
            generation: Generation::default(),
            failures: 0,
            retry_at: Moment::START,
            keep_until: None,
        }
    }

    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Asleep { .. } | State::Retired => Phase::Asleep,
            State::Waking { .. } => Phase::Waking,
            State::Ready { .. } => Phase::Ready,
            State::Stopping { .. } => Phase::Stopping,
            State::Failed { .. } => Phase::Failed,
        }
    }

    /// Whether it rests with its memory kept.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        matches!(self.state, State::Asleep { rest: Rest::Paused, .. })
    }

    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.state == State::Retired
    }

    /// Whether an order is in progress, so that a look at the container proves nothing.
    #[must_use]
    pub fn has_order(&self) -> bool {
        matches!(self.state, State::Waking { .. } | State::Stopping { .. })
    }

    /// When the next wake may be tried, after a failed one.
    #[must_use]
    pub fn retry_at(&self) -> Moment {
        self.retry_at
    }

    /// Since when it has been ready.
    #[must_use]
    pub fn ready_since(&self) -> Option<Moment> {
        match self.state {
            State::Ready { since, .. } => Some(since),
            State::Asleep { .. }
            | State::Waking { .. }
            | State::Stopping { .. }
            | State::Failed { .. }
            | State::Retired => None,
        }
    }

    /// When it wants an [`Input::Deadline`], if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Asleep { stop_at, .. } => stop_at,
            State::Waking { deadline, .. } | State::Stopping { deadline, .. } => Some(deadline),
            State::Ready { check_at, .. } => check_at,
            State::Failed { .. } | State::Retired => None,
        }
    }

    /// One thing happens; what is to be done about it.
    pub fn step(&mut self, now: Moment, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Found(found) => self.found(now, found, &mut effects),
            Input::Demand(id) => self.demand(now, id, &mut effects),
            Input::Withdraw(id) => {
                self.waiting.remove(&id);
            }
            Input::Wake(cause) => self.wake(now, cause, &mut effects),
            Input::Stop(cause) => self.stop(now, cause, &mut effects),
            Input::Restart => self.restart(now, &mut effects),
            Input::KeepAwake(until) => self.keep_awake(now, until, &mut effects),
            Input::Seen(sighting) => self.seen(now, sighting, &mut effects),
            Input::WakeEnded { order, result, clean_up } => {
                self.wake_ended(now, order, result, clean_up, &mut effects);
            }
            Input::StopEnded { order, end } => self.stop_ended(now, order, end, &mut effects),
            Input::Deadline(usage) => self.at_deadline(now, usage, &mut effects),
            Input::Renewed => self.forgive(),
            Input::Respec(policy) => self.respec(now, policy),
            Input::Retire => self.retire(&mut effects),
        }
        self.check_invariants();
        effects
    }

    fn found(&mut self, now: Moment, found: Found, effects: &mut Vec<Effect>) {
        if !matches!(self.state, State::Asleep { .. }) || self.has_waiting() {
            // Somebody was faster than the first look; what they ordered goes its way.
            return;
        }
        let quiet_since = found.quiet_since.unwrap_or(now);
        let ready_since = found.ready_since.unwrap_or(now);
        match (found.sighting, found.stopping) {
            (Sighting::Running, Some((how, cause))) => {
                // It may have been told to stop: no request goes to it any more.
                self.order_stop(now, how, cause, Undo::Never, (quiet_since, ready_since), effects);
            }
            (Sighting::Running, None) if found.settled => {
                let check_at = self.due(ready_since, quiet_since).map(|(_, due)| due.max(now + RETURN_GRACE));
                self.state = State::Ready { since: ready_since, check_at };
                effects.push(Effect::Open { clock_from: quiet_since });
            }
            (Sighting::Running, None) => self.order_wake(now, WakeCause::Startup, WakeKind::Adopt, effects),
            (Sighting::Paused, _) => {
                let stop_at = self.stop_at(quiet_since).map(|at| at.max(now + RETURN_GRACE));
                self.state = State::Asleep { rest: Rest::Paused, stop_at };
            }
            (Sighting::Off, _) => self.state = State::Asleep { rest: Rest::Off, stop_at: None },
        }
    }

    fn demand(&mut self, now: Moment, id: DemandId, effects: &mut Vec<Effect>) {
        match &self.state {
            State::Ready { .. } => effects.push(Effect::Admit(id)),
            State::Asleep { .. } => {
                self.waiting.insert(id);
                self.order_wake(now, WakeCause::Request, WakeKind::Start, effects);
            }
            State::Waking { .. } => {
                self.waiting.insert(id);
            }
            State::Stopping { cause: StopCause::FailedWake, again: None, .. } => {
                effects.push(Effect::Refuse(id, self.backing_off(now)));
            }
            State::Stopping { order, undo, .. } => {
                if *undo != Undo::Never {
                    effects.push(Effect::CancelStop { order: *order });
                }
                self.waiting.insert(id);
            }
            State::Failed { until } if *until > now => {
                effects.push(Effect::Refuse(id, self.backing_off(now)));
            }
            State::Failed { .. } => {
                self.waiting.insert(id);
                self.order_wake(now, WakeCause::Request, WakeKind::Start, effects);
            }
            State::Retired => effects.push(Effect::Refuse(id, Refusal::UnknownHost)),
        }
    }

    /// When a service that is ready since `ready` and unused since `quiet` falls asleep, and how.
    fn due(&self, ready: Moment, quiet: Moment) -> Option<(How, Moment)> {
        let (how, due) = self.policy.due(ready, quiet)?;
        Some((how, self.keep_until.map_or(due, |keep| due.max(keep))))
    }

    /// When what is paused and unused since `quiet` is stopped for good.
    fn stop_at(&self, quiet: Moment) -> Option<Moment> {
        let at = quiet + self.policy.stop_after?;
        Some(self.keep_until.map_or(at, |keep| at.max(keep)))
    }

    fn seen(&mut self, now: Moment, sighting: Sighting, effects: &mut Vec<Effect>) {
        match (&self.state, sighting) {
            // The order that is in progress will tell.
            (State::Waking { .. } | State::Stopping { .. } | State::Retired, _) => {}
            (State::Ready { .. }, Sighting::Running) | (State::Failed { .. }, Sighting::Off) => {}
            (State::Asleep { rest: Rest::Paused, .. }, Sighting::Paused)
            | (State::Asleep { rest: Rest::Off, .. }, Sighting::Off) => {}
            (State::Asleep { .. } | State::Failed { .. }, Sighting::Running) => {
                self.forgive();
                self.order_wake(now, WakeCause::External, WakeKind::Adopt, effects);
            }
            (State::Ready { .. } | State::Asleep { .. } | State::Failed { .. }, Sighting::Paused) => {
                effects.push(Effect::Close);
                let stop_at = self.stop_at(now);
                self.state = State::Asleep { rest: Rest::Paused, stop_at };
            }
            (State::Ready { .. } | State::Asleep { .. }, Sighting::Off) => {
                effects.push(Effect::Close);
                self.state = State::Asleep { rest: Rest::Off, stop_at: None };
            }
        }
    }

    fn wake_ended(
        &mut self,
        now: Moment,
        of: Generation,
        result: Result<(), WakeFailure>,
        clean_up: bool,
        effects: &mut Vec<Effect>,
    ) {
        let State::Waking { order, kind, .. } = self.state else { return };
        if order != of {
            return;
        }
        match result {
            Ok(()) => {
                self.failures = 0;
                self.become_ready(now, now, now, effects);
            }
            Err(WakeFailure::EngineAway) => {
                self.refuse_waiting(Refusal::EngineUnavailable, effects);
                self.state = State::Asleep { rest: Rest::Off, stop_at: None };
            }
            Err(WakeFailure::ContainerAway) => {
                // Whoever still waits waits for as long as he wants to, and the next one as well.
                self.state = State::Asleep { rest: Rest::Off, stop_at: None };
                if self.has_waiting() {
                    self.order_wake(now, WakeCause::Request, WakeKind::Start, effects);
                }
            }
            Err(WakeFailure::Exited) if kind == WakeKind::Adopt => {
                // It ended by itself, as it had begun. Who waits gets a start of our own.
                self.state = State::Asleep { rest: Rest::Off, stop_at: None };
                if self.has_waiting() {
                    self.order_wake(now, WakeCause::Request, WakeKind::Start, effects);
                }
            }
            Err(WakeFailure::Exited | WakeFailure::Refused) => self.fail(now, clean_up, effects),
        }
    }

    /// A wake failed: who waits is refused, what was started is stopped, and the next try waits.
    fn fail(&mut self, now: Moment, clean_up: bool, effects: &mut Vec<Effect>) {
        self.failures = self.failures.saturating_add(1);
        let pause = back_off(self.failures);
        self.retry_at = now + pause;
        self.refuse_waiting(Refusal::Failed { retry_after: pause }, effects);
        if clean_up {
            self.order_stop(now, How::Stop, StopCause::FailedWake, Undo::Never, (now, now), effects);
        } else {
            self.state = State::Failed { until: self.retry_at };
        }
    }

    fn stop_ended(&mut self, now: Moment, of: Generation, end: StopEnd, effects: &mut Vec<Effect>) {
        let State::Stopping {
            order,
            how,
            cause,
            undo,
            quiet_since,
            ready_since,
            again,
            then_stop,
            restart,
            ..
        } = self.state
        else {
            return;
        };
        if order != of {
            return;
        }
        let rest = match (end, how) {
            (StopEnd::Cancelled, _) if undo == Undo::Ready => {
                self.become_ready(now, ready_since, now, effects);
                if restart {
                    self.restart(now, effects);
                }
                return;
            }
            (StopEnd::Failed, _) if cause != StopCause::FailedWake => {
                // It still runs, as far as Docker knows. Whether it still serves, a probe tells.
                return self.order_wake(now, WakeCause::External, WakeKind::Adopt, effects);
            }
            (StopEnd::Cancelled, _) | (_, How::Pause) => Rest::Paused,
            (StopEnd::Failed | StopEnd::Done, How::Stop) => Rest::Off,
        };
        let stop_at = match rest {
            Rest::Off => None,
            Rest::Paused => self.stop_at(quiet_since).map(|at| at.max(now)),
        };
        self.state = if cause == StopCause::FailedWake {
            State::Failed { until: self.retry_at }
        } else {
            State::Asleep { rest, stop_at }
        };
        if self.has_waiting() {
            self.order_wake(now, WakeCause::Request, WakeKind::Start, effects);
        } else if let Some(cause) = again {
            self.order_wake(now, cause, WakeKind::Start, effects);
        } else if let (Rest::Paused, Some(cause)) = (rest, then_stop) {
            self.order_stop(now, How::Stop, cause, Undo::Paused, (quiet_since, ready_since), effects);
        }
    }

    fn at_deadline(&mut self, now: Moment, usage: Usage, effects: &mut Vec<Effect>) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            // The gate may have been closed for this look; it must not stay so.
            if matches!(self.state, State::Ready { .. }) {
                effects.push(Effect::Reopen);
            }
            return;
        }
        match self.state {
            State::Ready { since, .. } => self.idle_check(now, since, usage, effects),
            // Somebody paused it under a client, who may still be there when it is unpaused.
            State::Asleep { rest, .. } if usage == Usage::InUse => {
                let stop_at = self.stop_at(now).map(|at| at.max(now + LEAST_PAUSE));
                self.state = State::Asleep { rest, stop_at };
            }
            State::Asleep { .. } => {
                self.order_stop(now, How::Stop, StopCause::Idle, Undo::Paused, (now, now), effects);
            }
            State::Waking { order, kind, .. } => {
                effects.push(Effect::AbandonWake { order });
                // What somebody else started is not ours to stop.
                self.fail(now, kind == WakeKind::Start, effects);
            }
            State::Stopping { order, .. } => {
                // Docker never answered. The next look at the container will tell what it is.
                effects.push(Effect::CancelStop { order });
                self.failures = self.failures.saturating_add(1);
                self.retry_at = now + back_off(self.failures);
                self.refuse_waiting(Refusal::EngineUnavailable, effects);
                self.state = State::Failed { until: self.retry_at };
            }
            State::Failed { .. } | State::Retired => {}
        }
    }

    fn idle_check(&mut self, now: Moment, ready_since: Moment, usage: Usage, effects: &mut Vec<Effect>) {
        // In use: at the earliest it is idle when the last lease ends this very moment.
        let quiet_since = match usage {
            Usage::InUse => now,
            Usage::Quiet { since } => since,
        };
        match self.due(ready_since, quiet_since) {
            Some((how, due)) if due <= now && usage != Usage::InUse => {
                self.order_stop(now, how, StopCause::Idle, Undo::Ready, (quiet_since, ready_since), effects);
            }
            due => {
                // Never at once again: a `stop_after` of zero must not make this spin.
                let check_at = due.map(|(_, due)| due.max(now + LEAST_PAUSE));
                self.state = State::Ready { since: ready_since, check_at };
                effects.push(Effect::Reopen);
            }
        }
    }

    fn respec(&mut self, now: Moment, policy: Policy) {
        self.policy = policy;
        self.forgive();
        self.look_again(now);
    }

    /// What the policy says of sleep has changed.
    fn look_again(&mut self, now: Moment) {
        let (policy, from_now) = (self.policy, self.stop_at(now));
        match &mut self.state {
            // The next look at the idle clock finds out what the new policy makes of it.
            State::Ready { check_at, .. } => *check_at = policy.first_sleep().map(|_| now),
            State::Asleep { rest: Rest::Paused, stop_at } => *stop_at = from_now,
            State::Asleep { .. }
            | State::Waking { .. }
            | State::Stopping { .. }
            | State::Failed { .. }
            | State::Retired => {}
        }
    }

    /// Ends the back-off.
    fn forgive(&mut self) {
        self.failures = 0;
        if matches!(self.state, State::Failed { .. }) {
            self.state = State::Asleep { rest: Rest::Off, stop_at: None };
        }
    }

    fn retire(&mut self, effects: &mut Vec<Effect>) {
        match self.state {
            State::Waking { order, .. } => effects.push(Effect::AbandonWake { order }),
            State::Stopping { order, .. } => effects.push(Effect::CancelStop { order }),
            State::Asleep { .. } | State::Ready { .. } | State::Failed { .. } | State::Retired => {}
        }
        effects.push(Effect::Close);
        self.refuse_waiting(Refusal::UnknownHost, effects);
        self.state = State::Retired;
    }

    fn become_ready(
        &mut self,
        now: Moment,
        ready_since: Moment,
        clock_from: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let check_at = self.due(ready_since, now).map(|(_, due)| due);
        self.state = State::Ready { since: ready_since, check_at };
        effects.push(Effect::Open { clock_from });
        effects.extend(std::mem::take(&mut self.waiting).into_iter().map(Effect::Admit));
    }

    fn order_wake(&mut self, now: Moment, cause: WakeCause, kind: WakeKind, effects: &mut Vec<Effect>) {
        let order = self.next_order();
        let grace = match kind {
            WakeKind::Start => Duration::ZERO,
            WakeKind::Adopt => ADOPTION_GRACE,
        };
        let deadline = now + self.policy.wake_timeout + grace;
        self.state = State::Waking { order, deadline, kind };
        effects.push(Effect::OrderWake { order, cause, kind });
    }

    fn order_stop(
        &mut self,
        now: Moment,
        how: How,
        cause: StopCause,
        undo: Undo,
        (quiet_since, ready_since): (Moment, Moment),
        effects: &mut Vec<Effect>,
    ) {
        let order = self.next_order();
        self.state = State::Stopping {
            order,
            deadline: self.policy.stop_deadline(now),
            how,
            cause,
            undo,
            quiet_since,
            ready_since,
            again: None,
            then_stop: None,
            restart: false,
        };
        effects.push(Effect::OrderStop { order, how, cause });
    }

    fn next_order(&mut self) -> Generation {
        self.generation = Generation(self.generation.0 + 1);
        self.generation
    }

    fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn refuse_waiting(&mut self, refusal: Refusal, effects: &mut Vec<Effect>) {
        effects.extend(std::mem::take(&mut self.waiting).into_iter().map(|id| Effect::Refuse(id, refusal)));
    }

    fn backing_off(&self, now: Moment) -> Refusal {
        Refusal::BackingOff { retry_after: self.retry_at.since(now) }
    }

    /// What must hold after every step, whatever came.
    fn check_invariants(&self) {
        debug_assert!(
            !self.has_waiting() || self.has_order(),
            "somebody waits in {:?}, where nothing will come",
            self.state
        );
        debug_assert!(
            !self.has_order() || self.deadline().is_some(),
            "an order without a deadline in {:?}",
            self.state
        );
    }
}
