//! gRPC as its own library has it: the client and the server of grpc-go's interoperability tests,
//! with WakeDock in between.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::harness::{App, WakeDock, peer, shared};

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
