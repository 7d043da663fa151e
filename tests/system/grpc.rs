//! gRPC as its own library has it: the client and the server of grpc-go's interoperability tests,
//! and of its health service, with WakeDock in between.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::harness::{App, WakeDock, eventually, peer, shared};

const SOON: Duration = Duration::from_secs(10);

/// The four kinds of call, cancellation, metadata, and status in trailers with and without a message.
const CASES: &[&str] = &[
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "cancel_after_first_response",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
];
/// Calls that are over before a wake would be, by their own will or by a deadline of a millisecond:
/// nobody could tell when the service is at rest again.
const HASTY: &[&str] = &["cancel_after_begin", "timeout_on_sleeping_server"];

#[test]
fn every_case_passes_and_a_call_wakes() {
    let _turn = shared();
    let app = App::builder("grpc").program(&peer("server"), &["--port=8080"]).create();
    // The client asks for the address that it connects to.
    let dock = WakeDock::builder()
        .service(json!({
            "name": "app", "hosts": ["127.0.0.1"], "container": app.name(), "port": app.port(),
            "readiness": { "type": "tcp" },
        }))
        .start();
    let port = format!("--server_port={}", dock.proxy().tcp().port());
    let passes = |case: &str, phase: &str| {
        let output = Command::new(peer("client"))
            .args(["--server_host=127.0.0.1", &port, "--use_tls=false", &format!("--test_case={case}")])
            .output()
            .expect("the client");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{case} while {phase}: {said}");
    };
    for case in CASES {
        dock.wait_phase("app", "asleep", SOON);
        passes(case, "asleep");
        // Once more, by the connection to the upstream that is there.
        passes(case, "ready");
        app.stop(Duration::from_secs(1));
    }
    assert_eq!(app.starts(), CASES.len(), "one start each");
    dock.wait_phase("app", "asleep", SOON);
    passes("empty_unary", "asleep");
    for case in HASTY {
        passes(case, "ready");
    }
}

/// What the health client of grpc-go says in one line, asked for `authority`.
fn health(dock: &WakeDock, authority: &str, arguments: &[&str]) -> String {
    let (asked, options) = arguments.split_first().expect("what to ask");
    let output = Command::new(peer("health"))
        .arg(asked)
        .arg(format!("--target={}", dock.proxy().tcp()))
        .arg(format!("--authority={authority}"))
        .args(options)
        .output()
        .expect("the client");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// The server, which takes so long until it listens.
fn health_app(hint: &str, after: &str) -> App {
    App::builder(hint).program(&peer("health"), &["serve", &format!("--after={after}")]).create()
}

fn says(app: &App, line: &str) {
    eventually(SOON, line, || app.logs().contains(line).then_some(()));
}

#[test]
fn the_health_service_answers_asleep_and_awake() {
    let _turn = shared();
    let app = health_app("health", "1s");
    let dock = WakeDock::builder()
        .service(json!({ "name": "app", "hosts": ["app.test"], "container": app.name(), "port": app.port() }))
        .start();
    let ask = |arguments: &[&str]| health(&dock, "app.test", arguments);
    for phase in ["asleep", "ready"] {
        dock.wait_phase("app", phase, SOON);
        assert_eq!(ask(&["check"]), "SERVING", "{phase}");
    }
    assert_eq!(
        ask(&["check", "--service=nobody"]),
        "NotFound: unknown service",
        "a status of the server's own"
    );
    app.stop(Duration::from_secs(1));
    for phase in ["asleep", "ready"] {
        dock.wait_phase("app", phase, SOON);
        let watched = ask(&["watch", "--service=flips", "--cancel=3s"]);
        assert!(watched.contains("SERVING NOT_SERVING SERVING"), "{phase}: {watched}");
        assert!(watched.ends_with(" Canceled: context canceled"), "{phase}: {watched}");
        says(&app, "a watch has ended: context canceled");
    }
    assert_eq!(app.starts(), 2);
    no_lease_is_left(&dock);
}

fn no_lease_is_left(dock: &WakeDock) {
    let leases = || dock.metric("wakedock_leases", &[("service", "app")]);
    eventually(SOON, "no lease is left", || (leases() == Some(0.0)).then_some(()));
}

/// A watch is use, however long nothing changes; when it is over, the service may sleep.
#[test]
fn a_watch_keeps_its_service_awake() {
    let _turn = shared();
    let app = health_app("watch", "1s");
    let dock = WakeDock::builder()
        .set("proxy.timeouts.body", "500ms")
        .service(json!({
            "name": "app", "hosts": ["app.test"], "container": app.name(), "port": app.port(),
            "idle": { "stop_after": "1s" },
        }))
        .start();
    assert_eq!(
        health(&dock, "app.test", &["watch", "--cancel=6s"]),
        "SERVING Canceled: context canceled",
        "one state, and no end but the client's own"
    );
    assert_eq!(app.starts(), 1);
    assert_eq!(dock.metric("wakedock_stops_total", &[("service", "app"), ("cause", "idle")]), Some(0.0));
    dock.wait_phase("app", "asleep", SOON);
}

#[test]
fn deadlines_and_cancellation_reach_the_upstream_and_never_the_wake() {
    let _turn = shared();
    let app = health_app("deadline", "3s");
    let dock = WakeDock::builder()
        .service(json!({ "name": "app", "hosts": ["app.test"], "container": app.name(), "port": app.port() }))
        .start();
    let ask = |arguments: &[&str]| health(&dock, "app.test", arguments);
    // It passes while the service wakes. Nobody is held any more, and the wake goes on.
    assert_eq!(ask(&["check", "--deadline=300ms"]), "DeadlineExceeded: context deadline exceeded");
    let held = || dock.metric("wakedock_held_requests", &[("service", "app")]);
    eventually(SOON, "nobody is held", || (held() == Some(0.0)).then_some(()));
    assert_eq!(dock.phase("app"), Some("waking"));
    dock.wait_phase("app", "ready", SOON);
    assert_eq!(ask(&["check", "--deadline=1s"]), "SERVING");
    // It passes while the upstream thinks.
    let slow = ask(&["check", "--service=slow", "--deadline=300ms"]);
    assert!(slow.starts_with("DeadlineExceeded: "), "{slow}");
    says(&app, "a slow check has ended: context ");
    // The client gives up by itself, of which only the stream tells the server.
    app.stop(Duration::from_secs(1));
    dock.wait_phase("app", "asleep", SOON);
    let before = app.logs().matches("a slow check has ended: context canceled").count();
    assert_eq!(ask(&["check", "--service=slow", "--cancel=6s"]), "Canceled: context canceled");
    eventually(SOON, "the server hears of it", || {
        (app.logs().matches("a slow check has ended: context canceled").count() > before).then_some(())
    });
    no_lease_is_left(&dock);
    assert_eq!(app.starts(), 2);
}

/// What WakeDock answers itself is a status for gRPC as well.
#[test]
fn refusals_have_a_status() {
    let _turn = shared();
    let slow = App::builder("slow").program(&peer("health"), &["serve", "--after=1h"]).create();
    let broken = App::builder("broken").program(&peer("health"), &["no such thing"]).create();
    let dock = WakeDock::builder()
        .service(json!({
            "name": "slow", "hosts": ["slow.test"], "container": slow.name(), "port": slow.port(),
            "hold_timeout": "1s",
        }))
        .service(json!({
            "name": "broken", "hosts": ["broken.test"], "container": broken.name(), "port": broken.port(),
        }))
        .start();
    for (host, code, status) in [
        ("nobody.test", "Unimplemented", "404 (Not Found)"),
        ("slow.test", "Unavailable", "504 (Gateway Timeout)"),
        ("broken.test", "Unavailable", "503 (Service Unavailable)"),
        ("broken.test", "Unavailable", "503 (Service Unavailable)"),
    ] {
        assert_eq!(
            health(&dock, host, &["check"]),
            format!("{code}: unexpected HTTP status code received from server: {status}"),
            "{host}"
        );
    }
}
