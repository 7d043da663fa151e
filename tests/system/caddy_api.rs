//! `caddy/validate` and `caddy/publish` with a real Caddy, whose own words come back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{App, Caddy, WakeDock, eventually, shared};

const SOON: Duration = Duration::from_secs(10);

/// Status and body.
fn post(dock: &WakeDock, path: &str) -> (u16, Value) {
    let answer = dock.api().ask("POST", path, None);
    (answer.status(), serde_json::from_str(&answer.text()).unwrap_or(Value::Null))
}

fn validate(dock: &WakeDock) -> (u16, Value) {
    post(dock, "/api/v1/caddy/validate")
}

fn publish(dock: &WakeDock) -> Value {
    let (status, published) = post(dock, "/api/v1/caddy/publish");
    assert_eq!(status, 200, "{published}");
    published
}

#[test]
fn caddy_says_what_it_thinks_and_runs_only_what_it_takes() {
    let _turn = shared();
    let app = App::builder("verdict").create();
    let mut caddy = Caddy::start();
    let folder = tempfile::tempdir().unwrap();
    let extra = folder.path().join("own.caddy");
    std::fs::write(&extra, "http://own.test {\n\trespond \"my own\"\n}\n").unwrap();
    let dock = WakeDock::builder()
        .caddy(&caddy)
        .set("caddy.extra", folder.path().join("*.caddy").to_str().unwrap())
        .service(json!({
            "name": "site", "hosts": ["site.test"], "container": app.name(), "port": app.port(),
        }))
        .start();
    caddy.wait_route("site.test", SOON);

    let (status, verdict) = validate(&dock);
    assert_eq!(
        (status, &verdict["valid"], &verdict["message"]),
        (200, &true.into(), &Value::Null),
        "{verdict}"
    );
    assert!(verdict["caddyfile"].as_str().unwrap().contains("site.test"), "{verdict}");
    let running = caddy.config();
    assert_eq!((publish(&dock)["outcome"].as_str(), caddy.loads()), (Some("unchanged"), 1));

    // A word that Caddy does not know, in the operator's own file.
    std::fs::write(&extra, "http://own.test {\n\treverse_proxi localhost:9\n}\n").unwrap();
    let (status, verdict) = validate(&dock);
    assert_eq!((status, &verdict["valid"]), (200, &false.into()), "{verdict}");
    let words = verdict["message"].as_str().unwrap();
    assert!(words.contains("unrecognized directive: reverse_proxi"), "{words}");
    let refused = publish(&dock);
    assert_eq!(refused["outcome"], "rejected");
    assert!(
        refused["message"].as_str().unwrap().contains("unrecognized directive: reverse_proxi"),
        "{refused}"
    );
    assert_eq!(caddy.config(), running, "the last good one runs on");
    let shown = dock.api().get("/api/v1/caddy/config");
    assert_eq!(shown["publish"]["outcome"], "rejected", "{shown}");

    // Mended, and something new in it: that is a publish.
    std::fs::write(&extra, "http://mended.test {\n\trespond \"my own\"\n}\n").unwrap();
    assert_eq!(validate(&dock).1["valid"], true);
    // The edit of the file leads to a publish by itself, which may have been quicker.
    let published = publish(&dock);
    assert!(published["outcome"] == "published" || published["outcome"] == "unchanged", "{published}");
    assert_eq!(published["message"], Value::Null);
    caddy.wait_route("mended.test", SOON);

    caddy.stop();
    let (status, problem) = validate(&dock);
    assert_eq!((status, problem["type"].as_str()), (502, Some("/problems/caddy-unreachable")), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    let away = publish(&dock);
    assert_eq!(away["outcome"], "unreachable", "{away}");
    assert_eq!(dock.get("site.test", "/").status(), 200, "the proxy itself serves");
    caddy.start_again();
    eventually(SOON, "it is published again", || {
        let outcome = publish(&dock)["outcome"].clone();
        (outcome == "published" || outcome == "unchanged").then_some(())
    });
    caddy.wait_route("mended.test", SOON);
}

#[test]
fn without_caddy_there_is_nothing_to_ask() {
    let _turn = shared();
    let app = App::builder("nobody").create();
    let dock = WakeDock::builder()
        .service(
            json!({ "name": "site", "hosts": ["site.test"], "container": app.name(), "port": app.port() }),
        )
        .start();
    for path in ["/api/v1/caddy/validate", "/api/v1/caddy/publish"] {
        let (status, problem) = post(&dock, path);
        assert_eq!((status, problem["type"].as_str()), (409, Some("/problems/caddy-off")), "{problem}");
    }
}
