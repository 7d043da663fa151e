//! A container that goes from one service to another: by a new name in the file, by a label that the
//! API takes over, by being let go and taken up again.

use wakedock::domain::name::ServiceName;
use wakedock::domain::service::ServiceSpec;
use wakedock::domain::words::Phase;
use wakedock::ports::ContainerState;

use super::world::{pass, phase, ready, request, secs, settle, spec};
use crate::support::fake_engine::Call;

/// The same container under another name.
fn renamed(spec: &ServiceSpec, name: &str) -> ServiceSpec {
    ServiceSpec { name: ServiceName::parse(name).unwrap(), ..spec.clone() }
}

/// What streamed through the old name was not counted under the new one, and was cut when that had
/// been idle for long enough.
#[tokio::test(start_paused = true)]
async fn whoever_is_inside_under_the_old_name_keeps_it_awake_under_the_new_one() {
    let old = spec("app");
    let (world, handle) = ready(&old).await;
    let film = request(&handle).await.unwrap().unwrap();
    let new = world.take_up(&renamed(&old, "cloud")).await;
    pass(secs(1)).await;
    assert_eq!((phase(&new), new.leases()), (Phase::Ready, 1));
    pass(secs(30)).await;
    assert_eq!((phase(&new), world.engine.count(Call::Stop)), (Phase::Ready, 0), "the film goes on");
    // Another name yet: who was inside from the beginning still counts.
    let newest = world.take_up(&renamed(&old, "harbour")).await;
    pass(secs(30)).await;
    assert_eq!((phase(&newest), world.engine.count(Call::Stop)), (Phase::Ready, 0));
    drop(film);
    pass(secs(4)).await;
    assert_eq!(phase(&newest), Phase::Ready, "idle since the film ended, and not before");
    pass(secs(3)).await;
    assert_eq!((phase(&newest), world.engine.count(Call::Stop)), (Phase::Asleep, 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_inside_keeps_it_awake_that_was_let_go_and_taken_up_again() {
    let app = spec("app");
    let (world, handle) = ready(&app).await;
    let film = request(&handle).await.unwrap().unwrap();
    world.fleet.apply(&[]);
    pass(secs(2)).await;
    world.fleet.apply(&[spec("other")]);
    pass(secs(2)).await;
    let again = world.take_up(&app).await;
    pass(secs(30)).await;
    assert_eq!((phase(&again), world.engine.count(Call::Stop)), (Phase::Ready, 0));
    drop(film);
    pass(secs(7)).await;
    assert_eq!((phase(&again), world.engine.count(Call::Stop)), (Phase::Asleep, 1));
}

/// The actor of the old name waited for its stop for ever, and that of the new one for the old.
#[tokio::test(start_paused = true)]
async fn a_container_that_changes_hands_while_it_stops_is_woken_under_its_new_name() {
    let old = spec("app");
    let (world, handle) = ready(&old).await;
    world.engine.edit("app", |container| container.stop_delay = secs(8));
    handle.stop_by("anna");
    pass(secs(1)).await;
    assert_eq!((phase(&handle), world.engine.count(Call::Stop)), (Phase::Stopping, 1));
    world.fleet.apply(&[renamed(&old, "cloud")]);
    settle().await;
    let new = world.fleet.get("cloud").unwrap();
    let held = request(&new);
    pass(secs(2)).await;
    assert!(!held.is_finished(), "it is not sent to a process that was told to stop");
    pass(secs(7)).await;
    drop(held.await.unwrap().expect("woken, and answered"));
    assert_eq!((phase(&new), world.engine.state("app")), (Phase::Ready, ContainerState::Running));
}

/// Nobody takes it up: nothing is left behind either.
#[tokio::test(start_paused = true)]
async fn one_that_is_let_go_while_it_stops_ends_when_it_has() {
    let app = spec("app");
    let (world, handle) = ready(&app).await;
    world.engine.edit("app", |container| container.stop_delay = secs(3));
    handle.stop_by("anna");
    pass(secs(1)).await;
    world.fleet.apply(&[]);
    drop(handle);
    pass(secs(5)).await;
    assert_eq!(world.engine.state("app"), ContainerState::Exited);
    let again = world.take_up(&app).await;
    let held = request(&again);
    settle().await;
    drop(held.await.unwrap().expect("woken, and answered"));
}
