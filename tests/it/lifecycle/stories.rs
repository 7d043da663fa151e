//! One story per rule of the lifecycle, each told in a few steps.

use std::time::Duration;

use wakedock::domain::lifecycle::{
    DemandId, Effect, Found, Generation, How, Input, Machine, Policy, Sighting, StopEnd, Usage, WakeFailure,
    WakeKind, back_off,
};
use wakedock::domain::time::Moment;
use wakedock::domain::words::{Phase, Refusal, StopCause, WakeCause};

const POLICY: Policy = Policy {
    wake_timeout: Duration::from_secs(60),
    pause_after: None,
    stop_after: Some(Duration::from_secs(900)),
    min_awake: Duration::ZERO,
    stop_timeout: Duration::from_secs(10),
};

fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(seconds)
}

fn ok(order: u64) -> Input {
    Input::WakeEnded { order: Generation(order), result: Ok(()), clean_up: false }
}

fn ready_machine(policy: Policy) -> Machine {
    let mut machine = Machine::new(policy);
    machine.step(at(0), Input::Wake(WakeCause::Manual));
    machine.step(at(0), ok(1));
    assert_eq!(machine.phase(), Phase::Ready);
    machine
}

/// Trap 3.
#[test]
fn many_callers_one_wake() {
    let mut machine = Machine::new(POLICY);
    let mut orders = 0;
    for id in 0..500 {
        let effects = machine.step(at(0), Input::Demand(DemandId(id)));
        orders += effects.iter().filter(|effect| matches!(effect, Effect::OrderWake { .. })).count();
    }
    assert_eq!(orders, 1);
    let effects = machine.step(at(1), ok(1));
    assert_eq!(effects[0], Effect::Open { clock_from: at(1) });
    assert_eq!(effects.len(), 501);
}

/// Trap 2.
#[test]
fn the_wake_outlives_its_client() {
    let mut machine = Machine::new(POLICY);
    machine.step(at(0), Input::Demand(DemandId(1)));
    assert!(machine.step(at(1), Input::Withdraw(DemandId(1))).is_empty());
    assert_eq!(machine.phase(), Phase::Waking);
    assert_eq!(machine.step(at(2), ok(1)), [Effect::Open { clock_from: at(2) }]);
    assert_eq!(machine.deadline(), Some(at(902)), "nobody uses it: the idle clock runs from ready");
}

/// Trap 8.
#[test]
fn a_failed_wake_is_stopped_and_backs_off() {
    let mut machine = Machine::new(POLICY);
    machine.step(at(0), Input::Demand(DemandId(1)));
    let ended = Input::WakeEnded { order: Generation(1), result: Err(WakeFailure::Exited), clean_up: true };
    let effects = machine.step(at(5), ended);
    assert_eq!(
        effects,
        [
            Effect::Refuse(DemandId(1), Refusal::Failed { retry_after: Duration::from_secs(1) }),
            Effect::OrderStop { order: Generation(2), how: How::Stop, cause: StopCause::FailedWake },
        ]
    );
    let refused = |retry| Effect::Refuse(DemandId(2), Refusal::BackingOff { retry_after: retry });
    assert_eq!(machine.step(at(5), Input::Demand(DemandId(2))), [refused(Duration::from_secs(1))]);
    machine.step(at(5), Input::StopEnded { order: Generation(2), end: StopEnd::Done });
    assert_eq!(machine.phase(), Phase::Failed);
    assert_eq!(machine.step(at(5), Input::Demand(DemandId(2))), [refused(Duration::from_secs(1))]);
    let effects = machine.step(at(6), Input::Demand(DemandId(3)));
    assert!(matches!(effects[..], [Effect::OrderWake { kind: WakeKind::Start, .. }]));
}

#[test]
fn the_back_off_doubles_to_a_minute() {
    let seconds: Vec<u64> = (1..9).map(|failures| back_off(failures).as_secs()).collect();
    assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(back_off(u32::MAX).as_secs(), 60);
}

#[test]
fn the_back_off_ends_by_hand_by_a_new_container_and_by_a_new_configuration() {
    for (input, phase) in [
        (Input::Wake(WakeCause::Manual), Phase::Waking),
        (Input::Seen(Sighting::Running), Phase::Waking),
        (Input::Renewed, Phase::Asleep),
        (Input::Respec(POLICY), Phase::Asleep),
    ] {
        let mut machine = Machine::new(POLICY);
        machine.step(at(0), Input::Demand(DemandId(1)));
        let ended =
            Input::WakeEnded { order: Generation(1), result: Err(WakeFailure::Refused), clean_up: false };
        machine.step(at(0), ended);
        assert_eq!(machine.phase(), Phase::Failed);
        machine.step(at(0), input);
        assert_eq!(machine.phase(), phase, "{input:?}");
    }
}

/// Trap 7: the wake ends at its timeout, and what waits is answered.
#[test]
fn a_wake_that_never_ends_ends_at_its_timeout() {
    let mut machine = Machine::new(POLICY);
    machine.step(at(0), Input::Demand(DemandId(1)));
    assert_eq!(machine.deadline(), Some(at(60)));
    let effects = machine.step(at(60), Input::Deadline(Usage::InUse));
    assert_eq!(effects[0], Effect::AbandonWake { order: Generation(1) });
    assert!(matches!(effects[1], Effect::Refuse(DemandId(1), Refusal::Failed { .. })));
    assert!(matches!(effects[2], Effect::OrderStop { cause: StopCause::FailedWake, .. }));
    assert!(machine.step(at(61), ok(1)).is_empty(), "its late success is inert");
}

/// Trap 11.
#[test]
fn a_request_while_stopping_takes_the_stop_back_or_wakes_again() {
    for end in [StopEnd::Cancelled, StopEnd::Done] {
        let mut machine = ready_machine(POLICY);
        let effects = machine.step(at(900), Input::Deadline(Usage::Quiet { since: at(0) }));
        let order = Generation(2);
        assert_eq!(effects, [Effect::OrderStop { order, how: How::Stop, cause: StopCause::Idle }]);
        assert_eq!(machine.step(at(900), Input::Demand(DemandId(7))), [Effect::CancelStop { order }]);
        let effects = machine.step(at(901), Input::StopEnded { order, end });
        match end {
            StopEnd::Cancelled => {
                assert_eq!(effects, [Effect::Open { clock_from: at(901) }, Effect::Admit(DemandId(7))]);
            }
            StopEnd::Done | StopEnd::Failed => {
                assert!(matches!(effects[..], [Effect::OrderWake { kind: WakeKind::Start, .. }]));
            }
        }
    }
}

/// Trap 12: the last look at the leases is part of the transition.
#[test]
fn in_use_at_the_last_moment_is_in_use() {
    let mut machine = ready_machine(POLICY);
    assert_eq!(machine.step(at(900), Input::Deadline(Usage::InUse)), [Effect::Reopen]);
    assert_eq!(machine.deadline(), Some(at(1800)));
    let effects = machine.step(at(1800), Input::Deadline(Usage::Quiet { since: at(950) }));
    assert_eq!(effects, [Effect::Reopen]);
    assert_eq!(machine.deadline(), Some(at(1850)), "900 s after the last use, to the second");
}

#[test]
fn pauses_first_and_stops_later() {
    let policy = Policy { pause_after: Some(Duration::from_secs(300)), ..POLICY };
    let mut machine = ready_machine(policy);
    let effects = machine.step(at(300), Input::Deadline(Usage::Quiet { since: at(0) }));
    assert!(matches!(effects[..], [Effect::OrderStop { how: How::Pause, .. }]));
    machine.step(at(300), Input::StopEnded { order: Generation(2), end: StopEnd::Done });
    assert!(machine.is_paused());
    assert_eq!(machine.phase(), Phase::Asleep);
    assert_eq!(machine.deadline(), Some(at(900)));
    let effects = machine.step(at(900), Input::Deadline(Usage::Quiet { since: at(0) }));
    assert!(matches!(effects[..], [Effect::OrderStop { how: How::Stop, cause: StopCause::Idle, .. }]));
}

#[test]
fn stays_awake_at_least_as_long_as_wanted() {
    let policy = Policy { min_awake: Duration::from_secs(2000), ..POLICY };
    let mut machine = ready_machine(policy);
    assert_eq!(machine.deadline(), Some(at(2000)));
    assert_eq!(machine.step(at(2000), Input::Deadline(Usage::Quiet { since: at(1999) })), [Effect::Reopen]);
}

/// Traps 13 and 36.
#[test]
fn what_runs_when_wakedock_starts_is_served_at_once_and_its_clock_runs() {
    let mut machine = Machine::new(POLICY);
    let found = Found {
        sighting: Sighting::Running,
        settled: true,
        quiet_since: None,
        ready_since: None,
        stopping: None,
    };
    assert_eq!(machine.step(at(10), Input::Found(found)), [Effect::Open { clock_from: at(10) }]);
    assert_eq!(machine.deadline(), Some(at(910)));
}

/// Trap 30.
#[test]
fn a_deadline_goes_on_over_a_restart() {
    let mut machine = Machine::new(POLICY);
    let found = Found {
        sighting: Sighting::Running,
        settled: true,
        quiet_since: Some(Moment::START - Duration::from_secs(600)),
        ready_since: Some(Moment::START - Duration::from_secs(4000)),
        stopping: None,
    };
    machine.step(at(10), Input::Found(found));
    assert_eq!(machine.deadline(), Some(at(300)));
    let mut late = Machine::new(POLICY);
    let found = Found { quiet_since: Some(Moment::START - Duration::from_secs(5000)), ..found };
    late.step(at(10), Input::Found(found));
    assert_eq!(late.deadline(), Some(at(11)), "within two seconds of the return, unless there is demand");
}

/// The previous process may have told it to stop: it gets no request any more.
#[test]
fn a_stop_that_was_begun_is_finished_after_a_restart() {
    let mut machine = Machine::new(POLICY);
    let found = Found {
        sighting: Sighting::Running,
        settled: true,
        quiet_since: None,
        ready_since: None,
        stopping: Some((How::Stop, StopCause::Idle)),
    };
    let effects = machine.step(at(0), Input::Found(found));
    assert!(matches!(effects[..], [Effect::OrderStop { .. }]));
    assert_eq!(machine.phase(), Phase::Stopping);
}

/// And a request that comes meanwhile does not take that stop back.
#[test]
fn a_stop_of_the_previous_process_is_never_taken_back() {
    let mut machine = Machine::new(POLICY);
    let found = Found {
        sighting: Sighting::Running,
        settled: true,
        quiet_since: None,
        ready_since: None,
        stopping: Some((How::Stop, StopCause::Idle)),
    };
    machine.step(at(0), Input::Found(found));
    assert!(machine.step(at(0), Input::Demand(DemandId(1))).is_empty(), "it waits, nothing is cancelled");
    let effects = machine.step(at(1), Input::StopEnded { order: Generation(1), end: StopEnd::Done });
    assert!(matches!(effects[..], [Effect::OrderWake { kind: WakeKind::Start, .. }]));
}

/// A stop of a paused container that is taken back leaves it paused: it is woken, not served.
#[test]
fn a_stop_of_a_paused_container_that_is_taken_back_leaves_it_paused() {
    let mut machine = ready_machine(POLICY);
    machine.step(at(5), Input::Seen(Sighting::Paused));
    let effects = machine.step(at(905), Input::Deadline(Usage::Quiet { since: at(5) }));
    assert!(matches!(effects[..], [Effect::OrderStop { how: How::Stop, .. }]));
    let order = Generation(2);
    assert_eq!(machine.step(at(905), Input::Demand(DemandId(1))), [Effect::CancelStop { order }]);
    let effects = machine.step(at(905), Input::StopEnded { order, end: StopEnd::Cancelled });
    assert!(matches!(effects[..], [Effect::OrderWake { kind: WakeKind::Start, .. }]), "{effects:?}");
}

/// Docker refused to stop it: whether it still serves, a probe tells before anybody is let in.
#[test]
fn what_docker_would_not_stop_is_probed_before_it_serves() {
    let mut machine = ready_machine(POLICY);
    machine.step(at(900), Input::Deadline(Usage::Quiet { since: at(0) }));
    let effects = machine.step(at(901), Input::StopEnded { order: Generation(2), end: StopEnd::Failed });
    assert!(matches!(effects[..], [Effect::OrderWake { kind: WakeKind::Adopt, .. }]));
}

/// Trap 36.
#[test]
fn a_container_that_somebody_paused_is_woken() {
    let mut machine = ready_machine(POLICY);
    assert_eq!(machine.step(at(5), Input::Seen(Sighting::Paused)), [Effect::Close]);
    assert!(machine.is_paused());
    let effects = machine.step(at(6), Input::Demand(DemandId(1)));
    assert!(matches!(effects[..], [Effect::OrderWake { kind: WakeKind::Start, .. }]));
}

#[test]
fn a_container_killed_by_hand_is_asleep_and_the_next_request_wakes_it() {
    let mut machine = ready_machine(POLICY);
    assert_eq!(machine.step(at(5), Input::Seen(Sighting::Off)), [Effect::Close]);
    assert_eq!(machine.phase(), Phase::Asleep);
    let effects = machine.step(at(6), Input::Demand(DemandId(1)));
    assert!(matches!(effects[..], [Effect::OrderWake { kind: WakeKind::Start, .. }]));
}

#[test]
fn a_container_started_by_somebody_else_is_only_probed() {
    let mut machine = Machine::new(POLICY);
    let effects = machine.step(at(5), Input::Seen(Sighting::Running));
    let expected =
        Effect::OrderWake { order: Generation(1), cause: WakeCause::External, kind: WakeKind::Adopt };
    assert_eq!(effects, [expected]);
}

#[test]
fn docker_away_is_nobodys_failure() {
    let mut machine = Machine::new(POLICY);
    machine.step(at(0), Input::Demand(DemandId(1)));
    let ended =
        Input::WakeEnded { order: Generation(1), result: Err(WakeFailure::EngineAway), clean_up: false };
    assert_eq!(machine.step(at(60), ended), [Effect::Refuse(DemandId(1), Refusal::EngineUnavailable)]);
    assert_eq!(machine.phase(), Phase::Asleep, "the next request tries again at once");
}

#[test]
fn a_container_that_is_away_is_waited_for_as_long_as_somebody_waits() {
    let mut machine = Machine::new(POLICY);
    machine.step(at(0), Input::Demand(DemandId(1)));
    let away = |order| Input::WakeEnded {
        order: Generation(order),
        result: Err(WakeFailure::ContainerAway),
        clean_up: false,
    };
    let again = Effect::OrderWake { order: Generation(2), cause: WakeCause::Request, kind: WakeKind::Start };
    assert_eq!(machine.step(at(60), away(1)), [again], "nobody is refused before his own time is over");
    machine.step(at(70), Input::Withdraw(DemandId(1)));
    assert_eq!(machine.step(at(120), away(2)), []);
    assert_eq!(machine.phase(), Phase::Asleep, "and the next request waits as well");
}

#[test]
fn a_shorter_stop_after_holds_from_the_edit_on() {
    let mut machine = ready_machine(POLICY);
    machine.step(at(100), Input::Respec(Policy { stop_after: Some(Duration::from_secs(50)), ..POLICY }));
    assert_eq!(machine.deadline(), Some(at(100)));
    let effects = machine.step(at(100), Input::Deadline(Usage::Quiet { since: at(0) }));
    assert!(matches!(effects[..], [Effect::OrderStop { .. }]));
    let mut never = ready_machine(POLICY);
    never.step(at(100), Input::Respec(Policy { stop_after: None, ..POLICY }));
    assert_eq!(never.deadline(), None);
}
