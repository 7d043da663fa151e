//! gRPC as its own library has it: the client and the server of grpc-go's interoperability tests,
//! with WakeDock in between.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::harness::{App, WakeDock, peer, shared};

const SOON: Duration = Duration::from_secs(10);

/// The four kinds of call, deadlines, cancellation, metadata, and status in trailers with and
/// without a message.
const CASES: &[&str] = &[
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "cancel_after_begin",
    "cancel_after_first_response",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
    // Last: its deadline is a millisecond, and what it may have begun to wake is not stopped again.
    "timeout_on_sleeping_server",
];

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
    for case in CASES {
        // From asleep, and once more with the connection to the upstream that is there.
        app.stop(Duration::from_secs(1));
        dock.wait_phase("app", "asleep", SOON);
        for round in ["asleep", "ready"] {
            let output = Command::new(peer("client"))
                .args(["--server_host=127.0.0.1", &port, "--use_tls=false", &format!("--test_case={case}")])
                .output()
                .expect("the client");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{case} from {round}: {said}");
        }
    }
    // The last call may be over before it wakes anything.
    assert!((CASES.len() - 1..=CASES.len()).contains(&app.starts()), "{} starts", app.starts());
}
