//! Streams that leave HTTP.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::rig::{Rig, Service, Wire, field, mirror, soon, until, upstream};

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: app.test\r\nConnection: keep-alive, Upgrade\r\n\
                       Upgrade: echo/1\r\nSec-WebSocket-Key: abc\r\n\r\n";

/// Says a first word together with its head, echoes, and says goodbye when the client is done.
async fn echo() -> std::net::SocketAddr {
    let (address, _) = upstream(|mut wire, _| async move {
        let head = wire.head().await;
        assert_eq!(field(&head, "connection"), Some("upgrade"), "{head}");
        assert_eq!(field(&head, "upgrade"), Some("echo/1"));
        assert_eq!(field(&head, "sec-websocket-key"), Some("abc"));
        wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\
             Sec-WebSocket-Accept: xyz\r\n\r\nhello\n",
        )
        .await;
        loop {
            let line = wire.through("\n").await;
            if line == "end\n" {
                break;
            }
            wire.send(line).await;
        }
        // The client has closed its half; what is said now still reaches it.
        let (rest, clean) = wire.rest().await;
        assert!(rest.is_empty() && clean);
        wire.send("goodbye\n").await;
    })
    .await;
    address
}

async fn upgraded(rig: &Rig) -> Wire<tokio::net::TcpStream> {
    let mut client = rig.client().await;
    client.send(UPGRADE).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(field(&head, "upgrade"), Some("echo/1"));
    assert_eq!(field(&head, "connection"), Some("upgrade"));
    assert_eq!(field(&head, "sec-websocket-accept"), Some("xyz"));
    assert_eq!(client.through("\n").await, "hello\n", "what came with the head is not lost");
    client
}

#[tokio::test]
async fn bytes_both_ways_the_lease_until_the_end_and_half_closed_ends() {
    let service = Service::new("app", |_| {});
    service.open(echo().await, 1);
    let rig = Rig::new(&service.handle);
    let mut client = upgraded(&rig).await;
    for n in 0..100 {
        let line = format!("{n}{}\n", "x".repeat(n * 997));
        client.send(&line).await;
        assert_eq!(client.through("\n").await, line);
    }
    assert_eq!(service.handle.leases(), 1, "an open stream is use");
    client.send("end\n").await;
    client.stream.shutdown().await.unwrap();
    let (rest, clean) = client.rest().await;
    assert_eq!((rest.as_slice(), clean), (b"goodbye\n".as_slice(), true));
    until("the lease is back", || service.handle.leases() == 0).await;
    until("the connection is gone", || rig.plane.connections() == 0).await;
}

/// Trap 10.
#[tokio::test]
async fn a_silent_stream_stops_counting_and_counts_again() {
    let service = Service::new("app", |spec| spec.idle.silent_stream = Some(Duration::from_millis(80)));
    service.open(echo().await, 1);
    let rig = Rig::new(&service.handle);
    let mut client = upgraded(&rig).await;
    for word in ["one\n", "two\n"] {
        client.send(word).await;
        assert_eq!(client.through("\n").await, word);
        assert_eq!(service.handle.leases(), 1, "bytes flow");
        until("silence", || service.handle.leases() == 0).await;
    }
    // Meanwhile it went to sleep and was woken again: this stream's upstream is gone.
    service.handle.gate().close();
    client.send("three\n").await;
    let (_, _) = soon(client.rest()).await;
    assert_eq!(service.handle.leases(), 0);
}

#[tokio::test]
async fn a_client_that_vanishes_ends_the_stream() {
    let service = Service::new("app", |_| {});
    let (closed, mut was_closed) = tokio::sync::mpsc::unbounded_channel();
    let (address, _) = upstream(move |mut wire, _| {
        let closed = closed.clone();
        async move {
            wire.head().await;
            wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").await;
            wire.rest().await;
            closed.send(()).unwrap();
        }
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send(UPGRADE).await;
    client.head().await;
    drop(client);
    soon(was_closed.recv()).await.unwrap();
    until("the lease is back", || service.handle.leases() == 0).await;
}

#[tokio::test]
async fn an_upgrade_may_be_declined_and_is_not_passed_on_for_http2() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let declined = rig.ask(UPGRADE).await;
    assert!(declined.starts_with("HTTP/1.1 200 "), "{declined}");
    let h2c = rig
        .ask(
            "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
             HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        )
        .await;
    assert!(h2c.starts_with("HTTP/1.1 200 "), "{h2c}");
    assert_eq!(field(&h2c, "upgrade"), None);
    assert_eq!(field(&h2c, "http2-settings"), None);
}

/// The gate is open before the snapshot of the service says so (here it never does): whoever is let
/// in meanwhile is not taken for one whose container has ended.
#[tokio::test]
async fn a_stream_that_opens_before_the_phase_is_told_goes_on() {
    let service = Service::new("app", |_| {});
    service.open(echo().await, 1);
    let rig = Rig::new(&service.handle);
    let mut client = upgraded(&rig).await;
    tokio::time::sleep(Duration::from_millis(1300)).await;
    client.send("still there\n").await;
    assert_eq!(client.through("\n").await, "still there\n");
}

/// What ends at the next hop is named to it, next to the upgrade.
#[tokio::test]
async fn an_upgrade_by_a_client_that_reads_trailers() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let seen = rig.ask(&UPGRADE.replace("keep-alive, Upgrade", "Upgrade, TE\r\nTE: trailers")).await;
    let (_, seen) = seen.split_once("\r\n\r\n").unwrap();
    assert_eq!(field(seen, "connection"), Some("upgrade, TE"), "{seen}");
    assert_eq!(field(seen, "te"), Some("trailers"), "{seen}");
}

#[tokio::test]
async fn nobody_switches_without_being_asked() {
    let service = Service::new("app", |_| {});
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").await;
        wire.rest().await;
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let answer = rig.ask(super::rig::GET).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(field(&answer, "proxy-status"), Some("wakedock; error=http_upgrade_failed"));
}
