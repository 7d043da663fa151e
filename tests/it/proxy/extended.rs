//! WebSockets over HTTP/2 (RFC 8441): one stream of the client's connection, an upgraded
//! connection of HTTP/1.1 to the application.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;

use super::frames::{
    CANCEL, Client, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PROTOCOL_ERROR, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, fields,
};
use super::rig::{Rig, Service, config, field, soon, until, upstream};

fn connect(protocol: &str) -> Vec<u8> {
    fields(&[
        (":method", "CONNECT"),
        (":protocol", protocol),
        (":scheme", "http"),
        (":path", "/chat?room=1"),
        (":authority", "app.test"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
        ("origin", "http://app.test"),
    ])
}

/// The answer to a key, by hand: the application's own library would do the same.
fn accept(key: &str) -> String {
    use base64::Engine;
    use sha1::{Digest, Sha1};
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64::engine::general_purpose::STANDARD.encode(Sha1::digest(text.as_bytes()))
}

/// Completes the handshake, says hello, echoes lines; says goodbye after the client has; tells how
/// its connection ended.
async fn echo() -> (SocketAddr, mpsc::UnboundedReceiver<&'static str>) {
    let (tell, told) = mpsc::unbounded_channel();
    let (address, _) = upstream(move |mut wire, _| {
        let tell = tell.clone();
        async move {
            let head = wire.head().await;
            assert!(head.starts_with("GET /chat?room=1 HTTP/1.1\r\n"), "{head}");
            assert_eq!(field(&head, "host"), Some("app.test"));
            assert_eq!(field(&head, "connection"), Some("upgrade"));
            assert_eq!(field(&head, "upgrade"), Some("websocket"));
            assert_eq!(field(&head, "sec-websocket-version"), Some("13"));
            assert_eq!(field(&head, "sec-websocket-protocol"), Some("chat"));
            assert_eq!(field(&head, "origin"), Some("http://app.test"));
            let accept = accept(field(&head, "sec-websocket-key").unwrap());
            wire.send(format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello\n",
            ))
            .await;
            loop {
                let Some(line) = wire.line().await else {
                    tell.send("gone").unwrap();
                    return;
                };
                match line.as_str() {
                    "break\n" => {
                        // An end like that of a process that is killed.
                        socket2::SockRef::from(&wire.stream).set_linger(Some(Duration::ZERO)).unwrap();
                        return;
                    }
                    "end\n" => break,
                    "flood\n" => wire.send(vec![b'x'; 1 << 20]).await,
                    _ => wire.send(line).await,
                }
            }
            let (rest, clean) = wire.rest().await;
            assert!(rest.is_empty() && clean);
            wire.send("goodbye\n").await;
            tell.send("done").unwrap();
        }
    })
    .await;
    (address, told)
}

/// What comes on the stream until it is this long.
async fn read(client: &mut Client, stream: u32, length: usize) -> (String, Frame) {
    let mut text = Vec::new();
    loop {
        let frame = client.await_frame(|frame| frame.stream == stream && frame.kind != WINDOW_UPDATE).await;
        assert_eq!(frame.kind, DATA, "{frame:?}");
        text.extend_from_slice(&frame.payload);
        if text.len() >= length || frame.is_last() {
            return (String::from_utf8(text).unwrap(), frame);
        }
    }
}

async fn opened(client: &mut Client, stream: u32) {
    client.send(HEADERS, END_HEADERS, stream, &connect("websocket")).await;
    let answer = client.await_frame(|frame| frame.stream == stream && frame.kind == HEADERS).await;
    assert!(answer.is_ok() && !answer.is_last(), "{answer:?}");
    assert_eq!(read(client, stream, 6).await.0, "hello\n");
}

#[tokio::test]
async fn it_is_offered() {
    let service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    // A second connection's settings, as they are.
    let mut wire = rig.client().await;
    wire.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &super::frames::frame(SETTINGS, 0, 0, b"")[..]].concat())
        .await;
    let head = wire.exactly(9).await;
    let settings = wire.exactly(usize::from(head[2])).await;
    // SETTINGS_ENABLE_CONNECT_PROTOCOL
    assert!(settings.chunks(6).any(|one| one == [0, 8, 0, 0, 0, 1]), "{settings:?}");
}

#[tokio::test]
async fn bytes_both_ways_the_lease_until_the_end_and_half_closed_ends() {
    let service = Service::new("app", |_| {});
    let (address, mut told) = echo().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    opened(&mut client, 1).await;
    opened(&mut client, 3).await;
    for n in 0..10 {
        let line = format!("{n}{}\n", "x".repeat(n * 997));
        for stream in [1, 3] {
            client.send(DATA, 0, stream, line.as_bytes()).await;
            assert_eq!(read(&mut client, stream, line.len()).await.0, line);
        }
        for stream in [0, 1, 3] {
            client.send(WINDOW_UPDATE, 0, stream, &20_000_u32.to_be_bytes()).await;
        }
    }
    assert_eq!(service.handle.leases(), 2, "an open stream is use");
    client.send(DATA, END_STREAM, 1, b"end\n").await;
    let (goodbye, last) = read(&mut client, 1, 100).await;
    assert_eq!((goodbye.as_str(), last.is_last()), ("goodbye\n", true));
    assert_eq!(soon(told.recv()).await, Some("done"));
    until("its lease is back", || service.handle.leases() == 1).await;
    // The other one has noticed nothing.
    client.send(DATA, 0, 3, b"still there\n").await;
    assert_eq!(read(&mut client, 3, 12).await.0, "still there\n");
}

#[tokio::test]
async fn a_reset_ends_both_sides() {
    let service = Service::new("app", |_| {});
    let (address, mut told) = echo().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    for (stream, reason) in [(1, CANCEL), (3, PROTOCOL_ERROR), (5, 0)] {
        opened(&mut client, stream).await;
        client.send(RST_STREAM, 0, stream, &reason.to_be_bytes()).await;
        assert_eq!(soon(told.recv()).await, Some("gone"), "{reason}");
        until("the lease is back", || service.handle.leases() == 0).await;
    }
    // And the other way round: what breaks there is no regular end here.
    opened(&mut client, 7).await;
    client.send(DATA, 0, 7, b"break\n").await;
    let reset = client.await_frame(|frame| frame.stream == 7 && frame.kind != WINDOW_UPDATE).await;
    assert_eq!(reset.kind, RST_STREAM, "{reset:?}");
    until("the lease is back", || service.handle.leases() == 0).await;
    // A client that vanishes takes all of them along.
    opened(&mut client, 9).await;
    drop(client);
    assert_eq!(soon(told.recv()).await, Some("gone"));
    until("the lease is back", || service.handle.leases() == 0).await;
    until("the connection is gone", || rig.plane.connections() == 0).await;
}

/// An open stream without bytes is no idle connection; one whose client takes nothing ends.
#[tokio::test]
async fn time_limits() {
    let service = Service::new("app", |_| {});
    let (address, mut told) = echo().await;
    service.open(address, 1);
    let mut config = config();
    config.timeouts.keep_alive = Some(Duration::from_millis(100));
    config.timeouts.write = Some(Duration::from_millis(300));
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut client = Client::new(rig.address, &[]).await;
    opened(&mut client, 1).await;
    // Several times the patience with idle connections.
    tokio::time::sleep(Duration::from_millis(500)).await;
    client.send(DATA, 0, 1, b"still there\n").await;
    assert_eq!(read(&mut client, 1, 12).await.0, "still there\n");
    client.send(DATA, 0, 1, b"flood\n").await;
    let reset = client.await_frame(|frame| frame.stream == 1 && frame.kind == RST_STREAM).await;
    assert_eq!(reset.reason(), CANCEL);
    drop(told.recv());
    until("the lease is back", || service.handle.leases() == 0).await;
}

#[tokio::test]
async fn from_asleep() {
    let mut service = Service::new("app", |_| {});
    let (address, _told) = echo().await;
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    client.send(HEADERS, END_HEADERS, 1, &connect("websocket")).await;
    // What the client says before the answer is not lost.
    client.send(DATA, 0, 1, b"early\n").await;
    service.admit(address).await;
    let answer = client.await_frame(|frame| frame.stream == 1 && frame.kind == HEADERS).await;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(read(&mut client, 1, 12).await.0, "hello\nearly\n");
}

#[tokio::test]
async fn what_is_no_websocket_is_refused() {
    let service = Service::new("app", |_| {});
    let (address, _) = upstream(|mut wire, _| async move {
        let head = wire.head().await;
        let answer = match field(&head, "x-answer").unwrap() {
            "declined" => "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
            "success" => "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            _ => {
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                  Sec-WebSocket-Accept: c3R1cGlk\r\n\r\n"
            }
        };
        wire.send(answer).await;
        wire.rest().await;
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    let mut stream = 1;
    for (answer, expected) in [("declined", "no"), ("success", "usable"), ("forged", "usable")] {
        let block = [connect("websocket"), fields(&[("x-answer", answer)])].concat();
        client.send(HEADERS, END_HEADERS, stream, &block).await;
        let head = client.await_frame(|frame| frame.stream == stream && frame.kind == HEADERS).await;
        assert!(!head.is_ok(), "{answer}");
        let (body, last) = read(&mut client, stream, usize::MAX).await;
        assert!(body.contains(expected) && last.is_last(), "{answer}: {body}");
        stream += 2;
    }
    // Any other CONNECT, of the old kind or of the new.
    let plain = fields(&[(":method", "CONNECT"), (":authority", "app.test:80")]);
    for block in [connect("connect-udp"), plain] {
        client.send(HEADERS, END_HEADERS, stream, &block).await;
        let head = client.await_frame(|frame| frame.stream == stream && frame.kind == HEADERS).await;
        assert!(!head.is_ok());
        let (body, _) = read(&mut client, stream, usize::MAX).await;
        assert!(body.contains("CONNECT"), "{body}");
        stream += 2;
    }
    until("all leases are back", || service.handle.leases() == 0).await;
}
