//! Going to sleep: traps 10 to 15.

use wakedock::domain::words::{Phase, StopCause};
use wakedock::ports::ContainerState;

use super::world::{World, metric, millis, pass, phase, ready, request, secs, settle, spec};
use crate::support::fake_engine::{Call, Fault};

/// Neither early nor more than a second late.
#[tokio::test(start_paused = true)]
async fn stops_when_its_time_has_come() {
    let (world, handle) = ready(&spec("app")).await;
    pass(millis(4950)).await;
    assert_eq!(phase(&handle), Phase::Ready);
    assert_eq!(world.engine.count(Call::Stop), 0);
    pass(millis(150)).await;
    assert_eq!(phase(&handle), Phase::Asleep);
    assert_eq!(world.engine.state("app"), ContainerState::Exited);
    assert_eq!(handle.snapshot().stop_cause, Some(StopCause::Idle));
    assert!((metric(&world.fleet, "wakedock_stops_total{service=\"app\",cause=\"idle\"}") - 1.0).abs() < 0.1);
}

/// Traps 10 and 12: a lease is use, for as long as it is held; the clock starts when it ends.
#[tokio::test(start_paused = true)]
async fn nothing_in_use_is_stopped() {
    let (world, handle) = ready(&spec("app")).await;
    let film = handle.lease().unwrap();
    pass(secs(17)).await;
    assert_eq!(phase(&handle), Phase::Ready);
    assert_eq!(world.engine.count(Call::Stop), 0);
    drop(film);
    pass(millis(4900)).await;
    assert_eq!(phase(&handle), Phase::Ready);
    pass(millis(200)).await;
    assert_eq!(phase(&handle), Phase::Asleep);
}

/// Trap 10: a stream that has been silent for long does not count, until bytes flow again.
#[tokio::test(start_paused = true)]
async fn a_silent_stream_may_stop_counting() {
    let (_world, handle) = ready(&spec("app")).await;
    let silent = handle.lease().unwrap().silence();
    pass(secs(3)).await;
    let speaking = silent.speak().expect("the same upstream");
    pass(secs(8)).await;
    assert_eq!(phase(&handle), Phase::Ready);
    let silent = speaking.silence();
    pass(millis(5100)).await;
    assert_eq!(phase(&handle), Phase::Asleep);
    assert!(silent.speak().is_none());
    let again = request(&handle);
    settle().await;
    let lease = again.await.unwrap().unwrap();
    assert!(silent.speak().is_none(), "another upstream, though the gate is open");
    drop(lease);
}

/// Trap 11: a request that comes in `stopping` is held, and served by a new start; it never
/// reaches the container that was told to stop.
#[tokio::test(start_paused = true)]
async fn a_request_while_stopping_is_held_and_woken_for() {
    let (world, handle) = ready(&spec("app")).await;
    world.engine.edit("app", |container| container.stop_delay = secs(2));
    let old = world.engine.address("app");
    pass(millis(5100)).await;
    assert_eq!(phase(&handle), Phase::Stopping);
    assert!(handle.lease().is_none());
    let client = request(&handle);
    pass(secs(1)).await;
    assert!(!client.is_finished());
    pass(millis(1100)).await;
    let lease = client.await.unwrap().unwrap();
    assert_ne!(lease.upstream().address, old);
    assert_eq!(world.engine.count(Call::Start), 2);
}

#[tokio::test(start_paused = true)]
async fn pauses_then_stops() {
    let mut spec = spec("app");
    spec.idle.pause_after = Some(secs(2));
    let (world, handle) = ready(&spec).await;
    pass(millis(2100)).await;
    assert_eq!(phase(&handle), Phase::Asleep);
    assert_eq!(world.engine.state("app"), ContainerState::Paused);
    let client = request(&handle);
    settle().await;
    let lease = client.await.unwrap().unwrap();
    assert_eq!((world.engine.count(Call::Unpause), world.engine.count(Call::Start)), (1, 1));
    drop(lease);
    pass(millis(2100)).await;
    assert_eq!(world.engine.state("app"), ContainerState::Paused);
    pass(millis(2800)).await;
    assert_eq!(world.engine.state("app"), ContainerState::Paused);
    pass(millis(300)).await;
    assert_eq!(world.engine.state("app"), ContainerState::Exited, "5 s after the last use");
    assert_eq!(phase(&handle), Phase::Asleep);
}

/// Trap 13: found running, it starts its idle clock when it is seen.
#[tokio::test(start_paused = true)]
async fn what_nobody_asked_for_goes_to_sleep_too() {
    let world = World::new();
    world.engine.create_running("app");
    world.engine.edit("app", |container| {
        container.view.started_at = Some(wakedock::clock::wall_at(wakedock::clock::now() - secs(3600)));
    });
    let handle = world.take_up(&spec("app")).await;
    assert_eq!(phase(&handle), Phase::Ready, "running for longer than a wake may take: served at once");
    assert!(world.prober.attempts().is_empty());
    pass(millis(4900)).await;
    assert_eq!(phase(&handle), Phase::Ready);
    pass(millis(200)).await;
    assert_eq!(phase(&handle), Phase::Asleep);
}

/// Trap 15: what is let go is not stopped, not even when its stop was due.
#[tokio::test(start_paused = true)]
async fn what_is_let_go_is_left_alone() {
    let (world, handle) = ready(&spec("app")).await;
    pass(millis(4900)).await;
    world.fleet.apply(&[]);
    pass(secs(20)).await;
    assert_eq!(world.engine.count(Call::Stop), 0);
    assert_eq!(world.engine.state("app"), ContainerState::Running);
    assert!(handle.lease().is_none());
    assert!(world.fleet.get("app").is_none());
}

/// Trap 15: an order carries the id; a container made anew under the same name is another one.
#[tokio::test(start_paused = true)]
async fn an_order_never_hits_a_newer_container() {
    let (world, _handle) = ready(&spec("app")).await;
    let old = world.engine.view("app").id;
    pass(secs(6)).await;
    let stops: Vec<_> = world.engine.made().into_iter().filter(|made| made.call == Call::Stop).collect();
    assert_eq!(stops.len(), 1);
    assert_eq!(stops[0].target, old.0, "by id, not by name");
}

#[tokio::test(start_paused = true)]
async fn a_container_made_anew_is_the_same_service() {
    let (world, handle) = ready(&spec("app")).await;
    let old = world.engine.view("app").id;
    world.engine.recreate("app");
    settle().await;
    assert_eq!(phase(&handle), Phase::Asleep);
    let client = request(&handle);
    settle().await;
    client.await.unwrap().unwrap();
    assert_ne!(world.engine.view("app").id, old);
    assert_eq!(world.engine.state("app"), ContainerState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_docker_refuses_leaves_it_serving() {
    let (world, handle) = ready(&spec("app")).await;
    world.engine.edit("app", |container| {
        container.faults.insert(Call::Stop, Fault::refused("no"));
    });
    pass(millis(5200)).await;
    assert_eq!(phase(&handle), Phase::Ready);
    assert!(handle.lease().is_some());
    world.engine.edit("app", |container| container.faults.clear());
    pass(secs(6)).await;
    assert_eq!(phase(&handle), Phase::Asleep, "the next try");
}

#[tokio::test(start_paused = true)]
async fn memory_that_is_saved_is_counted() {
    let (world, _handle) = ready(&spec("app")).await;
    world.engine.edit("app", |container| {
        container.usage.memory = 300;
        container.usage.inactive_file = 100;
    });
    pass(secs(6)).await;
    pass(secs(10)).await;
    let saved = metric(&world.fleet, "wakedock_memory_saved_byte_seconds_total{service=\"app\"}");
    assert!((saved - 200.0 * 11.0).abs() < 400.0, "{saved}: 200 bytes for about 11 s");
    let awake = metric(&world.fleet, "wakedock_awake_seconds_total{service=\"app\"}");
    assert!((4.9..5.5).contains(&awake), "{awake}");
}
