//! What is in use stays awake for as long as bytes may flow, and only what is use counts.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{App, Connection, Message, Request, WakeDock, WebSocket, eventually, shared};

const STOP_AFTER: Duration = Duration::from_secs(2);
/// A stop comes at most this late, and never early.
const LATE: Duration = Duration::from_secs(1);
/// For a stop to be seen from outside.
const SLACK: Duration = Duration::from_millis(500);
/// So long is something in use that would otherwise be asleep.
const THREE_IDLE_TIMEOUTS: Duration = Duration::from_secs(6);

struct Used {
    dock: WakeDock,
    app: App,
}

impl Used {
    fn new(app: App, idle: Value) -> Self {
        let dock = WakeDock::builder()
            .service(json!({
                "name": "used", "hosts": ["used.example"], "container": app.name(), "port": app.port(),
                "idle": idle,
            }))
            .start();
        Self { dock, app }
    }

    fn plain() -> Self {
        Self::new(App::builder("used").create(), json!({ "stop_after": "2s" }))
    }

    fn leases(&self) -> f64 {
        self.dock.metric("wakedock_leases", &[("service", "used")]).expect("a gauge")
    }

    /// It never stopped so far.
    fn uninterrupted(&self) {
        assert_eq!(self.dock.phase("used"), Some("ready"));
        assert!(!self.app.events().iter().any(|event| event == "kill"), "{:?}", self.app.events());
        assert_eq!(self.app.starts(), 1);
    }

    /// Waits for the stop; it is due one idle timeout after `ended`.
    fn stops_on_time(&self, what: &str, ended: Instant) {
        eventually(STOP_AFTER + LATE + SLACK, "the service is told to stop", || {
            (self.dock.phase("used") != Some("ready")).then_some(())
        });
        let after = ended.elapsed();
        eprintln!("figure: {what}: stopped {after:.3?} after its end, with `stop_after: 2s`");
        assert!(after >= STOP_AFTER, "stopped early, after {after:?}");
        assert!(after <= STOP_AFTER + LATE + SLACK, "stopped late, after {after:?}");
        self.dock.wait_phase("used", "asleep", Duration::from_secs(10));
        assert!(!self.app.running());
    }
}

#[test]
fn a_silent_web_socket_keeps_its_service_awake() {
    let _turn = shared();
    let used = Used::plain();
    let mut socket = WebSocket::connect(&used.dock.proxy(), "used.example", "/ws").unwrap();
    socket.echo("before");
    // What is tested is that nothing happens for so long.
    std::thread::sleep(THREE_IDLE_TIMEOUTS);
    used.uninterrupted();
    socket.echo("after");
    assert_eq!(used.leases(), 1.0);
    let ended = Instant::now();
    drop(socket);
    used.stops_on_time("a silent WebSocket", ended);
}

#[test]
fn a_web_socket_with_pings_keeps_its_service_awake() {
    let _turn = shared();
    let used = Used::plain();
    let mut socket = WebSocket::connect(&used.dock.proxy(), "used.example", "/ws").unwrap();
    let began = Instant::now();
    while began.elapsed() < THREE_IDLE_TIMEOUTS {
        socket.ping(b"there?").unwrap();
        assert_eq!(socket.receive().unwrap(), Message::Pong(b"there?".to_vec()));
        std::thread::sleep(Duration::from_millis(300));
    }
    used.uninterrupted();
    let ended = Instant::now();
    socket.close().unwrap();
    assert_eq!(socket.receive().unwrap(), Message::Close);
    drop(socket);
    used.stops_on_time("a WebSocket with pings", ended);
}

#[test]
fn a_slow_download_keeps_its_service_awake() {
    let _turn = shared();
    let used = Used::plain();
    let began = Instant::now();
    // 16 pieces, the pauses between them add up to three idle timeouts.
    let answer = used.dock.get("used.example", "/slow?bytes=160000&chunk=10000&every=420ms");
    let ended = Instant::now();
    assert_eq!((answer.status(), answer.body.len()), (200, 160_000));
    assert!(ended - began >= THREE_IDLE_TIMEOUTS, "{:?}", ended - began);
    used.uninterrupted();
    used.stops_on_time("a slow download", ended);
}

/// The application has sent everything; the client takes its time to read it.
#[test]
fn a_download_that_the_client_reads_slowly_keeps_its_service_awake() {
    let _turn = shared();
    let used = Used::plain();
    let length = 60_000_000;
    let mut connection = Connection::open(&used.dock.proxy()).unwrap();
    connection.send(&Request::get("used.example", &format!("/bytes/{length}")).head()).unwrap();
    assert_eq!(connection.read_head().unwrap().status, 200);
    std::thread::sleep(THREE_IDLE_TIMEOUTS);
    used.uninterrupted();
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    let ended = Instant::now();
    assert!(body.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251));
    used.stops_on_time("a download read late", ended);
}

#[test]
fn a_slow_upload_keeps_its_service_awake() {
    let _turn = shared();
    let used = Used::plain();
    let mut connection = Connection::open(&used.dock.proxy()).unwrap();
    let head = "POST /echo HTTP/1.1\r\nHost: used.example\r\nContent-Length: 200\r\n\r\n";
    connection.send(head.as_bytes()).unwrap();
    connection.send(&[b'x'; 10]).unwrap();
    for _ in 1..20 {
        std::thread::sleep(THREE_IDLE_TIMEOUTS / 19);
        connection.send(&[b'x'; 10]).unwrap();
    }
    let answer = connection.answer("POST").unwrap();
    let ended = Instant::now();
    assert_eq!((answer.status(), answer.body.len()), (200, 200));
    used.uninterrupted();
    used.stops_on_time("a slow upload", ended);
}

/// Trap 10.
#[test]
fn a_stream_that_may_be_silent_for_so_long_stops_counting_and_counts_again() {
    let _turn = shared();
    let idle = json!({ "stop_after": "2s", "silent_stream": "1s" });
    let used = Used::new(App::builder("silent").create(), idle);
    let mut socket = WebSocket::connect(&used.dock.proxy(), "used.example", "/ws").unwrap();
    let began = Instant::now();
    while began.elapsed() < THREE_IDLE_TIMEOUTS {
        socket.echo("not silent");
        std::thread::sleep(Duration::from_millis(500));
    }
    used.uninterrupted();
    let last = Instant::now();
    socket.echo("the last");
    eventually(Duration::from_secs(10), "it sleeps with an open stream", || {
        (used.dock.phase("used") == Some("asleep")).then_some(())
    });
    let after = last.elapsed();
    eprintln!("figure: a silent stream, `silent_stream: 1s`, `stop_after: 2s`: asleep after {after:.3?}");
    assert!(after >= STOP_AFTER, "{after:?}");
    assert!(after <= STOP_AFTER + Duration::from_secs(1) + LATE + 2 * SLACK, "{after:?}");
    assert!(!used.app.running());
    // Its end is told to the client.
    socket.set_patience(Duration::from_secs(5)).unwrap();
    let end = socket.receive().expect_err("nobody is there to say anything");
    assert!(!matches!(end.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{end}");
}

/// Trap 2.
#[test]
fn a_client_that_goes_away_during_the_wake_ends_no_wake_and_keeps_nothing_awake() {
    let _turn = shared();
    let app = App::builder("gone").env("LISTEN_DELAY", "1s").create();
    let used = Used::new(app, json!({ "stop_after": "2s" }));
    let held = || used.dock.metric("wakedock_held_requests", &[("service", "used")]);
    let requests = [Request::get("used.example", "/"), Request::post("used.example", "/echo", "never sent")];
    for (request, bodiless) in requests.into_iter().zip([true, false]) {
        let starts = used.app.starts();
        let mut connection = Connection::open(&used.dock.proxy()).unwrap();
        connection.send(&request.head()).unwrap();
        eventually(Duration::from_secs(2), "it is held", || (held() == Some(1.0)).then_some(()));
        drop(connection);
        // Behind a body that nobody reads yet its end is seen when the body is.
        if bodiless {
            eventually(Duration::from_secs(2), "it is held no more", || (held() == Some(0.0)).then_some(()));
            assert_eq!(used.dock.phase("used"), Some("waking"), "the wake goes on");
        }
        let ready = eventually(Duration::from_secs(10), "the wake ends well", || {
            (used.dock.phase("used") == Some("ready")).then(Instant::now)
        });
        eventually(SLACK, "nobody uses it", || (used.leases() == 0.0).then_some(()));
        assert_eq!((held(), used.app.starts()), (Some(0.0), starts + 1));
        // Seen a little after it was, so that the stop may seem to be early by as much.
        used.stops_on_time("a client that went away", ready - Duration::from_millis(50));
    }
}

/// Trap 16.
#[test]
fn who_only_looks_wakes_nothing_and_keeps_nothing_awake() {
    let _turn = shared();
    let used = Used::plain();
    let look = || {
        for path in
            ["/", "/metrics", "/livez", "/readyz", "/caddy/ask?domain=used.example", "/api/v1/services"]
        {
            used.dock.ask(path);
        }
        assert_eq!(used.dock.get("used.example", "/.wakedock/assets/none").status(), 404);
    };
    let listen = || {
        let mut events = Connection::open(&used.dock.proxy()).unwrap();
        events.send(&Request::get("used.example", "/.wakedock/events").head()).unwrap();
        assert_eq!(events.read_head().unwrap().status, 200);
        events
    };
    let asleep = listen();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        look();
        assert_eq!(used.dock.phase("used"), Some("asleep"));
    }
    assert_eq!((used.app.starts(), used.app.state().as_str()), (0, "created"));

    assert_eq!(used.dock.get("used.example", "/").status(), 200);
    let ended = Instant::now();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let awake = listen();
            while !done.load(Ordering::Relaxed) && ended.elapsed() < Duration::from_secs(20) {
                look();
                std::thread::sleep(Duration::from_millis(20));
            }
            drop(awake);
        });
        used.stops_on_time("with onlookers", ended);
        done.store(true, Ordering::Relaxed);
    });
    drop(asleep);
    assert_eq!(used.app.starts(), 1);
}
