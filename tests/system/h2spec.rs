//! The conformance tester h2spec against the listener for HTTP/2 without TLS, strict cases included.

use std::process::Command;

use serde_json::json;

use crate::harness::{App, WakeDock, peer, shared};

#[test]
fn every_case_passes() {
    let _turn = shared();
    let h2spec = peer("h2spec");
    let app = App::builder("h2spec").create();
    // h2spec asks for the address that it connects to.
    let dock = WakeDock::builder()
        .service(json!({
            "name": "app", "hosts": ["127.0.0.1"], "container": app.name(), "port": app.port(),
        }))
        .start();
    assert_eq!(dock.get("127.0.0.1", "/").status(), 200);
    let port = dock.proxy().tcp().port().to_string();
    let output = Command::new(&h2spec)
        .args(["--strict", "--host", "127.0.0.1", "--port", &port, "--timeout", "5"])
        // Answers when the request has ended, and with a body: both matter to some cases.
        .args(["--path", "/echo-headers?whole=1"])
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", h2spec.display()));
    let report = String::from_utf8_lossy(&output.stdout);
    let verdict = report.lines().rfind(|line| line.contains(" tests, ")).unwrap_or("no verdict");
    let failures = report.find("Failures:").map_or("", |at| &report[at..]);
    eprintln!("figure: h2spec: {verdict}");
    assert!(output.status.success() && verdict.contains(", 0 failed"), "{verdict}\n{failures}");
    assert!(!verdict.starts_with("0 tests"), "{verdict}");
}
