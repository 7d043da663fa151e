//! What people order: keep it awake, restart it.

use std::time::Duration;

use wakedock::domain::lifecycle::{
    DemandId, Effect, Generation, How, Input, Machine, Policy, Sighting, StopEnd, Usage,
};
use wakedock::domain::time::Moment;
use wakedock::domain::words::{Phase, StopCause, WakeCause};

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

fn ready() -> Machine {
    let mut machine = Machine::new(POLICY);
    machine.step(at(0), Input::Wake(WakeCause::Manual));
    machine.step(at(0), woken(1));
    assert_eq!(machine.phase(), Phase::Ready);
    machine
}

fn woken(order: u64) -> Input {
    Input::WakeEnded { order: Generation(order), result: Ok(()), clean_up: false }
}

fn stopped(order: u64, end: StopEnd) -> Input {
    Input::StopEnded { order: Generation(order), end }
}

fn quiet() -> Input {
    Input::Deadline(Usage::Quiet { since: at(0) })
}

fn keep(until: u64) -> Input {
    Input::KeepAwake(Some(at(until)))
}

fn idle_stop(order: u64) -> Effect {
    Effect::OrderStop { order: Generation(order), how: How::Stop, cause: StopCause::Idle }
}

#[test]
fn what_is_kept_awake_sleeps_when_that_is_over() {
    let mut machine = ready();
    machine.step(at(10), keep(7200));
    assert_eq!(machine.step(at(900), quiet()), [Effect::Reopen], "unused for long enough, and kept");
    assert_eq!(machine.deadline(), Some(at(7200)));
    assert_eq!(machine.step(at(7200), quiet()), [idle_stop(2)]);
}

#[test]
fn keeping_less_than_the_idle_clock_changes_nothing() {
    let mut machine = ready();
    machine.step(at(10), keep(100));
    machine.step(at(100), quiet());
    assert_eq!(machine.deadline(), Some(at(900)));
    assert_eq!(machine.step(at(900), quiet()), [idle_stop(2)]);
}

#[test]
fn it_ends_when_it_is_called_off_and_with_a_stop_by_hand() {
    let mut machine = ready();
    machine.step(at(10), keep(7200));
    machine.step(at(1000), Input::KeepAwake(None));
    assert_eq!(machine.step(at(1000), quiet()), [idle_stop(2)]);

    let mut machine = ready();
    machine.step(at(10), keep(7200));
    machine.step(at(20), Input::Stop(StopCause::Manual));
    machine.step(at(21), stopped(2, StopEnd::Done));
    machine.step(at(30), Input::Demand(DemandId(1)));
    machine.step(at(31), woken(3));
    assert_eq!(machine.deadline(), Some(at(931)), "the next time it sleeps as usual");
}

#[test]
fn an_idle_stop_that_was_not_sent_is_taken_back() {
    let mut machine = ready();
    machine.step(at(900), quiet());
    assert_eq!(machine.step(at(900), keep(7200)), [Effect::CancelStop { order: Generation(2) }]);
    machine.step(at(900), stopped(2, StopEnd::Cancelled));
    assert_eq!((machine.phase(), machine.deadline()), (Phase::Ready, Some(at(7200))));
    // A stop by hand is not.
    machine.step(at(901), Input::Stop(StopCause::Manual));
    assert!(machine.step(at(901), keep(7200)).is_empty());
}

#[test]
fn what_is_paused_is_not_stopped_for_good_either() {
    let mut machine = ready();
    machine.step(at(10), Input::Seen(Sighting::Paused));
    machine.step(at(20), keep(7200));
    assert_eq!(machine.deadline(), Some(at(7200)));
    // For less than the idle clock takes anyway: nothing changes.
    let mut machine = ready();
    machine.step(at(10), Input::Seen(Sighting::Paused));
    let usual = machine.deadline();
    machine.step(at(20), keep(100));
    assert!(machine.deadline() >= usual, "{:?}", machine.deadline());
}

/// Each of these was changed by hand, and no test was the wiser.
#[test]
fn only_what_is_kept_awake_from_now_on_takes_an_idle_stop_back() {
    for until in [Some(at(899)), Some(at(900)), None] {
        let mut machine = ready();
        assert_eq!(machine.step(at(900), quiet()), [idle_stop(2)]);
        assert!(machine.step(at(900), Input::KeepAwake(until)).is_empty(), "{until:?} is over");
        assert_eq!(machine.phase(), Phase::Stopping);
    }
    // The stop of what was paused, as well.
    let mut machine = ready();
    machine.step(at(10), Input::Seen(Sighting::Paused));
    let due = machine.deadline().unwrap();
    assert_eq!(machine.step(due, Input::Deadline(Usage::Quiet { since: at(0) })), [idle_stop(2)]);
    assert_eq!(machine.step(due, keep(7200)), [Effect::CancelStop { order: Generation(2) }]);
}

#[test]
fn only_a_stop_by_hand_ends_it() {
    for cause in [StopCause::Schedule, StopCause::Pressure, StopCause::Shutdown] {
        let mut machine = ready();
        machine.step(at(10), keep(7200));
        machine.step(at(20), Input::Stop(cause));
        machine.step(at(21), stopped(2, StopEnd::Done));
        machine.step(at(30), Input::Demand(DemandId(1)));
        machine.step(at(31), woken(3));
        assert_eq!(machine.deadline(), Some(at(7200)), "{cause:?}");
    }
}

#[test]
fn a_new_time_counts_at_once() {
    let mut machine = ready();
    machine.step(at(10), keep(7200));
    machine.step(at(900), quiet());
    assert_eq!(machine.deadline(), Some(at(7200)));
    machine.step(at(1000), keep(2000));
    assert_eq!(machine.step(at(1000), quiet()), [Effect::Reopen]);
    assert_eq!(machine.deadline(), Some(at(2000)), "sooner");
    machine.step(at(1100), Input::KeepAwake(None));
    assert!(machine.deadline() <= Some(at(1100)), "called off: {:?}", machine.deadline());
}

#[test]
fn keeping_awake_wakes_nothing() {
    let mut machine = Machine::new(POLICY);
    assert!(machine.step(at(0), keep(7200)).is_empty());
    assert_eq!(machine.phase(), Phase::Asleep);
    machine.step(at(5), Input::Demand(DemandId(1)));
    machine.step(at(6), woken(1));
    assert_eq!(machine.deadline(), Some(at(7200)), "but once it is awake, it stays so");
}

#[test]
fn a_restart_stops_and_wakes_whoever_uses_it() {
    let mut machine = ready();
    let stop = Effect::OrderStop { order: Generation(2), how: How::Stop, cause: StopCause::Manual };
    assert_eq!(machine.step(at(10), Input::Restart), [Effect::Close, stop]);
    // Who comes meanwhile waits, and takes nothing back.
    assert!(machine.step(at(11), Input::Demand(DemandId(1))).is_empty());
    assert!(machine.step(at(11), Input::Wake(WakeCause::Request)).is_empty());
    let effects = machine.step(at(12), stopped(2, StopEnd::Done));
    assert!(matches!(effects[..], [Effect::OrderWake { .. }]), "{effects:?}");
    assert!(machine.step(at(13), woken(3)).contains(&Effect::Admit(DemandId(1))));
}

#[test]
fn a_restart_of_what_nobody_waits_for_wakes_it_too() {
    let mut machine = ready();
    machine.step(at(10), Input::Restart);
    let effects = machine.step(at(12), stopped(2, StopEnd::Done));
    assert!(matches!(effects[..], [Effect::OrderWake { cause: WakeCause::Manual, .. }]), "{effects:?}");
    // On its way up it begins anew.
    let effects = machine.step(at(13), Input::Restart);
    assert!(matches!(effects[..], [Effect::AbandonWake { .. }, Effect::OrderStop { .. }]), "{effects:?}");
    let effects = machine.step(at(14), stopped(4, StopEnd::Done));
    assert!(matches!(effects[..], [Effect::OrderWake { .. }]), "{effects:?}");
}

/// A request takes an idle stop back; the restart that somebody ordered meanwhile is not lost with it.
#[test]
fn a_restart_outlives_a_stop_that_is_taken_back() {
    let mut machine = ready();
    machine.step(at(900), quiet());
    assert!(machine.step(at(900), Input::Restart).is_empty(), "it stops already");
    machine.step(at(900), Input::Demand(DemandId(1)));
    let effects = machine.step(at(901), stopped(2, StopEnd::Cancelled));
    assert!(effects.contains(&Effect::Admit(DemandId(1))), "{effects:?}");
    assert!(
        matches!(effects.last(), Some(Effect::OrderStop { cause: StopCause::Manual, .. })),
        "{effects:?}"
    );
    // Somebody who stops it has the last word.
    machine.step(at(902), Input::Stop(StopCause::Manual));
    machine.step(at(903), stopped(3, StopEnd::Done));
    assert_eq!(machine.phase(), Phase::Asleep);
}

#[test]
fn a_restart_of_what_sleeps_only_wakes_it() {
    let mut machine = Machine::new(POLICY);
    let effects = machine.step(at(0), Input::Restart);
    assert!(matches!(effects[..], [Effect::OrderWake { cause: WakeCause::Manual, .. }]), "{effects:?}");
}
