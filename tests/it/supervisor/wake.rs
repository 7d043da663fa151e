//! Waking: traps 1 to 8, 36 and 38.

use std::time::Duration;

use wakedock::domain::service::Readiness;
use wakedock::domain::words::{Phase, Refusal, StopCause, WakeCause};
use wakedock::ports::{ContainerState, ProbeAnswer};

use super::world::{World, metric, millis, pass, phase, request, secs, settle, spec};
use crate::support::fake_engine::{Call, Fault};

/// Traps 1 and 3: whoever comes, whenever, is served by one start.
#[tokio::test(start_paused = true)]
async fn many_callers_one_start() {
    let (world, handle) = World::one(&spec("app")).await;
    world.engine.edit("app", |container| container.start_delay = millis(200));
    let mut requests = Vec::new();
    for _ in 0..10 {
        requests.extend((0..50).map(|_| request(&handle)));
        pass(millis(30)).await;
    }
    settle().await;
    let mut addresses = Vec::new();
    for request in requests {
        addresses.push(request.await.unwrap().unwrap().upstream());
    }
    addresses.dedup();
    assert_eq!(addresses.len(), 1);
    assert_eq!(addresses[0].address, world.engine.address("app"));
    assert_eq!(world.engine.count(Call::Start), 1);
    assert_eq!(handle.held(), 0);
}

/// Trap 2: a client that goes away cancels its hold, not the wake; and keeps nothing awake.
#[tokio::test(start_paused = true)]
async fn the_wake_belongs_to_the_service() {
    let (world, handle) = World::one(&spec("app")).await;
    world.engine.edit("app", |container| container.start_delay = secs(2));
    let client = request(&handle);
    pass(secs(1)).await;
    assert_eq!(handle.held(), 1);
    client.abort();
    settle().await;
    assert_eq!(handle.held(), 0);
    assert_eq!(phase(&handle), Phase::Waking);
    pass(millis(1100)).await;
    assert_eq!(phase(&handle), Phase::Ready);
    assert_eq!(handle.leases(), 0);
    pass(millis(4800)).await;
    assert_eq!(phase(&handle), Phase::Ready);
    pass(millis(200)).await;
    assert_eq!(phase(&handle), Phase::Asleep, "5 s after ready, since nobody used it");
}

/// Trap 6.
#[tokio::test(start_paused = true)]
async fn holds_are_bounded_by_count_and_by_time() {
    let mut spec = spec("app");
    spec.max_held = 2;
    spec.hold_timeout = secs(3);
    spec.wake_timeout = secs(60);
    let (world, handle) = World::one(&spec).await;
    world.engine.edit("app", |container| container.start_delay = secs(30));
    let (first, second) = (request(&handle), request(&handle));
    settle().await;
    let third = request(&handle);
    settle().await;
    assert_eq!(third.await.unwrap().err(), Some(Refusal::Overloaded));
    pass(secs(3)).await;
    for request in [first, second] {
        assert_eq!(request.await.unwrap().err(), Some(Refusal::HoldTimeout));
    }
    assert_eq!(handle.held(), 0);
    let late = request(&handle);
    settle().await;
    assert_eq!(handle.held(), 1, "there is a place again");
    late.abort();
}

#[tokio::test(start_paused = true)]
async fn max_held_of_all_services_together() {
    let world = World::new();
    world.fleet.set_max_held(1);
    for name in ["a", "b"] {
        world.engine.create(name);
        world.engine.edit(name, |container| container.start_delay = secs(5));
    }
    world.fleet.apply(&[spec("a"), spec("b")]);
    settle().await;
    let (a, b) = (world.fleet.get("a").unwrap(), world.fleet.get("b").unwrap());
    let held = request(&a);
    settle().await;
    let over = request(&b);
    settle().await;
    assert_eq!(over.await.unwrap().err(), Some(Refusal::Overloaded));
    held.abort();
}

/// Traps 7 and 38: running is not ready; the release comes by notification.
#[tokio::test(start_paused = true)]
async fn running_is_not_ready() {
    let (world, handle) = World::one(&spec("app")).await;
    world.prober.answer_everywhere(ProbeAnswer::Refused);
    let client = request(&handle);
    pass(secs(1)).await;
    assert_eq!(world.engine.state("app"), ContainerState::Running);
    assert_eq!(phase(&handle), Phase::Waking);
    world.prober.answer_everywhere(ProbeAnswer::Status(503));
    pass(secs(1)).await;
    assert!(!client.is_finished());
    world.prober.answer_everywhere(ProbeAnswer::Status(404));
    pass(millis(150)).await;
    assert!(client.is_finished(), "released within one probe");
    client.await.unwrap().unwrap();
}

/// Trap 7: a crash ends the wake at once; the operator sees the log. Trap 8: back-off.
#[tokio::test(start_paused = true)]
async fn a_crash_ends_the_wake_at_once() {
    let (world, handle) = World::one(&spec("app")).await;
    world.prober.answer_everywhere(ProbeAnswer::Refused);
    world.engine.edit("app", |container| {
        container.exits = Some((millis(300), 3));
        container.logs = vec!["no database".to_owned()];
    });
    let client = request(&handle);
    pass(millis(400)).await;
    let refusal = client.await.unwrap().err();
    assert_eq!(refusal, Some(Refusal::Failed { retry_after: secs(1) }));
    assert_eq!(phase(&handle), Phase::Failed);
    let failure = handle.snapshot().failure.unwrap();
    assert!(failure.reason.contains("code 3"), "{}", failure.reason);
    assert_eq!(failure.log, ["no database"]);
    let starts = world.engine.count(Call::Start);
    let refused = request(&handle);
    settle().await;
    assert!(matches!(refused.await.unwrap().err(), Some(Refusal::BackingOff { .. })));
    assert_eq!(world.engine.count(Call::Start), starts, "nothing is started in the back-off");
    world.engine.edit("app", |container| container.exits = None);
    world.prober.answer_everywhere(ProbeAnswer::Status(200));
    pass(secs(1)).await;
    let client = request(&handle);
    settle().await;
    client.await.unwrap().unwrap();
    assert!(
        (metric(&world.fleet, "wakedock_wakes_total{service=\"app\",cause=\"request\",outcome=\"failed\"}")
            - 1.0)
            .abs()
            < 0.1
    );
}

/// Trap 8: what a wake that timed out had started is stopped.
#[tokio::test(start_paused = true)]
async fn a_wake_that_times_out_is_stopped_again() {
    let (world, handle) = World::one(&spec("app")).await;
    world.prober.answer_everywhere(ProbeAnswer::Refused);
    let client = request(&handle);
    pass(millis(9900)).await;
    assert_eq!(phase(&handle), Phase::Waking);
    pass(millis(200)).await;
    assert!(matches!(client.await.unwrap().err(), Some(Refusal::Failed { .. } | Refusal::HoldTimeout)));
    assert_eq!(phase(&handle), Phase::Failed);
    assert_eq!(world.engine.state("app"), ContainerState::Exited);
    let timeouts = "wakedock_wakes_total{service=\"app\",cause=\"request\",outcome=\"timeout\"}";
    assert!((metric(&world.fleet, timeouts) - 1.0).abs() < 0.1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_start_is_told_and_backs_off() {
    let (world, handle) = World::one(&spec("app")).await;
    world.engine.edit("app", |container| {
        container.faults.insert(Call::Start, Fault::refused("port is already allocated"));
    });
    let client = request(&handle);
    settle().await;
    assert!(matches!(client.await.unwrap().err(), Some(Refusal::Failed { .. })));
    assert!(handle.snapshot().failure.unwrap().reason.contains("port is already allocated"));
}

/// A wake by hand ends the back-off; so does a container that is made anew.
#[tokio::test(start_paused = true)]
async fn the_back_off_ends_by_hand_and_by_a_new_container() {
    let (world, handle) = World::one(&spec("app")).await;
    world.engine.remove("app");
    let client = request(&handle);
    settle().await;
    assert!(matches!(client.await.unwrap().err(), Some(Refusal::Failed { .. })));
    assert_eq!(phase(&handle), Phase::Failed);
    world.engine.create("app");
    settle().await;
    assert_eq!(phase(&handle), Phase::Asleep, "there is a container again");
    let client = request(&handle);
    settle().await;
    client.await.unwrap().unwrap();
    handle.stop(StopCause::Manual);
    settle().await;
    assert_eq!(phase(&handle), Phase::Asleep);
    handle.wake(WakeCause::Manual);
    settle().await;
    assert_eq!(phase(&handle), Phase::Ready);
}

/// An update takes the old container away at the moment when the first request wakes it: Docker said
/// that it cannot be started any more, and that counted as a failed wake.
#[tokio::test(start_paused = true)]
async fn what_is_being_removed_is_waited_for_like_what_is_gone() {
    let (world, handle) = World::one(&spec("app")).await;
    world.engine.edit("app", |container| container.view.state = ContainerState::Removing);
    let client = request(&handle);
    pass(secs(2)).await;
    assert!(!client.is_finished() && phase(&handle) == Phase::Waking, "it waits");
    world.engine.recreate("app");
    settle().await;
    client.await.unwrap().unwrap();
}

/// Docker's health, or sooner the container's own command, run tightly.
#[tokio::test(start_paused = true)]
async fn ready_when_its_own_health_command_passes() {
    let mut spec = spec("app");
    spec.readiness = Readiness::Docker;
    let (world, handle) = World::one(&spec).await;
    world.engine.edit("app", |container| container.health_check(Some(secs(2))));
    let client = request(&handle);
    pass(millis(1900)).await;
    assert!(!client.is_finished());
    pass(millis(300)).await;
    client.await.unwrap().unwrap();
    assert!(world.prober.attempts().is_empty(), "health decides alone");
}

/// Trap 36: a container that was created and never started is a sleeper like any other, and one
/// that somebody paused is woken by the next request.
#[tokio::test(start_paused = true)]
async fn whoever_paused_it_the_next_request_wakes_it() {
    let (world, handle) = super::world::ready(&spec("app")).await;
    world.engine.pause_by_hand("app");
    settle().await;
    assert_eq!(phase(&handle), Phase::Asleep);
    assert!(handle.snapshot().paused);
    assert!(handle.lease().is_none());
    let client = request(&handle);
    settle().await;
    client.await.unwrap().unwrap();
    assert_eq!(world.engine.count(Call::Unpause), 1);
    assert_eq!(world.engine.count(Call::Start), 1, "the first start only");
}

/// Trap 20: the address changes at every start.
#[tokio::test(start_paused = true)]
async fn every_start_has_its_own_address() {
    let (world, handle) = super::world::ready(&spec("app")).await;
    let before = handle.lease().unwrap().upstream();
    world.engine.exit("app", 0);
    settle().await;
    let client = request(&handle);
    settle().await;
    let after = client.await.unwrap().unwrap().upstream();
    assert_ne!(before.address, after.address);
    assert!(after.generation > before.generation);
    assert_eq!(after.address, world.engine.address("app"));
}

/// Promise 1: Docker is restarted in the middle of a wake; the request waits for its return.
#[tokio::test(start_paused = true)]
async fn a_wake_waits_for_docker_to_come_back() {
    let (world, handle) = World::one(&spec("app")).await;
    world.engine.go_away();
    settle().await;
    let client = request(&handle);
    pass(secs(3)).await;
    assert!(!client.is_finished());
    world.engine.come_back();
    pass(secs(1)).await;
    client.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn docker_away_for_longer_than_the_patience() {
    let mut spec = spec("app");
    spec.wake_timeout = secs(3);
    let (world, handle) = World::one(&spec).await;
    world.engine.go_away();
    settle().await;
    let client = request(&handle);
    pass(millis(3100)).await;
    assert_eq!(client.await.unwrap().err(), Some(Refusal::EngineUnavailable));
    assert_eq!(phase(&handle), Phase::Asleep);
}

/// A container started by somebody else is probed, not started; requests wait for the application.
#[tokio::test(start_paused = true)]
async fn started_by_somebody_else() {
    let (world, handle) = World::one(&spec("app")).await;
    world.prober.answer_everywhere(ProbeAnswer::Refused);
    world.engine.start_by_hand("app");
    settle().await;
    assert_eq!(phase(&handle), Phase::Waking);
    let client = request(&handle);
    pass(secs(1)).await;
    assert!(!client.is_finished());
    world.prober.answer_everywhere(ProbeAnswer::Status(200));
    pass(Duration::from_millis(200)).await;
    client.await.unwrap().unwrap();
    assert_eq!(world.engine.count(Call::Start), 0);
    assert_eq!(handle.snapshot().wake_cause, Some(WakeCause::External));
}

/// What runs is never stopped because it cannot be probed: somebody else started it.
#[tokio::test(start_paused = true)]
async fn an_adopted_container_that_never_answers_is_served_all_the_same() {
    let (world, handle) = World::one(&spec("app")).await;
    world.prober.answer_everywhere(ProbeAnswer::Refused);
    world.engine.start_by_hand("app");
    pass(millis(10_100)).await;
    assert_eq!(phase(&handle), Phase::Ready);
    assert_eq!(world.engine.count(Call::Stop), 0);
}
