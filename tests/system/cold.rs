//! A request for a service that sleeps is answered by the application itself, whatever kind of
//! request it is and whichever way it comes.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{App, Caddy, Connection, H2Connection, Request, Target, WakeDock, WebSocket, shared};

/// A container starts in a fraction of a second, and the longest answer takes three.
const LONGEST: Duration = Duration::from_secs(10);

/// A kind of request: sends it, checks the answer, panics where it is not the application's own.
type Kind = fn(&Target, &str);

const KINDS: [(&str, Kind); 8] = [
    ("get", get),
    ("upload", upload),
    ("chunked", chunked),
    ("expect", expecting),
    ("websocket", websocket),
    ("sse", sse),
    ("h2c", h2c),
    ("grpc", grpc),
];

fn get(target: &Target, host: &str) {
    let answer = Request::get(host, "/").send(target).unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let instance = answer.instance().expect("the application's own answer");
    assert_eq!(answer.text(), format!("awake: {instance}\n"));
    assert_eq!(answer.header("x-wakedock"), None);
    assert!(answer.interim.is_empty(), "unasked: {:?}", answer.interim);
    let timing = answer.header("server-timing").unwrap_or_default();
    assert!(timing.starts_with("wake;dur="), "it waited for a wake: {timing:?}");
}

/// Bytes whose order can be told.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

fn upload(target: &Target, host: &str) {
    let body = pattern(10_000_000);
    let answer = Request::post(host, "/echo", body.clone()).send(target).unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(answer.body == body, "other bytes came back: {} of {}", answer.body.len(), body.len());
    assert!(answer.instance().is_some());
    assert!(answer.interim.is_empty(), "unasked: {:?}", answer.interim);
}

fn chunked(target: &Target, host: &str) {
    let body = pattern(1_000_000);
    let chunks = body.chunks(77_777).map(<[u8]>::to_vec).collect();
    let answer = Request::new("PUT", host, "/echo?whole=1").chunked(chunks).send(target).unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(answer.body == body, "other bytes came back: {} of {}", answer.body.len(), body.len());
    assert!(answer.instance().is_some() && answer.interim.is_empty());
}

/// Sends the body only once it is told to.
fn expecting(target: &Target, host: &str) {
    let mut connection = Connection::open(target).unwrap();
    let head = format!(
        "POST /echo?whole=1 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n"
    );
    connection.send(head.as_bytes()).unwrap();
    assert_eq!(connection.read_head().unwrap().status, 100);
    let body = pattern(100_000);
    connection.send(&body).unwrap();
    let answer = connection.answer("POST").unwrap();
    assert_eq!((answer.status(), answer.interim.as_slice()), (200, &[][..]));
    assert!(answer.body == body && answer.instance().is_some());
}

fn websocket(target: &Target, host: &str) {
    let mut socket = WebSocket::connect(target, host, "/ws").unwrap();
    assert!(socket.answer.instance().is_some());
    socket.echo("good morning");
    socket.echo(&"long ".repeat(20_000));
    socket.close().unwrap();
}

/// The first event is there long before the second is sent.
fn sse(target: &Target, host: &str) {
    let mut connection = Connection::open(target).unwrap();
    let request = Request::get(host, "/sse?every=1500ms&count=2").header("Accept", "text/event-stream");
    connection.send(&request.head()).unwrap();
    let head = connection.read_head().unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert!(head.header("x-instance").is_some());
    let (mut text, mut ticks) = (String::new(), Vec::new());
    while let Some(chunk) = connection.chunk().unwrap() {
        text.push_str(&String::from_utf8(chunk).unwrap());
        while ticks.len() < text.matches("event: tick").count() {
            ticks.push(Instant::now());
        }
    }
    assert_eq!(ticks.len(), 2, "{text}");
    let between = ticks[1] - ticks[0];
    assert!(between > Duration::from_millis(1000), "the first was kept back: {between:?} between them");
}

fn h2c(target: &Target, host: &str) {
    let answer = H2Connection::open(target).unwrap().get(host, "/").unwrap();
    assert_eq!((answer.status(), answer.head.version.as_str()), (200, "HTTP/2.0"));
    assert_eq!(answer.text(), format!("awake: {}\n", answer.instance().unwrap()));
}

fn grpc(target: &Target, host: &str) {
    let call = H2Connection::open(target).unwrap().grpc(host, "/pkg.Service/Method", b"a message").unwrap();
    assert_eq!((call.status(), call.head.version.as_str()), (200, "HTTP/2.0"));
    assert_eq!(&call.body[5..], b"a message");
    assert_eq!((call.trailer("grpc-status"), call.trailer("grpc-message")), (Some("0"), Some("OK")));
    assert!(call.instance().is_some());
}

/// One service of its own for each kind of request.
struct Sleepers {
    dock: WakeDock,
    apps: Vec<App>,
}

impl Sleepers {
    /// Their containers were created and never started.
    fn new(caddy: Option<&Caddy>) -> Self {
        let apps: Vec<_> = KINDS.iter().map(|(kind, _)| App::builder(kind).create()).collect();
        let mut builder = WakeDock::builder();
        for ((kind, _), app) in KINDS.iter().zip(&apps) {
            builder = builder.service(json!({
                "name": kind, "hosts": [host(kind)], "container": app.name(), "port": app.port(),
            }));
        }
        if let Some(caddy) = caddy {
            builder = builder.caddy(caddy);
        }
        Self { dock: builder.start(), apps }
    }

    /// Sends each kind of request to the service that sleeps for it.
    fn wake_each(&self, way: &str, state: &str, target: &Target) {
        for ((kind, send), app) in KINDS.iter().zip(&self.apps) {
            let starts = app.starts();
            assert_eq!((app.state().as_str(), self.dock.phase(kind)), (state, Some("asleep")), "{kind}");
            let began = Instant::now();
            send(target, &host(kind));
            let took = began.elapsed();
            eprintln!("figure: cold {kind} {way}, {state}: answered in {took:?}");
            assert!(took < LONGEST, "{kind} {way}: {took:?}");
            assert!(app.running(), "{kind}");
            assert_eq!(self.dock.phase(kind), Some("ready"));
            let by_us = usize::from(state != "paused");
            crate::harness::eventually(Duration::from_secs(2), "its start is told", || {
                (app.starts() == starts + by_us).then_some(())
            });
            let wakes = [("service", *kind), ("cause", "request"), ("outcome", "ready")];
            assert_eq!(self.dock.metric("wakedock_wakes_total", &wakes), Some(1.0), "{kind}");
        }
    }
}

fn host(kind: &str) -> String {
    format!("{kind}.cold.example")
}

#[test]
fn through_caddy_every_kind_of_request_wakes_its_service() {
    let _turn = shared();
    let caddy = Caddy::start();
    let sleepers = Sleepers::new(Some(&caddy));
    for (kind, _) in KINDS {
        caddy.wait_route(&host(kind), Duration::from_secs(10));
    }
    sleepers.wake_each("through Caddy", "created", &caddy.http());
}

#[test]
fn over_tcp_every_kind_of_request_wakes_its_service() {
    let _turn = shared();
    let sleepers = Sleepers::new(None);
    sleepers.wake_each("over TCP", "created", &sleepers.dock.proxy());
}

#[test]
fn over_a_unix_socket_every_kind_of_request_wakes_its_service() {
    let _turn = shared();
    let sleepers = Sleepers::new(None);
    sleepers.wake_each("over the unix socket", "created", &sleepers.dock.proxy_unix());
}

#[test]
fn every_kind_of_request_wakes_a_paused_service() {
    let _turn = shared();
    let sleepers = Sleepers::new(None);
    for ((kind, _), app) in KINDS.iter().zip(&sleepers.apps) {
        app.start();
        app.answering();
        sleepers.dock.wait_phase(kind, "ready", Duration::from_secs(10));
        app.pause();
        sleepers.dock.wait_phase(kind, "asleep", Duration::from_secs(10));
    }
    sleepers.wake_each("over TCP", "paused", &sleepers.dock.proxy());
}

/// Trap 5 and trap 37. What waits for `100 Continue` is told so when its body can go somewhere,
/// and nobody else is told so.
#[test]
fn an_expected_100_comes_when_the_application_answers_and_never_unasked() {
    let _turn = shared();
    let listen_delay = Duration::from_millis(800);
    let app = App::builder("continue").env("LISTEN_DELAY", "800ms").create();
    let dock = WakeDock::builder()
        .service(json!({ "name": "continue", "hosts": ["c.example"], "container": app.name(), "port": 8080 }))
        .start();
    let began = Instant::now();
    let mut connection = Connection::open(&dock.proxy()).unwrap();
    let head = "POST /echo HTTP/1.1\r\nHost: c.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    connection.send(head.as_bytes()).unwrap();
    assert_eq!(connection.read_head().unwrap().status, 100);
    let after = began.elapsed();
    assert!(app.running() && after >= listen_delay, "the body was asked for after {after:?}");
    connection.send(b"hello").unwrap();
    assert_eq!(connection.answer("POST").unwrap().text(), "hello");

    // The same without asking, from a client that knows no interim answers, and asleep again.
    app.kill();
    dock.wait_phase("continue", "asleep", Duration::from_secs(10));
    let mut old = Connection::open(&dock.proxy()).unwrap();
    old.send(b"POST /echo HTTP/1.0\r\nHost: c.example\r\nContent-Length: 5\r\n\r\nhello").unwrap();
    let answer = old.answer("POST").unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "hello"));
    assert!(answer.interim.is_empty(), "unasked: {:?}", answer.interim);
}
