//! HTTP/2 upstreams that take no more streams: what they say they have not processed is sent again
//! (RFC 9113, 8.7), on another connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;
use wakedock::domain::service::UpstreamProtocol;

use super::frames::{END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, RST_STREAM, SETTINGS, frame};
use super::rig::{Rig, Service, Wire, field, until, upstream};

const ACK: u8 = 1;

async fn next(wire: &mut Wire<TcpStream>) -> Option<Frame> {
    let head = wire.up_to(9).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
    let payload = wire.up_to(length).await?;
    Some(Frame { kind: head[3], flags: head[4], stream, payload })
}

fn ok(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &[0x88])
}

/// Whose first connection does this with each request, and ends where it says nothing; whose later
/// ones answer.
async fn refuses_first(
    refuse: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let refuse = Arc::new(refuse);
    upstream(move |mut wire, number| {
        let refuse = Arc::clone(&refuse);
        async move {
            if wire.up_to(24).await.is_none() {
                return;
            }
            wire.send(frame(SETTINGS, 0, 0, b"")).await;
            while let Some(got) = next(&mut wire).await {
                if got.kind == SETTINGS && got.flags != ACK {
                    wire.send(frame(SETTINGS, ACK, 0, b"")).await;
                }
                if !got.is_last() {
                    continue;
                }
                let answer = if number == 0 { refuse(got.stream) } else { ok(got.stream) };
                if answer.is_empty() {
                    return;
                }
                wire.send(answer).await;
            }
        }
    })
    .await
}

fn go_away(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

async fn is_answered_by_the_second_connection(refuse: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) {
    let (address, connections) = refuses_first(refuse).await;
    let service = Service::new("app", |spec| spec.protocol = UpstreamProtocol::H2c);
    service.open(address, 1);
    let (service, looked) = service.rechecks();
    let rig = Rig::new(&service);
    let answer = rig.ask("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    assert_eq!(looked.load(Ordering::SeqCst), 1, "after a look at the container");
    until("all leases are back", || service.leases() == 0).await;
}

#[tokio::test]
async fn a_refused_stream() {
    let refused = 7_u32.to_be_bytes();
    is_answered_by_the_second_connection(move |stream| frame(RST_STREAM, 0, stream, &refused)).await;
}

#[tokio::test]
async fn a_connection_that_goes_away_without_the_stream() {
    is_answered_by_the_second_connection(|_| go_away(0)).await;
}

#[tokio::test]
async fn a_connection_that_breaks() {
    is_answered_by_the_second_connection(|_| Vec::new()).await;
}

/// The way a server of gRPC limits the age of its connections: no request is lost by it, not even
/// one with a body that may be sent only once.
#[tokio::test]
async fn a_connection_that_takes_no_more() {
    let (address, connections) = refuses_first(|stream| [go_away(stream), ok(stream)].concat()).await;
    let service = Service::new("app", |spec| spec.protocol = UpstreamProtocol::H2c);
    service.open(address, 1);
    let (service, _) = service.rechecks();
    let rig = Rig::new(&service);
    // One client, and so one worker and its one connection to the upstream.
    let mut client = rig.client().await;
    for round in 1..=3 {
        client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 7\r\n\r\nmessage").await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        client.body_of(&head).await;
        assert_eq!(connections.load(Ordering::SeqCst), round.min(2));
    }
}

/// An upstream that speaks no HTTP/2 is told from one that is away, and at once.
#[tokio::test]
async fn no_http2_at_all() {
    let (address, _) = upstream(|mut wire, _| async move {
        wire.up_to(24).await;
        wire.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    })
    .await;
    let service = Service::new("app", |spec| spec.protocol = UpstreamProtocol::H2c);
    service.open(address, 1);
    let (service, _) = service.rechecks();
    let rig = Rig::new(&service);
    let answer = rig.ask("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(field(&answer, "proxy-status").is_some(), "{answer}");
}
