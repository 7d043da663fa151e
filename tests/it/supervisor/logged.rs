//! What the operator reads of it in the log.

use super::world::{World, pass, ready, request, request_of, secs, settle, spec};
use wakedock::domain::words::StopCause;
use wakedock::supervisor::handle::Asker;

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

/// A paused service that was taken out of the file stayed frozen, and the log said "left as it is".
#[tokio::test(start_paused = true)]
async fn what_is_added_and_let_go_is_named_with_its_state() {
    let said = Said::listen();
    let mut paused = spec("frozen");
    paused.idle.pause_after = Some(secs(2));
    let (world, _handle) = ready(&paused).await;
    assert!(said.lines(&["added"]).is_empty(), "not one by one at the start");
    let names = ["up", "off"];
    let both = names.map(|name| {
        world.engine.create(name);
        spec(name)
    });
    world.fleet.apply(&[paused.clone(), both[0].clone(), both[1].clone()]);
    for name in names {
        let (service, container) = (format!("service={name}"), format!("container={name}"));
        assert_eq!(said.lines(&["INFO", "added", &service, &container]).len(), 1);
    }
    assert_eq!(said.lines(&["added"]).len(), 2, "what was there is not added again");
    pass(secs(3)).await;
    let lease = request(&world.fleet.get("up").unwrap());
    settle().await;
    let _inside = lease.await.unwrap().unwrap();

    world.fleet.apply(&[]);
    let said = |name: &str| said.lines(&["INFO", "let go", &format!("service={name} container={name}")]);
    assert!(said("frozen")[0].contains("left paused: `docker unpause`"), "{:?}", said("frozen"));
    assert!(said("frozen")[0].contains("state=\"paused\""), "{:?}", said("frozen"));
    assert!(said("up")[0].contains("left as it is") && said("up")[0].contains("state=\"running\""));
    assert!(said("off")[0].contains("state=\"not running\""), "{:?}", said("off"));
}

/// Who woke this: the first request, by its id and host; after a stop, the first that waited.
#[tokio::test(start_paused = true)]
async fn a_wake_names_the_request_that_asked_first() {
    let said = Said::listen();
    let (world, handle) = World::one(&spec("app")).await;
    world.engine.edit("app", |container| {
        container.start_delay = secs(1);
        container.stop_delay = secs(2);
    });
    let by = |request_id: &'static str, host| Asker {
        request_id: request_id.as_bytes(),
        host,
        ..Asker::default()
    };
    let clients = [("first", "a.example.com"), ("second", "b.example.com")]
        .map(|(id, host)| request_of(&handle, by(id, host)));
    pass(secs(2)).await;
    for client in clients {
        drop(client.await.unwrap().unwrap());
    }
    let wakes = || said.lines(&["INFO", "waking", "cause=request"]);
    assert_eq!(wakes().len(), 1, "{:?}", wakes());
    assert!(wakes()[0].contains(r#"request_id="first" host="a.example.com""#), "{:?}", wakes());

    handle.stop(StopCause::Manual);
    pass(secs(1)).await;
    handle.wake_for(&by("page", "c.example.com"));
    settle().await;
    pass(secs(3)).await;
    assert!(wakes()[1].contains(r#"request_id="page" host="c.example.com""#), "{:?}", wakes());
    handle.stop(StopCause::Manual);
    pass(secs(3)).await;
    drop(request(&handle).await.unwrap().unwrap());
    assert!(!wakes()[2].contains("request_id") && !wakes()[2].contains("host"), "{:?}", wakes());
}
