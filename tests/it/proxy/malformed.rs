//! One meaning or none, on HTTP/2 (RFC 9113, 8): what h2 resets, and what is refused here because
//! the next hop would read it in another way. The upstream never sees it, and the connection goes on.

use std::sync::atomic::Ordering;

use wakedock::domain::service::UpstreamProtocol;

use super::frames::{
    Client, DATA, END_HEADERS, END_STREAM, HEADERS, PROTOCOL_ERROR, RST_STREAM, fields, frame,
};
use super::goaway::next;
use super::rig::{Rig, Service, config, field, mirror, until, upstream};

type Fields<'a> = Vec<(&'a str, &'a str)>;

const PSEUDO: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "app.test")];

/// The pseudo-fields of a good request, with this one changed, or left out where it is empty.
fn but<'a>(name: &str, value: &'a str) -> Fields<'a> {
    let changed = PSEUDO.map(|(own, good)| (own, if own == name { value } else { good }));
    changed.into_iter().filter(|(own, value)| *own != name || !value.is_empty()).collect()
}

/// A good request with another field.
fn and<'a>(name: &'a str, value: &'a str) -> Fields<'a> {
    [&PSEUDO[..], &[(name, value)]].concat()
}

#[tokio::test]
async fn a_request_that_is_none_goes_no_further() {
    let service = Service::new("app", |_| {});
    let (address, connections) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    let mut stream = 1;
    let endless = "M".repeat(65);
    let refused = [
        // Which host is meant.
        but(":authority", ""),
        but(":authority", "user@app.test"),
        but(":authority", "app.test:99999"),
        but(":authority", "app..test"),
        and("host", "other.test"),
        and("host", "app.test:81:81"),
        [&but(":authority", "app.test:80")[..], &[("host", "app.test:81")]].concat(),
        [&but(":authority", "")[..], &[("host", "app.test"), ("host", "app.test")]].concat(),
        // What is asked for.
        but(":path", "?query"),
        but(":path", "#fragment"),
        but(":path", "*"),
        but(":scheme", "ftp"),
        but(":method", &endless),
        // How long it is.
        [&and("content-length", "5")[..], &[("content-length", "5")]].concat(),
        // RFC 9113, 8.2.1.
        and("x-a", " a"),
        and("x-a", "a\t"),
    ];
    for request in &refused {
        client.send(HEADERS, END_HEADERS, stream, &fields(request)).await;
        client.send(DATA, END_STREAM, stream, b"hello").await;
        let answer = client.await_frame(|frame| frame.stream == stream && frame.kind == HEADERS).await;
        assert!(answer.is_bad_request(), "{request:?}: {answer:?}");
        stream += 2;
    }
    let reset = [
        but(":method", ""),
        but(":scheme", ""),
        but(":path", ""),
        but(":path", "path"),
        but(":path", "http://app.test/"),
        but(":path", "/a b"),
        but(":path", "/<a>"),
        [&PSEUDO[..], &[(":path", "/")]].concat(),
        [&[("x-a", "a")], &PSEUDO[..]].concat(),
        and(":status", "200"),
        and(":protocol", "websocket"),
        and("connection", "close"),
        and("transfer-encoding", "chunked"),
        and("keep-alive", "1"),
        and("proxy-connection", "close"),
        and("upgrade", "h2c"),
        and("te", "gzip"),
        and("te", "trailers, gzip"),
        and("content-length", "4"),
        and("content-length", "6"),
        and("content-length", "+5"),
        and("content-length", "5, 5"),
        and("content-length", "0x5"),
        and("content-length", "99999999999999999999"),
        [&and("content-length", "5")[..], &[("content-length", "6")]].concat(),
    ];
    for request in &reset {
        client.send(HEADERS, END_HEADERS, stream, &fields(request)).await;
        client.send(DATA, END_STREAM, stream, b"hello").await;
        let end = client.await_frame(|frame| frame.stream == stream && frame.kind == RST_STREAM).await;
        assert_eq!(end.reason(), PROTOCOL_ERROR, "{request:?}");
        stream += 2;
    }
    until("all leases are back", || service.handle.leases() == 0).await;
    let before = connections.load(Ordering::SeqCst);
    assert!(before <= 2, "only a body of the wrong length may have been begun: {before}");
    client.get(stream, "/good").await;
    assert!(client.is_answered(stream).await.starts_with(b"GET /good HTTP/1.1\r\n"));
}

/// The limits are the configured ones on HTTP/2 as well, and the connection goes on.
#[tokio::test]
async fn the_bounds_of_a_head() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let mut config = config();
    config.limits.fields = 3;
    config.limits.target = 100;
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut client = Client::new(rig.address, &[]).await;
    let target = |length: usize| format!("/{}", "a".repeat(length - 1));
    let (within, over) = (target(100), target(101));
    let fields_of = |count: usize| [&PSEUDO[..], &vec![("x-a", "1"); count]].concat();
    let cases = [
        (but(":path", &within), but(":path", &over), "The address is too long.\n"),
        (fields_of(3), fields_of(4), "The request's header fields are too large, or too many.\n"),
    ];
    let mut stream = 1;
    for (within, over, text) in &cases {
        client.send(HEADERS, END_HEADERS | END_STREAM, stream, &fields(within)).await;
        assert!(!client.is_answered(stream).await.is_empty());
        client.send(HEADERS, END_HEADERS | END_STREAM, stream + 2, &fields(over)).await;
        let answer = client.await_frame(|frame| frame.stream == stream + 2 && frame.kind == DATA).await;
        assert_eq!(String::from_utf8_lossy(&answer.payload), *text);
        stream += 4;
    }
}

/// What h2 takes for a broken connection ends it.
#[tokio::test]
async fn a_field_that_is_none_costs_the_connection() {
    let service = Service::new("app", |_| {});
    let (address, connections) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    for (name, value) in [
        ("X-Upper", "a"),
        ("x y", "a"),
        ("x:y", "a"),
        ("x-a", "a\rb"),
        ("x-a", "a\nb"),
        ("x-a", "a\0b"),
        ("x-a", "\x7f"),
    ] {
        let mut client = Client::new(rig.address, &[]).await;
        client.send(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&and(name, value))).await;
        assert_eq!(client.is_left().await, Some(PROTOCOL_ERROR), "{name:?}: {value:?}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

/// The host that both name, in whatever way, is the one of the authority.
#[tokio::test]
async fn the_authority_replaces_the_same_host() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    let only_host = [&but(":authority", "")[..], &[("host", "app.test:80")]].concat();
    for (n, (request, host)) in [
        (and("host", "APP.test:80"), "app.test"),
        (only_host, "app.test:80"),
        (and("te", "trailers"), "app.test"),
    ]
    .iter()
    .enumerate()
    {
        let stream = 2 * n as u32 + 1;
        client.send(HEADERS, END_HEADERS | END_STREAM, stream, &fields(request)).await;
        let seen = String::from_utf8(client.is_answered(stream).await).unwrap();
        assert_eq!(field(&seen, "host"), Some(*host), "{seen}");
        assert_eq!(seen.to_lowercase().matches("\r\nhost:").count(), 1, "{seen}");
    }
}

/// What h2 takes out before anybody sees it goes no further either.
#[tokio::test]
async fn a_fragment_and_a_pseudo_field_among_trailers_end_here() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    client.send(HEADERS, END_HEADERS, 1, &fields(&but(":path", "/path?query#fragment"))).await;
    client.send(DATA, 0, 1, b"hello").await;
    client.send(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&[(":path", "/evil")])).await;
    let seen = String::from_utf8(client.is_answered(1).await).unwrap();
    assert!(seen.starts_with("POST /path?query HTTP/1.1\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\nhello") && !seen.contains("evil"), "{seen}");
}

/// The same on the way back: an answer over HTTP/2 that would have two meanings in HTTP/1.
#[tokio::test]
async fn an_answer_over_http2_with_two_lengths_is_a_502() {
    let (address, _) = upstream(|mut wire, number| async move {
        if wire.up_to(24).await.is_none() {
            return;
        }
        wire.send(frame(4, 0, 0, b"")).await;
        while let Some(got) = next(&mut wire).await {
            if got.is_last() {
                let lengths = if number == 0 { 2 } else { 1 };
                let head = [vec![0x88], fields(&[("content-length", "2")]).repeat(lengths)].concat();
                wire.send(frame(HEADERS, END_HEADERS, got.stream, &head)).await;
                wire.send(frame(DATA, END_STREAM, got.stream, b"ok")).await;
                if number == 0 {
                    return;
                }
            }
        }
    })
    .await;
    let service = Service::new("app", |spec| spec.protocol = UpstreamProtocol::H2c);
    service.open(address, 1);
    let (service, _) = service.rechecks();
    let rig = Rig::new(&service);
    let mut client = rig.client().await;
    for status in ["502", "200"] {
        client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
        let head = client.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert_eq!(head.matches("ontent-Length").count(), 1, "{head}");
        client.body_of(&head).await;
    }
}
