//! How the data plane ends.

use std::time::Duration;

use wakedock::proxy::DrainOutcome;

use super::rig::{GET, Rig, Service, field, mirror, soon, upstream};

#[tokio::test]
async fn an_open_request_is_finished_and_nobody_new_is_let_in() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let (address, _) = upstream(move |mut wire, _| {
        let mut gone = gone.clone();
        async move {
            wire.head().await;
            gone.wait_for(|go| *go).await.unwrap();
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast").await;
            wire.rest().await;
        }
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut busy = rig.client().await;
    busy.send(GET).await;
    super::rig::until("it is on its way", || service.handle.leases() == 1).await;
    let mut idle = rig.client().await;
    super::rig::until("both are in", || rig.plane.connections() == 2).await;
    let address = rig.address;
    let drain = tokio::spawn(rig.plane.drain(Duration::from_secs(10)));
    assert!(idle.rest().await.0.is_empty(), "an idle connection is closed");
    // Each worker closes its own socket.
    soon(async { while tokio::net::TcpStream::connect(address).await.is_ok() {} }).await;
    assert!(!drain.is_finished());
    go.send(true).unwrap();
    let head = busy.head().await;
    assert_eq!(busy.body_of(&head).await, b"last");
    assert_eq!(busy.rest().await, (Vec::new(), true), "closed after its answer");
    assert_eq!(soon(drain).await.unwrap(), DrainOutcome::Finished);
}

#[tokio::test]
async fn a_held_request_is_served_within_the_grace() {
    let (address, _) = mirror().await;
    let mut service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let mut held = rig.client().await;
    held.send(GET).await;
    let answer = service.demand().await;
    let drain = tokio::spawn(rig.plane.drain(Duration::from_secs(10)));
    assert!(held.is_silent().await);
    service.open(address, 1);
    answer.send(Ok(service.handle.lease().unwrap())).unwrap();
    let head = held.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(field(&head, "connection"), Some("close"), "{head}");
    held.body_of(&head).await;
    assert_eq!(soon(drain).await.unwrap(), DrainOutcome::Finished);
}

#[tokio::test]
async fn what_is_left_after_the_grace_is_cut_and_counted() {
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").await;
        wire.rest().await;
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").await;
    client.head().await;
    let outcome = soon(rig.plane.drain(Duration::from_millis(100))).await;
    assert_eq!(outcome, DrainOutcome::TimedOut { connections: 1 });
    assert!(client.rest().await.0.is_empty());
    assert_eq!(service.handle.leases(), 0);
}

#[tokio::test]
async fn the_waiting_page_is_not_waited_for() {
    let service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send("GET /.wakedock/events HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    client.through("\n\n\r\n").await;
    assert_eq!(soon(rig.plane.drain(Duration::from_secs(10))).await, DrainOutcome::Finished);
    assert!(client.rest().await.0.ends_with(b"0\r\n\r\n"));
}
