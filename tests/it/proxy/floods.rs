//! Known attacks on HTTP/2: each costs its sender the connection, and nobody else anything.

use std::time::Duration;

use wakedock::domain::words::Limit;

use super::frames::{
    CANCEL, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, PRIORITY,
    PROTOCOL_ERROR, RST_STREAM, SETTINGS, WINDOW_UPDATE, ask, fields, frame, get,
};
use super::rig::{GET, Rig, Service, config, mirror, soon, until, upstream};

/// Sends it again and again until the connection is ended for it. Everybody else is served.
async fn costs_the_connection(first: &[u8], flood: impl Fn(u32) -> Vec<u8>) -> Option<u32> {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut bystander = Client::new(rig.address, &[]).await;
    let mut attacker = Client::new(rig.address, &[]).await;
    attacker.try_send(first).await;
    let mut sent = 0;
    // Ten thousand at the most: what is not noticed by then is not noticed.
    for batch in 0..100 {
        let bytes: Vec<u8> = (0..100).flat_map(|n| flood(batch * 100 + n)).collect();
        if !attacker.try_send(&bytes).await {
            break;
        }
        sent += 100;
    }
    let reason = attacker.is_left().await;
    assert!(sent < 10_000 || reason.is_some(), "nobody minded");
    bystander.get(1, "/one").await;
    assert!(!bystander.is_answered(1).await.is_empty());
    let answer = rig.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    until("all leases are back", || service.handle.leases() == 0).await;
    let counted = u64::from(reason != Some(PROTOCOL_ERROR));
    assert_eq!(rig.cuts.of(Limit::Flood), counted, "ended for {reason:?}");
    reason
}

/// The last word may be lost with the connection, but it is no other.
fn is_calming(reason: Option<u32>) {
    assert!(reason.is_none_or(|reason| reason == ENHANCE_YOUR_CALM), "{reason:?}");
}

fn stream(n: u32) -> u32 {
    2 * n + 1
}

fn window(by: u32) -> [u8; 4] {
    by.to_be_bytes()
}

/// CVE-2023-44487.
#[tokio::test]
async fn rapid_reset() {
    let reason = costs_the_connection(b"", |n| {
        let ask = frame(HEADERS, END_STREAM | END_HEADERS, stream(n), &get("/"));
        [ask, frame(RST_STREAM, 0, stream(n), &CANCEL.to_be_bytes())].concat()
    })
    .await;
    is_calming(reason);
}

/// The same, slow enough that each request is on its way before it is taken back.
#[tokio::test]
async fn rapid_reset_of_streams_that_were_seen() {
    let service = Service::new("app", |_| {});
    let (address, _) = upstream(|mut wire, _| async move {
        wire.rest().await;
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut attacker = Client::new(rig.address, &[]).await;
    for n in 0..1000 {
        let ask = frame(HEADERS, END_STREAM | END_HEADERS, stream(n), &get("/"));
        if !attacker.try_send(&ask).await {
            break;
        }
        // The pong says that all before it was read.
        let ping = attacker.try_send(&frame(PING, 0, 0, &[0; 8])).await;
        if !ping || attacker.frame().await.is_none() {
            break;
        }
        if !attacker.try_send(&frame(RST_STREAM, 0, stream(n), &CANCEL.to_be_bytes())).await {
            break;
        }
        assert!(n < 990, "a thousand requests were taken back, and nobody minded");
    }
    is_calming(attacker.is_left().await);
    until("all leases are back", || service.handle.leases() == 0).await;
}

/// CVE-2025-8671: the client has us reset its streams.
#[tokio::test]
async fn made_you_reset() {
    let reason = costs_the_connection(b"", |n| {
        let ask = frame(HEADERS, END_STREAM | END_HEADERS, stream(n), &get("/"));
        // No window may grow by nothing.
        [ask, frame(WINDOW_UPDATE, 0, stream(n), &window(0))].concat()
    })
    .await;
    assert_eq!(reason.unwrap_or(PROTOCOL_ERROR), PROTOCOL_ERROR, "at once");
    let reason = costs_the_connection(b"", |n| {
        let ask = frame(HEADERS, END_STREAM | END_HEADERS, stream(n), &get("/"));
        // No window may be as large as this.
        [ask, frame(WINDOW_UPDATE, 0, stream(n), &window(0x7fff_ffff))].concat()
    })
    .await;
    is_calming(reason);
}

/// CVE-2024-27316 and its like.
#[tokio::test]
async fn continuation_flood() {
    let begun = frame(HEADERS, END_STREAM, 1, &get("/"));
    let large = fields(&[("x", &"y".repeat(1000))]);
    is_calming(costs_the_connection(&begun, |_| frame(CONTINUATION, 0, 1, &large)).await);
    is_calming(costs_the_connection(&begun, |_| frame(CONTINUATION, 0, 1, b"")).await);
}

#[tokio::test]
async fn ping_flood() {
    is_calming(costs_the_connection(b"", |_| frame(PING, 0, 0, &[7; 8])).await);
}

#[tokio::test]
async fn settings_flood() {
    is_calming(costs_the_connection(b"", |_| frame(SETTINGS, 0, 0, b"")).await);
}

#[tokio::test]
async fn window_flood() {
    is_calming(costs_the_connection(b"", |_| frame(WINDOW_UPDATE, 0, 0, &window(1))).await);
}

#[tokio::test]
async fn priority_flood() {
    is_calming(costs_the_connection(b"", |_| frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16])).await);
}

#[tokio::test]
async fn unknown_frame_flood() {
    is_calming(costs_the_connection(b"", |_| frame(0xfa, 0, 0, b"")).await);
}

#[tokio::test]
async fn empty_data_flood() {
    let begun = frame(HEADERS, END_HEADERS, 1, &ask("POST", "/"));
    is_calming(costs_the_connection(&begun, |_| frame(DATA, 0, 1, b"")).await);
    // Nothing but padding.
    is_calming(costs_the_connection(&begun, |_| frame(DATA, 8, 1, &[1, 0])).await);
}

/// A literal that is indexed: from here on it is number 62.
fn large_field() -> Vec<u8> {
    [&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e][..], "y".repeat(4000).as_bytes()].concat()
}

/// A block of some kilobytes that names one large field again and again.
#[tokio::test]
async fn hpack_bomb() {
    let plant = frame(HEADERS, END_STREAM | END_HEADERS, 1, &[get("/"), large_field()].concat());
    let bomb = [get("/"), vec![0xbe; 10_000]].concat();
    let explode = |n| frame(HEADERS, END_STREAM | END_HEADERS, stream(n + 1), &bomb);
    is_calming(costs_the_connection(&plant, explode).await);
}

/// What is only somewhat too large is answered, by 431, and never reaches the service.
#[tokio::test]
async fn too_many_fields() {
    let service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    // 80 kB of fields where 64 KiB are allowed.
    let block = [get("/"), large_field(), vec![0xbe; 20]].concat();
    client.send(HEADERS, END_STREAM | END_HEADERS, 1, &block).await;
    let answer = client.await_frame(|frame| frame.kind == HEADERS).await;
    // `:status` by its index and a literal of three bytes, in Huffman's code.
    assert!(answer.payload.windows(3).any(|text| text == [0x69, 0x90, 0xff]), "{answer:?}");
    client.get(3, "/.wakedock/nothing").await;
    let answer = client.await_frame(|frame| frame.stream == 3 && frame.kind == HEADERS).await;
    assert!(!answer.is_ok(), "and the connection goes on");
}

/// The head of a request that never ends, slowly: the limit for heads ends it, whatever else
/// happens on the connection.
#[tokio::test]
async fn a_head_that_never_ends() {
    let service = Service::new("app", |_| {});
    let (address, _) = upstream(|mut wire, _| async move {
        wire.rest().await;
    })
    .await;
    service.open(address, 1);
    let mut config = config();
    config.timeouts.head = Some(Duration::from_millis(100));
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut client = Client::new(rig.address, &[]).await;
    client.get(1, "/waits").await;
    client.send(HEADERS, END_STREAM, 3, &get("/")).await;
    soon(client.is_left()).await;
    until("the connection is gone", || rig.plane.connections() == 0).await;
    assert_eq!(rig.cuts.of(Limit::Head), 1);
    until("all leases are back", || service.handle.leases() == 0).await;
}

/// Pings are no requests: a connection without any ends when its time is over.
#[tokio::test]
async fn pings_keep_no_connection_open() {
    let service = Service::new("app", |_| {});
    let mut config = config();
    config.timeouts.keep_alive = Some(Duration::from_millis(200));
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut client = Client::new(rig.address, &[]).await;
    let pings = async {
        while client.try_send(&frame(PING, 0, 0, &[0; 8])).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(pings).await;
    until("the connection is gone", || rig.plane.connections() == 0).await;
}

/// An upload that stops on the way is given up, its stream reset, and the next request on the
/// connection answered.
#[tokio::test]
async fn uploads_that_never_end() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let mut config = config();
    config.timeouts.body = Some(Duration::from_millis(100));
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut client = Client::new(rig.address, &[]).await;
    for n in 0..64 {
        client.send(HEADERS, END_HEADERS, stream(n), &ask("POST", "/")).await;
        client.send(DATA, 0, stream(n), b"a beginning").await;
    }
    for _ in 0..64 {
        client.await_frame(|frame| frame.is_last()).await;
    }
    until("all leases are back", || service.handle.leases() == 0).await;
    client.get(stream(64), "/next").await;
    assert!(!client.is_answered(stream(64)).await.is_empty());
}

/// Answers that the client asks for and does not take: each is given up after the limit for
/// writes, and its stream alone.
#[tokio::test]
async fn windows_that_never_open() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let mut config = config();
    config.timeouts.write = Some(Duration::from_millis(200));
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    // SETTINGS_INITIAL_WINDOW_SIZE
    let mut client = Client::new(rig.address, &[(4, 0)]).await;
    for n in 0..64 {
        client.get(stream(n), "/").await;
    }
    for _ in 0..64 {
        let reset = client.await_frame(|frame| frame.kind == RST_STREAM).await;
        assert_eq!(reset.reason(), CANCEL);
    }
    assert_eq!(rig.cuts.of(Limit::Write), 64);
    until("all leases are back", || service.handle.leases() == 0).await;
    client.get(stream(64), "/next").await;
    client.send(WINDOW_UPDATE, 0, stream(64), &window(100_000)).await;
    assert!(!client.is_answered(stream(64)).await.is_empty());
}

/// More streams than are granted are refused, and only they.
#[tokio::test]
async fn more_streams_than_are_granted() {
    let service = Service::new("app", |_| {});
    let (address, _) = upstream(|mut wire, _| async move {
        wire.rest().await;
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    for n in 0..65 {
        client.get(stream(n), "/").await;
    }
    let refused = client.await_frame(|frame| frame.kind == RST_STREAM).await;
    assert_eq!((refused.stream, refused.reason()), (stream(64), 7), "REFUSED_STREAM");
    until("it is counted", || rig.cuts.of(Limit::Streams) == 1).await;
    until("the others are there", || service.handle.leases() == 64).await;
}
