//! HTTP/2 upstreams that take no more streams: what they say they have not processed is sent again
//! (RFC 9113, 8.7), on another connection.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use wakedock::domain::service::UpstreamProtocol;
use wakedock::supervisor::handle::ServiceHandle;

use super::frames::{
    CANCEL, Client, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, RST_STREAM, SETTINGS, fields,
    frame,
};
use super::rig::{Rig, Service, Wire, config, field, until, upstream};

const ACK: u8 = 1;

pub(super) async fn next(wire: &mut Wire<TcpStream>) -> Option<Frame> {
    let head = wire.up_to(9).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
    let payload = wire.up_to(length).await?;
    Some(Frame { kind: head[3], flags: head[4], stream, payload })
}

fn ok(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &[0x88])
}

/// An answer with this body.
pub(super) fn echo(stream: u32, body: &[u8]) -> Vec<u8> {
    [frame(HEADERS, END_HEADERS, stream, &[0x88]), frame(DATA, END_STREAM, stream, body)].concat()
}

/// A request as the upstream got it.
pub(super) struct Got {
    pub(super) connection: usize,
    pub(super) body: Vec<u8>,
    pub(super) whole: bool,
}

/// An upstream of HTTP/2. What it does with each part of a request is `answer`'s: nothing, frames,
/// or, where it returns `None`, the end of the connection.
pub(super) async fn h2(
    answer: impl Fn(&Got, u32) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let answer = Arc::new(answer);
    upstream(move |mut wire, connection| {
        let answer = Arc::clone(&answer);
        async move {
            if wire.up_to(24).await.is_none() {
                return;
            }
            wire.send(frame(SETTINGS, 0, 0, b"")).await;
            let mut got: HashMap<u32, Got> = HashMap::new();
            while let Some(next) = next(&mut wire).await {
                if next.kind == SETTINGS && next.flags != ACK {
                    wire.send(frame(SETTINGS, ACK, 0, b"")).await;
                }
                if !matches!(next.kind, HEADERS | DATA) {
                    continue;
                }
                let so_far =
                    got.entry(next.stream).or_insert(Got { connection, body: Vec::new(), whole: false });
                so_far.whole = next.is_last();
                if next.kind == DATA {
                    so_far.body.extend(next.payload);
                }
                match answer(so_far, next.stream) {
                    Some(frames) => wire.send(frames).await,
                    None => return,
                }
            }
        }
    })
    .await
}

/// Whose first connection does this with each request that is whole, and ends where it says
/// nothing; whose later ones answer.
async fn refuses_first(
    refuse: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    h2(move |got, stream| match (got.whole, got.connection) {
        (false, _) => Some(Vec::new()),
        (true, 0) => Some(refuse(stream)).filter(|frames| !frames.is_empty()),
        (true, _) => Some(ok(stream)),
    })
    .await
}

fn refused(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &7_u32.to_be_bytes())
}

fn go_away(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

/// A service whose upstream speaks HTTP/2, and how often its container was looked at.
fn service(address: SocketAddr) -> (ServiceHandle, Arc<AtomicUsize>) {
    let service = Service::new("app", |spec| spec.protocol = UpstreamProtocol::H2c);
    service.open(address, 1);
    service.rechecks()
}

async fn is_answered_by_the_second_connection(refuse: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) {
    let (address, connections) = refuses_first(refuse).await;
    let (service, looked) = service(address);
    let rig = Rig::new(&service);
    let answer = rig.ask("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    assert_eq!(looked.load(Ordering::SeqCst), 1, "after a look at the container");
    until("all leases are back", || service.leases() == 0).await;
}

#[tokio::test]
async fn a_refused_stream() {
    is_answered_by_the_second_connection(refused).await;
}

#[tokio::test]
async fn a_connection_that_goes_away_without_the_stream() {
    is_answered_by_the_second_connection(|_| go_away(0)).await;
}

#[tokio::test]
async fn a_connection_that_breaks() {
    is_answered_by_the_second_connection(|_| Vec::new()).await;
}

/// What an upstream says it did not process may be sent again whatever it is, and all of it.
#[tokio::test]
async fn what_was_not_processed_is_sent_again_whatever_it_is() {
    let ways: [fn(u32) -> Vec<u8>; 2] = [refused, |_| go_away(0)];
    let asked = [
        ("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 7\r\n\r\nmessage", "message"),
        (
            "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmess\r\n3\r\nage\r\n0\r\n\r\n",
            "message",
        ),
        ("PUT / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 7\r\n\r\nmessage", "message"),
        ("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n", ""),
        ("POST / HTTP/1.1\r\nHost: app.test\r\n\r\n", ""),
    ];
    for refuse in ways {
        for (request, body) in asked {
            let (address, connections) = h2(move |got, stream| match (got.whole, got.connection) {
                (false, _) => Some(Vec::new()),
                (true, 0) => Some(refuse(stream)),
                (true, _) => Some(echo(stream, &got.body)),
            })
            .await;
            let (service, looked) = service(address);
            let rig = Rig::new(&service);
            let answer = rig.ask(request).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{request}: {answer}");
            assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{request}: {answer}");
            assert_eq!(connections.load(Ordering::SeqCst), 2, "{request}");
            assert_eq!(looked.load(Ordering::SeqCst), 1, "after a look at the container");
            until("all leases are back", || service.leases() == 0).await;
        }
    }
}

/// The call of a real client: refused while its message is on its way, and while it waits.
#[tokio::test]
async fn a_call_of_grpc_is_sent_again() {
    for refused_at in ["", "a beg", "a beginning, and"] {
        let (address, connections) = h2(move |got, stream| {
            let refuses = got.connection == 0 && got.body.len() >= refused_at.len();
            match (refuses, got.whole) {
                (true, _) => Some(refused(stream)),
                (false, true) => Some(echo(stream, &got.body)),
                (false, false) => Some(Vec::new()),
            }
        })
        .await;
        let service = Service::new("app", |_| {});
        service.open(address, 1);
        let (service, _) = service.rechecks();
        let rig = Rig::new(&service);
        let mut client = Client::new(rig.address, &[]).await;
        let head = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/pkg.Service/Call"),
            (":authority", "app.test"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        client.send(HEADERS, END_HEADERS, 1, &fields(&head)).await;
        if refused_at.is_empty() {
            until("it was refused before its body", || connections.load(Ordering::SeqCst) == 2).await;
        }
        client.send(DATA, 0, 1, b"a beginning").await;
        if refused_at == "a beg" {
            until("it was refused in between", || connections.load(Ordering::SeqCst) == 2).await;
        }
        client.send(DATA, END_STREAM, 1, b", and an end").await;
        assert_eq!(client.is_answered(1).await, b"a beginning, and an end", "refused at {refused_at:?}");
        assert_eq!(connections.load(Ordering::SeqCst), 2);
        until("all leases are back", || service.leases() == 0).await;
    }
}

/// Once, and not for ever; and only what was surely not processed, and is known in full.
#[tokio::test]
async fn what_is_not_sent_again() {
    const LARGE: usize = 20_000;
    let small = "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 7\r\n\r\nmessage".to_owned();
    let large = small.replace("h: 7", &format!("h: {LARGE}")).replace("message", &"x".repeat(LARGE));
    type Refuse = fn(u32) -> Option<Vec<u8>>;
    let cases: [(&str, &String, Refuse, usize); 5] = [
        ("refused twice", &small, |stream| Some(refused(stream)), 2),
        ("too large to be kept", &large, |stream| Some(refused(stream)), 1),
        (
            "reset for another reason",
            &small,
            |stream| Some(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())),
            1,
        ),
        ("the connection broke", &small, |_| None, 1),
        ("the last that was looked at", &small, |stream| Some(go_away(stream)), 1),
    ];
    for (case, request, refuse, sent) in cases {
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let (address, _) = h2(move |got, stream| {
            if !got.whole {
                return Some(Vec::new());
            }
            counter.fetch_add(1, Ordering::SeqCst);
            refuse(stream)
        })
        .await;
        let (service, _) = service(address);
        let mut config = config();
        config.timeouts.response_head = Some(Duration::from_millis(300));
        let rig = Rig::with(&config, &[("app.test", None, &service)]);
        let answer = rig.ask(request).await;
        let status = if case.starts_with("the last") { "504" } else { "502" };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{case}: {answer}");
        assert_eq!(requests.load(Ordering::SeqCst), sent, "{case}");
        until("all leases are back", || service.leases() == 0).await;
    }
}

/// The way a server of gRPC limits the age of its connections: no request is lost by it, not even
/// one with a body that may be sent only once.
#[tokio::test]
async fn a_connection_that_takes_no_more() {
    let (address, connections) = refuses_first(|stream| [go_away(stream), ok(stream)].concat()).await;
    let (service, _) = service(address);
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
    let (service, _) = service(address);
    let rig = Rig::new(&service);
    let answer = rig.ask("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(field(&answer, "proxy-status").is_some(), "{answer}");
}
