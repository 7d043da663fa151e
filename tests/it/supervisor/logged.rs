//! What the operator reads of it in the log.

use super::world::{World, pass, secs, settle, spec};
use crate::support::said::Said;

/// A newcomer wrote a container's name with a typo, and nothing said so until the first request.
#[tokio::test(start_paused = true)]
async fn a_container_that_is_not_there_is_said_once() {
    let said = Said::listen();
    let world = World::new();
    world.take_up(&spec("app")).await;
    let missing = ["WARN", "there is no such container", "service=app", "container=app"];
    assert_eq!(said.lines(&missing).len(), 1, "{:?}", said.lines(&[]));
    pass(secs(130)).await;
    world.fleet.apply(&[wakedock::domain::service::ServiceSpec { max_held: 7, ..spec("app") }]);
    settle().await;
    assert_eq!(said.lines(&missing).len(), 1, "not each minute, and not with each edit");

    let back = ["INFO", "the container is there again", "service=app", "container=app"];
    assert!(said.lines(&back).is_empty());
    world.engine.create("app");
    settle().await;
    assert_eq!(said.lines(&back).len(), 1, "{:?}", said.lines(&[]));
    world.engine.remove("app");
    pass(secs(70)).await;
    assert_eq!((said.lines(&missing).len(), said.lines(&back).len()), (2, 1), "{:?}", said.lines(&[]));
}

/// Docker that does not answer is no sign of a typo.
#[tokio::test(start_paused = true)]
async fn while_docker_is_away_nothing_is_missing() {
    let said = Said::listen();
    let world = World::new();
    world.engine.go_away();
    world.take_up(&spec("app")).await;
    pass(secs(70)).await;
    assert!(said.lines(&["no such container"]).is_empty(), "{:?}", said.lines(&[]));
}
