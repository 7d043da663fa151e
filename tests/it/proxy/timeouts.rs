//! Each time limit fires, with the answer that `docs/http.md` names; none counts while the service
//! wakes; and none ends what is only quiet.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use wakedock::config::{Config, ProxyConfig, ProxyTimeouts, format_duration};
use wakedock::domain::words::Limit;

use super::frames::{Client, DATA, END_HEADERS, END_STREAM, HEADERS, ask};
use super::rig::{GET, Rig, Service, Wire, config, field, mirror, soon, until, upstream};

const SHORT: Duration = Duration::from_millis(150);

/// Every limit is as short.
fn short() -> ProxyConfig {
    let short = Some(SHORT);
    let timeouts = ProxyTimeouts {
        head: short,
        keep_alive: short,
        body: short,
        connect: short,
        response_head: short,
        write: short,
    };
    ProxyConfig { timeouts, ..config() }
}

fn is_timeout(answer: &str, error: &str) {
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert_eq!(field(answer, "x-wakedock"), Some("upstream-timeout"));
    assert_eq!(field(answer, "proxy-status"), Some(&*format!("wakedock; error={error}")));
}

/// A host that takes no connections and refuses none: its backlog is full.
#[tokio::test]
async fn connect() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut inside = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await
    {
        inside.push(stream);
    }
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let (handle, _) = service.rechecks();
    let rig = Rig::with(&short(), &[("app.test", None, &handle)]);
    let began = wakedock::clock::now();
    is_timeout(&rig.ask(GET).await, "connection_timeout");
    assert!(wakedock::clock::now().since(began) < 10 * SHORT, "{:?}", wakedock::clock::now().since(began));
}

/// An upstream that has stopped reading an upload.
#[tokio::test]
async fn write_to_an_upstream() {
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let mut config = config();
    config.timeouts.write = Some(SHORT);
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let client = tokio::net::TcpStream::connect(rig.address).await.unwrap();
    let (read, mut write) = client.into_split();
    let head = "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000000000\r\n\r\n";
    let sender = tokio::spawn(async move {
        write.write_all(head.as_bytes()).await.unwrap();
        while write.write_all(&[b'x'; 64 * 1024]).await.is_ok() {}
    });
    let mut answer = Wire::new(tokio::io::join(read, tokio::io::sink()));
    is_timeout(&answer.head().await, "connection_write_timeout");
    until("the lease is back", || service.handle.leases() == 0).await;
    sender.abort();
}

/// The client's answer is out, and its upload stops on the way.
#[tokio::test]
async fn body_after_the_answer() {
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly").await;
        wire.rest().await;
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let mut config = config();
    config.timeouts.body = Some(SHORT);
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut client = rig.client().await;
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100\r\n\r\nbegin").await;
    let head = client.head().await;
    assert_eq!(client.body_of(&head).await, b"early");
    // While it goes on it is left alone, for longer than any limit.
    for _ in 0..6 {
        tokio::time::sleep(SHORT / 2).await;
        client.send("x").await;
    }
    assert_eq!(rig.plane.connections(), 1);
    until("it is closed", || rig.plane.connections() == 0).await;
}

/// A half-closed client of an answer that does not come on.
#[tokio::test]
async fn body_of_a_half_closed_client() {
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        wire.rest().await;
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let mut config = config();
    config.timeouts.body = Some(SHORT);
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut client = rig.client().await;
    client.send(GET).await;
    until("it is on its way", || service.handle.leases() == 1).await;
    client.stream.shutdown().await.unwrap();
    until("it is closed", || rig.plane.connections() == 0).await;
    assert_eq!(rig.cuts.of(Limit::Body), 1);
}

/// The wake takes as long as it takes: all limits together are shorter.
#[tokio::test]
async fn no_limit_counts_while_the_service_wakes() {
    let (address, _) = mirror().await;
    let mut service = Service::new("app", |_| {});
    let rig = Rig::with(&short(), &[("app.test", None, &service.handle)]);
    let mut get = rig.client().await;
    get.send(GET).await;
    let first = service.demand().await;
    let mut post = rig.client().await;
    post.send("POST /x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 6\r\n\r\nbeg").await;
    let second = service.demand().await;
    let mut http2 = Client::new(rig.address, &[]).await;
    http2.send(HEADERS, END_HEADERS, 1, &ask("POST", "/x")).await;
    http2.send(DATA, 0, 1, b"beg").await;
    let third = service.demand().await;
    tokio::time::sleep(8 * SHORT).await;
    service.open(address, 1);
    for waiting in [first, second, third] {
        waiting.send(Ok(service.handle.lease().unwrap())).unwrap();
    }
    post.send("end").await;
    http2.send(DATA, END_STREAM, 1, b"end").await;
    for client in [&mut get, &mut post] {
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    }
    assert!(http2.is_answered(1).await.ends_with(b"begend"));
    for limit in Limit::ALL {
        assert_eq!(rig.cuts.of(*limit), 0, "{limit}");
    }
}

/// A WebSocket on which nobody says anything, and events that come once in a while.
#[tokio::test]
async fn what_is_quiet_outlives_every_limit() {
    let (address, _) = upstream(|mut wire, _| async move {
        let head = wire.head().await;
        if head.starts_with("GET /events ") {
            wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
        } else {
            wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").await;
            wire.through("ping").await;
            return wire.send("the end").await;
        }
        tokio::time::sleep(8 * SHORT).await;
        wire.send("the end").await;
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let rig = Rig::with(&short(), &[("app.test", None, &service.handle)]);
    let mut socket = rig.client().await;
    socket.send("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").await;
    assert!(socket.head().await.starts_with("HTTP/1.1 101 "));
    let mut events = rig.client().await;
    events.send("GET /events HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    events.through("data: 1\n\n").await;
    let mut http2 = Client::new(rig.address, &[]).await;
    http2.get(1, "/events").await;
    tokio::time::sleep(4 * SHORT).await;
    socket.send("ping").await;
    socket.through("the end").await;
    events.through("the end").await;
    assert!(soon(http2.is_answered(1)).await.ends_with(b"the end"));
}

/// A connection that idles is parked; what comes then is answered as ever, on the same connection.
#[tokio::test]
async fn a_parked_connection_goes_on() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    let post = "POST /y HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc";
    for request in [GET, post, &GET[..20], &GET[20..], post] {
        client.send(request).await;
        // Longer than it takes to be parked; the half of a head is not.
        tokio::time::sleep(Duration::from_millis(600)).await;
        if request != &GET[..20] {
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            client.body_of(&head).await;
        }
    }
    // Parked, it hears of the drain.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let began = wakedock::clock::now();
    let outcome = soon(rig.plane.drain(Duration::from_secs(5))).await;
    assert_eq!(outcome, wakedock::proxy::DrainOutcome::Finished);
    assert!(
        wakedock::clock::now().since(began) < Duration::from_secs(2),
        "{:?}",
        wakedock::clock::now().since(began)
    );
    assert_eq!(client.rest().await, (Vec::new(), true));
}

/// A parked connection has no more time than another.
#[tokio::test]
async fn keep_alive_of_a_parked_connection() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let mut config = config();
    config.timeouts.keep_alive = Some(Duration::from_millis(700));
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut client = rig.client().await;
    client.send(GET).await;
    let head = client.head().await;
    client.body_of(&head).await;
    let began = wakedock::clock::now();
    assert_eq!(client.rest().await, (Vec::new(), true));
    let took = wakedock::clock::now().since(began);
    assert!(took > Duration::from_millis(600) && took < Duration::from_millis(1500), "{took:?}");
}

/// The table of `docs/http.md` is the truth about the defaults. None of them is one on the whole of
/// an answer, or on an upgraded stream.
#[test]
fn the_documented_defaults_are_those_that_hold() {
    let text = include_str!("../../../docs/http.md");
    let ProxyTimeouts { head, keep_alive, body, connect, response_head, write } =
        Config::default().proxy.timeouts;
    for (key, default) in [
        ("head", head),
        ("keep_alive", keep_alive),
        ("body", body),
        ("connect", connect),
        ("response_head", response_head),
        ("write", write),
    ] {
        let default = format_duration(default.expect("a limit"));
        let row = format!("| `timeouts.{key}` | `{default}` |");
        assert!(text.contains(&row), "docs/http.md has no {row}");
    }
}
