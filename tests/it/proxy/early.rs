//! Answers that come before the client has said everything: they reach it, however long it goes on
//! before it reads. A close with bytes unread would reset the connection, and the answer with it.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::rig::{GET, Rig, Service, field, mirror, soon, until, upstream};

const SIZE: usize = 10_000_000;

/// The ways to send as much, each with the fields that say so and the bytes that follow.
fn uploads() -> [(&'static str, String, Vec<u8>); 3] {
    let length = format!("Content-Length: {SIZE}\r\n");
    let chunk = [format!("{SIZE:x}\r\n").into_bytes(), vec![b'x'; SIZE], b"\r\n0\r\n\r\n".to_vec()].concat();
    [
        ("by its length", length.clone(), vec![b'x'; SIZE]),
        ("in chunks", "Transfer-Encoding: chunked\r\n".to_owned(), chunk),
        ("without waiting for 100", length + "Expect: 100-continue\r\n", vec![b'x'; SIZE]),
    ]
}

/// Sends everything, then reads: the head of the answer.
async fn send_then_read(rig: &Rig, host: &str, fields: &str, body: &[u8]) -> String {
    let mut client = rig.client().await;
    client.send(format!("POST /x HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")).await;
    client.send(body).await;
    // Time for a reset to come, were there one.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut head = client.head().await;
    if head.starts_with("HTTP/1.1 100 ") {
        // Asked for, and due when the upstream takes the body.
        head = client.head().await;
    }
    client.body_of(&head).await;
    assert_eq!(client.rest().await, (Vec::new(), true), "and a regular end");
    head
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_everything_first() {
    let (address, _) = mirror().await;
    let mut service = Service::new("app", |spec| spec.max_held = 0);
    let rig = Rig::new(&service.handle);
    for (how, fields, body) in uploads() {
        let unknown = send_then_read(&rig, "nobody.test", &fields, &body).await;
        assert!(unknown.starts_with("HTTP/1.1 404 "), "{how}: {unknown}");
        assert_eq!(field(&unknown, "connection"), Some("close"), "{how}");
        let overloaded = send_then_read(&rig, "app.test", &fields, &body).await;
        assert!(overloaded.starts_with("HTTP/1.1 503 "), "{how}: {overloaded}");
        assert_eq!(field(&overloaded, "x-wakedock"), Some("overloaded"), "{how}");
    }
    service.mailbox.close();
    service.open(address, 1);
    assert!(rig.ask(GET).await.starts_with("HTTP/1.1 200 "));
    until("all are gone", || rig.plane.connections() == 0).await;
}

/// Nobody reads on for a client that only keeps its connection open.
#[tokio::test]
async fn a_client_that_stops_sending_is_left() {
    let service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send("POST / HTTP/1.1\r\nHost: nobody.test\r\nContent-Length: 1000\r\n\r\nabc").await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    until("it is left", || rig.plane.connections() == 0).await;
}

/// A small body that has come with its head is no reason to close.
#[tokio::test]
async fn a_refused_request_that_is_whole_keeps_its_connection() {
    let service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nHost: nobody.test\r\nContent-Length: 3\r\n\r\nabc").await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
        client.body_of(&head).await;
    }
}

/// The upstream answers 413 to the head, and closes.
#[tokio::test]
async fn an_upstreams_early_answer_reaches_the_client() {
    let service = Service::new("app", |_| {});
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge")
            .await;
        // It goes on reading, as it has to: what else is sent is thrown away.
        wire.stream.shutdown().await.unwrap();
        let _ = tokio::io::copy(&mut wire.stream, &mut tokio::io::sink()).await;
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    for (how, fields, body) in uploads() {
        let head = send_then_read(&rig, "app.test", &fields, &body).await;
        assert!(head.starts_with("HTTP/1.1 413 "), "{how}: {head}");
    }
    until("all leases are back", || service.handle.leases() == 0).await;
}

#[tokio::test]
async fn over_http2_the_answer_ends_the_stream_alone() {
    let service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let body = Full::new(Bytes::from(vec![b'x'; SIZE]));
        let request = Request::post("http://nobody.test/").body(body).unwrap();
        let answer = soon(client.send_request(request)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert!(!soon(answer.into_body().collect()).await.unwrap().to_bytes().is_empty());
    }
}
