//! What WakeDock survives: its own death (trap 30), Docker's (traps 22 and 24), and edits.

use wakedock::domain::words::{Phase, WakeCause};
use wakedock::ports::ContainerState;

use super::world::{World, millis, pass, phase, ready, request, secs, settle, spec};
use crate::support::fake_engine::Call;

/// Trap 30: the idle clock goes on over a `kill -9`.
#[tokio::test(start_paused = true)]
async fn an_idle_deadline_survives_a_kill() {
    let spec = spec("app");
    let (world, _) = ready(&spec).await;
    pass(secs(2)).await;
    let world = world.kill_and_return(std::slice::from_ref(&spec)).await;
    let handle = world.fleet.get("app").unwrap();
    assert_eq!(phase(&handle), Phase::Ready, "served at once: it was ready when we died");
    pass(millis(5600)).await;
    assert_eq!(phase(&handle), Phase::Asleep);
    assert_eq!(world.engine.count(Call::Start), 1);
}

/// Who was in use when WakeDock died is not stopped early: its clock starts anew.
#[tokio::test(start_paused = true)]
async fn who_was_in_use_starts_its_clock_anew() {
    let spec = spec("app");
    let (world, handle) = ready(&spec).await;
    let film = handle.lease().unwrap();
    pass(secs(8)).await;
    std::mem::forget(film);
    let world = world.kill_and_return(std::slice::from_ref(&spec)).await;
    let handle = world.fleet.get("app").unwrap();
    pass(millis(4800)).await;
    assert_eq!(phase(&handle), Phase::Ready);
    pass(millis(400)).await;
    assert_eq!(phase(&handle), Phase::Asleep);
}

/// The intent to stop is stored before the order: what may have been told to stop gets no request.
#[tokio::test(start_paused = true)]
async fn a_stop_in_progress_is_finished_after_a_kill() {
    let spec = spec("app");
    let (world, handle) = ready(&spec).await;
    world.engine.edit("app", |container| container.stop_delay = secs(4));
    pass(millis(5100)).await;
    assert_eq!(phase(&handle), Phase::Stopping);
    assert_eq!(world.engine.state("app"), ContainerState::Running);
    let world = world.kill_and_return(std::slice::from_ref(&spec)).await;
    let handle = world.fleet.get("app").unwrap();
    assert!(handle.lease().is_none(), "it may have been told to stop");
    let client = request(&handle);
    pass(secs(5)).await;
    client.await.unwrap().unwrap();
    assert!(world.engine.count(Call::Start) >= 2, "stopped, and started anew for the request");
}

/// A wake in progress goes on: the container is found starting and is waited for.
#[tokio::test(start_paused = true)]
async fn a_wake_in_progress_goes_on_after_a_kill() {
    let spec = spec("app");
    let (world, handle) = World::one(&spec).await;
    world.prober.answer_everywhere(wakedock::ports::ProbeAnswer::Refused);
    let client = request(&handle);
    pass(secs(1)).await;
    client.abort();
    let world = world.kill_and_return(std::slice::from_ref(&spec)).await;
    let handle = world.fleet.get("app").unwrap();
    settle().await;
    assert!(matches!(phase(&handle), Phase::Waking | Phase::Ready));
    let client = request(&handle);
    settle().await;
    client.await.unwrap().unwrap();
    assert_eq!(world.engine.count(Call::Start), 1);
    assert_eq!(handle.snapshot().wake_cause, Some(WakeCause::Startup));
}

/// The clock towards the stop that follows a pause goes on, too.
#[tokio::test(start_paused = true)]
async fn a_paused_service_is_stopped_on_time_after_a_kill() {
    let mut spec = spec("app");
    spec.idle.pause_after = Some(secs(2));
    let (world, _) = ready(&spec).await;
    pass(millis(2200)).await;
    assert_eq!(world.engine.state("app"), ContainerState::Paused);
    let world = world.kill_and_return(std::slice::from_ref(&spec)).await;
    pass(millis(2000)).await;
    assert_eq!(world.engine.state("app"), ContainerState::Paused);
    pass(millis(1400)).await;
    assert_eq!(world.engine.state("app"), ContainerState::Exited, "5 s after the last use");
    assert_eq!(world.engine.count(Call::Unpause), 0);
}

/// The usual duration of a wake is learned, and survives.
#[tokio::test(start_paused = true)]
async fn the_usual_time_is_remembered() {
    let spec = spec("app");
    let (world, handle) = World::one(&spec).await;
    world.engine.edit("app", |container| container.start_delay = secs(2));
    let client = request(&handle);
    pass(millis(2100)).await;
    drop(client.await.unwrap().unwrap());
    let usual = handle.snapshot().usual.unwrap();
    assert!((1_900..2_200).contains(&usual.as_millis()), "{usual:?}");
    pass(millis(500)).await;
    let world = world.kill_and_return(std::slice::from_ref(&spec)).await;
    assert_eq!(world.fleet.get("app").unwrap().snapshot().usual, Some(usual));
}

/// Trap 24: while Docker is away, what is awake is served; a stop waits for its return.
#[tokio::test(start_paused = true)]
async fn docker_away_changes_nothing_for_what_is_awake() {
    let (world, handle) = ready(&spec("app")).await;
    world.engine.go_away();
    pass(secs(3)).await;
    let lease = handle.lease().expect("still served");
    pass(secs(3)).await;
    drop(lease);
    assert_eq!(phase(&handle), Phase::Ready);
    world.engine.come_back();
    pass(secs(12)).await;
    assert_eq!(phase(&handle), Phase::Asleep);
}

/// Trap 22: after a broken stream everything is compared: a death that no event told of is found.
#[tokio::test(start_paused = true)]
async fn what_happened_while_docker_was_away_is_found_out() {
    let (world, handle) = ready(&spec("app")).await;
    world.engine.go_away();
    settle().await;
    world.engine.exit("app", 137);
    pass(secs(1)).await;
    assert_eq!(phase(&handle), Phase::Ready, "nobody knows yet");
    world.engine.come_back();
    pass(secs(2)).await;
    assert_eq!(phase(&handle), Phase::Asleep);
}

/// Trap 22, without any event: the look every minute.
#[tokio::test(start_paused = true)]
async fn a_lost_event_costs_a_minute_at_most() {
    let mut spec = spec("app");
    spec.idle.stop_after = None;
    let (world, handle) = ready(&spec).await;
    world.engine.edit("app", |container| container.view.state = ContainerState::Exited);
    pass(secs(61)).await;
    assert_eq!(phase(&handle), Phase::Asleep);
    assert!(world.engine.count(Call::Events) >= 1);
}

/// A changed service keeps its connections; the new policy holds at once.
#[tokio::test(start_paused = true)]
async fn an_edit_drops_nothing() {
    let mut spec = spec("app");
    let (world, handle) = ready(&spec).await;
    let lease = handle.lease().unwrap();
    spec.idle.stop_after = Some(secs(2));
    world.fleet.apply(std::slice::from_ref(&spec));
    settle().await;
    let same = world.fleet.get("app").unwrap();
    assert_eq!(same.leases(), 1);
    pass(secs(6)).await;
    assert_eq!(phase(&same), Phase::Ready);
    drop(lease);
    pass(millis(2200)).await;
    assert_eq!(phase(&same), Phase::Asleep);
}

/// Who is inside when the service is let go stays inside: nothing was stopped, nothing ends there.
#[tokio::test(start_paused = true)]
async fn being_let_go_ends_nobody_inside() {
    let (world, handle) = ready(&spec("app")).await;
    let lease = handle.lease().unwrap();
    let upstream = lease.upstream();
    let stream = tokio::spawn(async move {
        handle.outlives(upstream).await;
        drop(lease);
    });
    world.fleet.apply(&[]);
    pass(secs(120)).await;
    assert!(!stream.is_finished());
    assert_eq!(world.engine.state("app"), ContainerState::Running);
    assert_eq!(world.engine.count(Call::Stop), 0);
}
