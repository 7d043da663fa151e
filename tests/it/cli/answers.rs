//! What the commands make of a daemon's answers.

use serde_json::{Value as Json, json};

use super::daemon::Daemon;
use super::{Said, wakedock};

fn services() -> Json {
    json!({ "next": null, "items": [
        { "name": "cloud", "phase": "ready", "since": "2026-11-23T14:00:00.000Z", "hosts": ["cloud.example.com"],
          "awake_because": "in-use", "wakes_today": 3, "memory_bytes": 222_298_112 },
        { "name": "wiki", "phase": "asleep", "since": "2026-11-23T13:00:00.000Z", "hosts": ["wiki.example.com"] },
    ]})
}

fn house() -> Daemon {
    Daemon::new().says("GET /api/v1/services?limit=500", 200, &services()).says(
        "GET /api/v1/system/overview",
        200,
        &json!({ "wakes_today": 3, "memory_saved_bytes": 1_073_741_824 }),
    )
}

#[test]
fn status_is_a_table_without_colour_where_nobody_looks() {
    let said = house().run(&["status"]);
    let lines: Vec<&str> = said.fine().lines().collect();
    assert!(lines[0].starts_with("PHASE     SERVICE  HOST               SINCE"), "{}", said.out);
    assert!(lines[1].starts_with("● ready   cloud    cloud.example.com"), "{}", said.out);
    assert!(lines[1].ends_with("212 MiB     in use"), "{}", said.out);
    assert!(lines[2].starts_with("○ asleep  wiki"), "{}", said.out);
    assert_eq!(lines[4], "1 awake, 1 asleep · 3 wakes today · 1 GiB saved");
    assert!(!said.out.contains('\u{1b}'));
}

#[test]
fn status_fits_into_the_width_it_is_given() {
    for width in ["40", "64"] {
        let said = house().run_with(&["status"], &[("COLUMNS", width)]);
        let widest = said.fine().lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= width.parse().unwrap(), "{}", said.out);
    }
}

#[test]
fn status_speaks_json() {
    let said = house().run(&["status", "--json"]);
    let answer: Json = serde_json::from_str(said.fine()).unwrap();
    assert_eq!(answer["services"], services()["items"]);
    assert_eq!(answer["overview"]["wakes_today"], 3);
}

#[test]
fn status_follows_the_pages() {
    let page = |name: &str, next: Option<&str>| json!({ "items": [{ "name": name, "phase": "asleep" }], "next": next });
    let daemon = Daemon::new()
        .says("GET /api/v1/services?limit=500", 200, &page("a", Some("YQ==")))
        .says("GET /api/v1/services?limit=500&cursor=YQ%3D%3D", 200, &page("b", None))
        .says("GET /api/v1/system/overview", 200, &json!({}));
    let said = daemon.run(&["status"]);
    assert!(said.fine().contains("2 asleep"), "{}", said.out);
}

#[test]
fn the_configuration_may_be_named_before_the_command() {
    let daemon = house();
    let config = daemon.config();
    let said: Said = wakedock(&["--config", &config, "status", "--json"]).output().unwrap().into();
    said.fine();
}

#[test]
fn a_wake_waits_and_says_how_long_it_took() {
    let asleep = json!({ "name": "a", "phase": "asleep", "usual_wake_ms": 2100 });
    let ready = json!({ "name": "a", "phase": "ready" });
    let daemon = Daemon::new()
        .says("GET /api/v1/services/a", 200, &asleep)
        .says("GET /api/v1/services/a", 200, &json!({ "name": "a", "phase": "waking" }))
        .says("GET /api/v1/services/a", 200, &ready)
        .says("POST /api/v1/services/a/wake?wait=25s", 202, &json!({ "name": "a", "phase": "waking" }));
    let said = daemon.run(&["wake", "a"]);
    let text = said.fine();
    assert!(text.starts_with("● a is ready after ") && text.ends_with("s\n"), "{text}");

    // And the next one finds it so.
    let daemon = Daemon::new().says("GET /api/v1/services/a", 200, &ready).says(
        "POST /api/v1/services/a/wake?wait=25s",
        200,
        &ready,
    );
    assert_eq!(daemon.run(&["wake", "a"]).fine(), "● a was ready already\n");

    let daemon = Daemon::new().says("GET /api/v1/services/a", 200, &asleep).says(
        "POST /api/v1/services/a/wake",
        202,
        &json!({ "name": "a", "phase": "waking", "usual_wake_ms": 2100 }),
    );
    assert_eq!(daemon.run(&["wake", "a", "--no-wait"]).fine(), "◐ a is waking, which usually takes 2.1 s\n");
}

#[test]
fn a_wake_that_fails_says_why_and_where_to_look() {
    let failed = json!({ "name": "a", "phase": "failed",
        "failure": { "reason": "exited with code 1 after 0.3 s", "retry_at": "2026-11-23T14:00:00Z" } });
    let daemon = Daemon::new()
        .says("GET /api/v1/services/a", 200, &json!({ "name": "a", "phase": "asleep" }))
        .says("GET /api/v1/services/a", 200, &failed)
        .says(
            "POST /api/v1/services/a/wake?wait=25s",
            502,
            &json!({ "title": "The service could not be woken" }),
        );
    assert_eq!(
        daemon.run(&["wake", "a"]).failed(1),
        "error: a was not woken: exited with code 1 after 0.3 s\n  at     service a\n  \
         mend   look at `wakedock logs a --tail 50`\n"
    );
}

#[test]
fn a_wait_has_an_end() {
    let waking = json!({ "name": "a", "phase": "waking" });
    let daemon = Daemon::new().says("GET /api/v1/services/a", 200, &waking).says(
        "POST /api/v1/services/a/wake?wait=1s",
        202,
        &waking,
    );
    let said = daemon.run(&["wake", "a", "--timeout", "1s"]);
    assert!(said.failed(1).starts_with("error: a is waking, and not ready, after 1"), "{}", said.err);
}

#[test]
fn stop_and_restart_go_the_same_way() {
    let (ready, asleep) =
        (json!({ "name": "a", "phase": "ready" }), json!({ "name": "a", "phase": "asleep" }));
    let daemon = Daemon::new()
        .says("GET /api/v1/services/a", 200, &ready)
        .says("POST /api/v1/services/a/stop?wait=25s", 200, &asleep)
        .says("POST /api/v1/services/a/restart?wait=25s", 200, &ready);
    assert!(daemon.run(&["stop", "a"]).fine().starts_with("○ a is asleep after "));
    let said = daemon.run(&["restart", "a"]);
    assert!(said.fine().starts_with("● a is ready after "), "{}", said.out);
}

/// It waited ten minutes for a failed service to fall asleep, which it never does.
#[test]
fn a_failed_service_is_as_stopped_as_it_can_be() {
    let failed = json!({ "name": "a", "phase": "failed" });
    let daemon = Daemon::new().says("GET /api/v1/services/a", 200, &failed).says(
        "POST /api/v1/services/a/stop?wait=25s",
        200,
        &failed,
    );
    assert_eq!(daemon.run(&["stop", "a"]).fine(), "▲ a is failed\n");
}

/// Names come from the command line: one with a slash was another path.
#[test]
fn a_name_cannot_be_another_path() {
    let daemon = Daemon::new();
    assert_eq!(daemon.run(&["status", "../users?x#y"]).code, Some(1));
    assert!(daemon.asked()[0].starts_with("GET /api/v1/services/..%2Fusers%3Fx%23y HTTP/1.1\r\n"));
}

#[test]
fn health_is_an_exit_code() {
    let ready = json!({ "status": "ready", "checks": { "engine": "ok", "store": "ok" } });
    let degraded = json!({ "status": "degraded", "checks": { "engine": "degraded", "store": "ok" } });
    assert_eq!(Daemon::new().says("GET /readyz", 200, &ready).run(&["health"]).fine(), "ready\n");
    let daemon = Daemon::new().says("GET /readyz", 200, &degraded).says("GET /readyz?strict", 503, &degraded);
    assert_eq!(daemon.run(&["health"]).fine(), "degraded: engine\n");
    let said = daemon.run(&["health", "--strict"]);
    assert!(said.failed(1).starts_with("error: WakeDock is degraded: engine\n"), "{}", said.err);
    let starting = json!({ "status": "starting", "checks": {} });
    let said = Daemon::new().says("GET /readyz", 503, &starting).run(&["health"]);
    assert!(said.failed(1).contains("starting"), "{}", said.err);
    // Nobody listens, neither at the socket nor at the port.
    let daemon = Daemon::new();
    std::fs::remove_file(daemon.socket()).unwrap();
    assert!(daemon.run(&["health"]).failed(1).contains("does not run"));
}

/// The story: of more than one page the rest was left out, without a word.
#[test]
fn lists_are_read_to_their_end() {
    for (what, key) in [("users", "username"), ("tokens", "id")] {
        let page = |names: [&str; 2], next: Json| json!({ "next": next, "items": names.map(|name| json!({ key: name })) });
        let daemon = Daemon::new()
            .says(&format!("GET /api/v1/{what}?limit=500"), 200, &page(["a", "b"], "c~1".into()))
            .says(&format!("GET /api/v1/{what}?limit=500&cursor=c~1"), 200, &page(["c", "d"], Json::Null));
        let command = what.trim_end_matches('s');
        let listed: Json = serde_json::from_str(daemon.run(&[command, "list", "--json"]).fine()).unwrap();
        let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| &item[key]).collect();
        assert_eq!(names, ["a", "b", "c", "d"], "{what}");
    }
}
