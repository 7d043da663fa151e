//! Random walks: choices are generated and read against the current phase, so that the
//! interesting corners are reached and a failure shrinks.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use wakedock::domain::lifecycle::{
    DemandId, Effect, Generation, How, Input, Machine, Policy, Sighting, StopEnd, Usage, WakeFailure,
    WakeKind,
};
use wakedock::domain::time::Moment;
use wakedock::domain::words::{Phase, Refusal, StopCause, WakeCause};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Box_ {
    Off,
    Running,
    Paused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waiting,
    Admitted,
    Refused,
    Withdrawn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Wake(WakeKind),
    Stop(How, StopCause),
}

/// The world around the machine: container, gate, clients, and orders on their way.
struct World {
    machine: Machine,
    policy: Policy,
    now: Moment,
    container: Box_,
    /// The container changed by somebody else's doing, and the machine has not seen it yet.
    unseen: bool,
    open: bool,
    leases: u32,
    quiet_since: Moment,
    ready_since: Moment,
    current: Option<(Generation, Order)>,
    stale: Vec<Generation>,
    demands: BTreeMap<DemandId, Fate>,
    idle_stops: u32,
    starts: u32,
    /// Kept awake until then.
    kept: Option<Moment>,
    /// Idle stops that had to wait for that.
    late_stops: u32,
}

impl World {
    fn new(policy: Policy) -> Self {
        Self {
            machine: Machine::new(policy),
            policy,
            now: Moment::START,
            container: Box_::Off,
            unseen: false,
            open: false,
            leases: 0,
            quiet_since: Moment::START,
            ready_since: Moment::START,
            current: None,
            stale: Vec::new(),
            demands: BTreeMap::new(),
            idle_stops: 0,
            starts: 0,
            kept: None,
            late_stops: 0,
        }
    }

    fn step(&mut self, input: Input) {
        if let Input::Demand(id) = input {
            self.demands.insert(id, Fate::Waiting);
        }
        match input {
            Input::KeepAwake(until) => self.kept = until,
            Input::Stop(StopCause::Manual) => self.kept = None,
            _ => {}
        }
        let effects = self.machine.step(self.now, input);
        for effect in effects {
            self.carry_out(effect);
        }
        self.check();
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::OrderWake { order, kind, .. } => {
                assert_eq!(self.current, None, "one order at a time");
                assert!(!self.open, "the gate is closed while it wakes");
                self.current = Some((order, Order::Wake(kind)));
                self.starts += u32::from(kind == WakeKind::Start);
            }
            Effect::AbandonWake { order } => {
                assert_eq!(self.current.map(|(of, _)| of), Some(order));
                if self.current == Some((order, Order::Wake(WakeKind::Start))) {
                    // The start may have come through by now.
                    self.container = Box_::Running;
                }
                self.current = None;
                self.stale.push(order);
            }
            Effect::OrderStop { order, how, cause } => {
                assert_eq!(self.current, None, "one order at a time");
                assert!(!self.open, "nobody passes while it stops");
                if cause == StopCause::Idle {
                    assert_eq!(self.leases, 0, "an idle stop under a lease");
                    let after = if how == How::Pause || self.container == Box_::Running {
                        self.policy.first_sleep().expect("an idle stop without a policy").1
                    } else {
                        Duration::ZERO
                    };
                    assert!(self.now >= self.quiet_since + after, "stopped early");
                    assert!(self.kept.is_none_or(|kept| self.now >= kept), "stopped while it is kept awake");
                    self.late_stops +=
                        u32::from(self.kept.is_some_and(|kept| kept > self.quiet_since + after));
                    if self.container == Box_::Running {
                        assert!(
                            self.now >= self.ready_since + self.policy.min_awake,
                            "stopped before min_awake"
                        );
                    }
                    self.idle_stops += 1;
                }
                self.current = Some((order, Order::Stop(how, cause)));
            }
            Effect::CancelStop { order } => {
                assert_eq!(self.current.map(|(of, _)| of), Some(order));
                if self.machine.phase() != Phase::Stopping {
                    self.current = None;
                    self.stale.push(order);
                }
            }
            Effect::Open { clock_from } => {
                assert!(self.container == Box_::Running || self.unseen, "opened to a container that is off");
                self.open = true;
                self.quiet_since = self.quiet_since.max(clock_from);
            }
            Effect::Reopen => {
                assert_eq!(self.machine.phase(), Phase::Ready);
                self.open = true;
            }
            Effect::Close => self.open = false,
            Effect::Admit(id) => {
                assert!(self.open, "admitted through a closed gate");
                assert_eq!(self.demands.insert(id, Fate::Admitted), Some(Fate::Waiting), "answered twice");
                self.leases += 1;
            }
            Effect::Refuse(id, _) => {
                assert_eq!(self.demands.insert(id, Fate::Refused), Some(Fate::Waiting), "answered twice");
            }
        }
    }

    fn check(&self) {
        let phase = self.machine.phase();
        if self.demands.values().any(|fate| *fate == Fate::Waiting) {
            assert!(matches!(phase, Phase::Waking | Phase::Stopping), "somebody waits in {phase}");
            assert!(self.machine.deadline().is_some(), "whoever waits, waits on a deadline");
        }
        assert_eq!(self.open, phase == Phase::Ready, "the gate is open in the ready phase alone");
        assert_eq!(self.current.is_some(), self.machine.has_order(), "the machine knows of its order");
        if phase == Phase::Asleep && !self.unseen && !self.machine.is_retired() {
            assert_ne!(self.container, Box_::Running, "asleep means off");
            assert_eq!(self.machine.is_paused(), self.container == Box_::Paused);
        }
        if phase == Phase::Failed && !self.unseen {
            assert_eq!(self.container, Box_::Off, "a failed wake leaves nothing running");
        }
    }

    fn end_wake(&mut self, choice: u8) {
        let Some((order, Order::Wake(kind))) = self.current else { return };
        let (result, clean_up) = match (choice % 5, kind) {
            (0..=1, _) if kind == WakeKind::Start || self.container == Box_::Running => {
                self.container = Box_::Running;
                self.ready_since = self.now;
                (Ok(()), false)
            }
            (3, WakeKind::Start) => {
                self.container = Box_::Off;
                (Err(WakeFailure::Refused), false)
            }
            (2, WakeKind::Start) => {
                self.container = Box_::Off;
                (Err(WakeFailure::ContainerAway), false)
            }
            (_, WakeKind::Start) => {
                self.container = Box_::Running;
                (Err(WakeFailure::Exited), true)
            }
            (_, WakeKind::Adopt) => {
                self.container = Box_::Off;
                (Err(WakeFailure::Exited), false)
            }
        };
        self.unseen = false;
        self.current = None;
        self.step(Input::WakeEnded { order, result, clean_up });
    }

    fn end_stop(&mut self, choice: u8) {
        let Some((order, Order::Stop(how, cause))) = self.current else { return };
        let end = match choice % 6 {
            // Of what is taken back, one was serving and one was paused.
            0 if self.container != Box_::Off && cause == StopCause::Idle => StopEnd::Cancelled,
            1 if self.container == Box_::Running && cause != StopCause::FailedWake => StopEnd::Failed,
            _ => {
                self.container =
                    if how == How::Pause && self.container != Box_::Off { Box_::Paused } else { Box_::Off };
                // A pause of what had ended by itself finds it off: the next look tells.
                self.unseen = how == How::Pause && self.container == Box_::Off;
                StopEnd::Done
            }
        };
        self.current = None;
        self.step(Input::StopEnded { order, end });
    }

    /// Time goes on to the machine's deadline.
    fn pass_to_deadline(&mut self) {
        let Some(deadline) = self.machine.deadline() else { return };
        self.now = self.now.max(deadline);
        let usage = if self.leases > 0 {
            Usage::InUse
        } else {
            self.open = false;
            Usage::Quiet { since: self.quiet_since }
        };
        if matches!(self.current, Some((_, Order::Stop(..) | Order::Wake(WakeKind::Adopt)))) {
            // An order that was never answered: whether it came through, the next look tells.
            self.unseen = true;
        }
        self.step(Input::Deadline(usage));
    }

    fn look(&mut self) {
        if self.machine.has_order() {
            return;
        }
        self.unseen = false;
        let sighting = match self.container {
            Box_::Off => Sighting::Off,
            Box_::Running => Sighting::Running,
            Box_::Paused => Sighting::Paused,
        };
        // The clock of a pause by somebody else starts when it is seen.
        self.step(Input::Seen(sighting));
    }

    fn act(&mut self, choice: u8, id: u64) {
        let argument = choice / 16;
        match (self.machine.phase(), choice % 16) {
            (_, 0..=2) => self.step(Input::Demand(DemandId(id))),
            (_, 3) => {
                if let Some((id, _)) = self.demands.iter().find(|(_, fate)| **fate == Fate::Waiting) {
                    let id = *id;
                    self.demands.insert(id, Fate::Withdrawn);
                    self.step(Input::Withdraw(id));
                }
            }
            (Phase::Ready, 4..=7) => {
                if self.leases > 0 {
                    self.leases -= 1;
                    self.quiet_since = self.quiet_since.max(self.now);
                }
            }
            (Phase::Waking, 4..=9) => self.end_wake(argument),
            (Phase::Stopping, 4..=9) => self.end_stop(argument),
            (_, 10) => self.now = self.now + Duration::from_millis(700 * u64::from(argument)),
            (_, 11) => {
                // Late answers to old orders, of both kinds.
                if let Some(order) = self.stale.last().copied() {
                    let before = format!("{:?}", self.machine);
                    self.step(Input::WakeEnded { order, result: Ok(()), clean_up: false });
                    self.step(Input::WakeEnded { order, result: Err(WakeFailure::Exited), clean_up: true });
                    self.step(Input::StopEnded { order, end: StopEnd::Done });
                    assert_eq!(before, format!("{:?}", self.machine), "stale answers are inert");
                }
            }
            (_, 12) => {
                if self.current.is_none() {
                    self.container = [Box_::Off, Box_::Running, Box_::Paused][usize::from(argument) % 3];
                    self.unseen = true;
                }
                self.look();
            }
            (_, 13) if argument.is_multiple_of(4) => self.step(Input::Stop(StopCause::Manual)),
            (_, 13) if argument % 4 == 1 => self.step(Input::Wake(WakeCause::Manual)),
            (_, 13) if argument % 4 == 2 => self.step(Input::Wake(WakeCause::Request)),
            (_, 13) if argument == 3 => self.step(Input::KeepAwake(Some(self.now + Duration::from_secs(3)))),
            (_, 13) if argument == 7 => self.step(Input::KeepAwake(Some(self.now + Duration::from_secs(30)))),
            (_, 13) if argument == 11 => self.step(Input::KeepAwake(None)),
            (_, 13) => self.step(Input::Restart),
            _ => self.pass_to_deadline(),
        }
    }

    /// Nothing more happens: everybody leaves, orders are carried out, deadlines come.
    fn come_to_rest(&mut self) {
        for (id, fate) in self.demands.clone() {
            if fate == Fate::Waiting {
                self.demands.insert(id, Fate::Withdrawn);
                self.step(Input::Withdraw(id));
            }
        }
        self.leases = 0;
        self.quiet_since = self.quiet_since.max(self.now);
        for _ in 0..16 {
            match self.current {
                Some((_, Order::Wake(_))) => self.end_wake(0),
                Some((_, Order::Stop(..))) => self.end_stop(2),
                None if self.unseen => self.look(),
                None => self.pass_to_deadline(),
            }
        }
        let phase = self.machine.phase();
        assert!(matches!(phase, Phase::Asleep | Phase::Failed), "does not come to rest, but stays {phase}");
        assert_eq!(self.container, Box_::Off);
        assert!(!self.machine.has_order());
    }
}

fn policies() -> impl Strategy<Value = Policy> {
    (prop::option::of(1u64..4), 4u64..9, 0u64..12).prop_map(|(pause, stop, awake)| Policy {
        wake_timeout: Duration::from_secs(5),
        pause_after: pause.map(Duration::from_secs),
        stop_after: Some(Duration::from_secs(stop)),
        min_awake: Duration::from_secs(awake),
        stop_timeout: Duration::from_secs(2),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn holds_its_promises_on_every_walk(policy in policies(), choices in prop::collection::vec(any::<u8>(), 1..80)) {
        let mut world = World::new(policy);
        for (number, choice) in choices.iter().enumerate() {
            world.act(*choice, number as u64);
        }
        world.come_to_rest();
        prop_assert!(world.demands.values().all(|fate| *fate != Fate::Waiting));
    }
}

/// The generator is worth something only if it reaches the corners.
#[test]
fn walks_reach_the_corners() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut twice_idle = 0;
    let mut refused = 0;
    let mut late = 0;
    for _ in 0..500 {
        let (policy, choices) =
            (policies(), prop::collection::vec(any::<u8>(), 79..80)).new_tree(&mut runner).unwrap().current();
        let mut world = World::new(policy);
        for (number, choice) in choices.iter().enumerate() {
            world.act(*choice, number as u64);
        }
        twice_idle += u32::from(world.idle_stops >= 2 && world.starts >= 2);
        late += u32::from(world.late_stops > 0);
        refused += u32::from(world.demands.values().any(|fate| *fate == Fate::Refused));
    }
    assert!(twice_idle > 50, "only {twice_idle} of 500 walks slept twice");
    assert!(late > 20, "only {late} of 500 walks slept late because somebody had kept them awake");
    assert!(refused > 50, "only {refused} of 500 walks refused anybody");
}

/// Retirement ends every wait, from every phase.
#[test]
fn retirement_refuses_who_waits() {
    let policy = Policy {
        wake_timeout: Duration::from_secs(5),
        pause_after: None,
        stop_after: Some(Duration::from_secs(5)),
        min_awake: Duration::ZERO,
        stop_timeout: Duration::from_secs(2),
    };
    let mut machine = Machine::new(policy);
    machine.step(Moment::START, Input::Demand(DemandId(1)));
    let effects = machine.step(Moment::START, Input::Retire);
    assert!(effects.contains(&Effect::Refuse(DemandId(1), Refusal::UnknownHost)));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::OrderStop { .. })), "let go, not stopped");
    assert!(machine.is_retired());
}
