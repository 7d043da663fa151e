//! What people and schedules order: wake, stop, restart, keep awake.

use crate::domain::lifecycle::machine::{Machine, State, Undo};
use crate::domain::lifecycle::{Effect, How, Rest, WakeKind};
use crate::domain::time::Moment;
use crate::domain::words::{StopCause, WakeCause};

impl Machine {
    pub(super) fn wake(&mut self, now: Moment, cause: WakeCause, effects: &mut Vec<Effect>) {
        let by_hand = cause == WakeCause::Manual;
        match &mut self.state {
            State::Asleep { .. } => self.order_wake(now, cause, WakeKind::Start, effects),
            State::Failed { until } if by_hand || *until <= now => {
                self.order_wake(now, cause, WakeKind::Start, effects);
            }
            State::Stopping { cause: StopCause::FailedWake, again, .. } => {
                if by_hand {
                    *again = Some(cause);
                }
            }
            State::Stopping { order, again, undo, .. } => {
                *again = Some(cause);
                if *undo != Undo::Never {
                    effects.push(Effect::CancelStop { order: *order });
                }
            }
            State::Failed { .. } | State::Waking { .. } | State::Ready { .. } | State::Retired => {}
        }
    }

    pub(super) fn stop(&mut self, now: Moment, cause: StopCause, effects: &mut Vec<Effect>) {
        if cause == StopCause::Manual {
            self.keep_until = None;
        }
        match &mut self.state {
            State::Waking { order, .. } => {
                effects.push(Effect::AbandonWake { order: *order });
                // Who waits goes on waiting, and is served by a new wake.
                self.order_stop(now, How::Stop, cause, Undo::Never, (now, now), effects);
            }
            State::Ready { since, .. } => {
                let since = *since;
                effects.push(Effect::Close);
                self.order_stop(now, How::Stop, cause, Undo::Ready, (now, since), effects);
            }
            State::Asleep { rest: Rest::Paused, .. } => {
                self.order_stop(now, How::Stop, cause, Undo::Paused, (now, now), effects);
            }
            State::Stopping { how: How::Pause, then_stop, again, restart, .. } => {
                *then_stop = Some(cause);
                *again = None;
                *restart = false;
            }
            State::Stopping { again, restart, .. } => {
                *again = None;
                *restart = false;
            }
            State::Asleep { rest: Rest::Off, .. } | State::Failed { .. } | State::Retired => {}
        }
    }

    pub(super) fn restart(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let by_hand = StopCause::Manual;
        match &mut self.state {
            State::Ready { since, .. } => {
                let since = *since;
                effects.push(Effect::Close);
                // Not to be taken back: who comes meanwhile waits for the new start.
                self.order_stop(now, How::Stop, by_hand, Undo::Never, (now, since), effects);
            }
            State::Waking { order, .. } => {
                effects.push(Effect::AbandonWake { order: *order });
                self.order_stop(now, How::Stop, by_hand, Undo::Never, (now, now), effects);
            }
            State::Stopping { .. } => {}
            State::Asleep { .. } | State::Failed { .. } => {
                return self.order_wake(now, WakeCause::Manual, WakeKind::Start, effects);
            }
            State::Retired => return,
        }
        if let State::Stopping { again, then_stop, restart, .. } = &mut self.state {
            *again = Some(WakeCause::Manual);
            *then_stop = None;
            *restart = true;
        }
    }

    pub(super) fn keep_awake(&mut self, now: Moment, until: Option<Moment>, effects: &mut Vec<Effect>) {
        self.keep_until = until.filter(|until| *until > now);
        self.look_again(now);
        if self.keep_until.is_none() {
            return;
        }
        if let State::Stopping { order, cause: StopCause::Idle, undo: Undo::Ready | Undo::Paused, .. } =
            self.state
        {
            effects.push(Effect::CancelStop { order });
        }
    }
}
