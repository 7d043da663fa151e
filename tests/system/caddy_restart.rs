//! Caddy and its configuration: published once, back after a restart, never touched by sleeping.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{App, Caddy, Request, WakeDock, WebSocket, command, eventually, shared};

const SOON: Duration = Duration::from_secs(10);

fn service(app: &App, name: &str, stop_after: &str) -> Value {
    json!({
        "name": name, "hosts": [format!("{name}.test")], "container": app.name(), "port": app.port(),
        "idle": { "stop_after": stop_after, "stop_timeout": "1s" },
    })
}

/// The application's own answer through Caddy, or nothing.
fn through(caddy: &Caddy, host: &str) -> Option<crate::harness::Answer> {
    let request = Request::get(host, "/").patience(Duration::from_secs(10));
    let answer = request.send(&caddy.http()).ok()?;
    (answer.status() == 200 && answer.instance().is_some()).then_some(answer)
}

fn caddy_check(dock: &WakeDock) -> String {
    let answer = dock.ask("/readyz");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let verdict = answer.json();
    format!("{} {}", verdict["status"].as_str().unwrap(), verdict["checks"]["caddy"].as_str().unwrap())
}

fn wait_check(dock: &WakeDock, wanted: &str) {
    eventually(SOON, &format!("/readyz says {wanted}"), || (caddy_check(dock) == wanted).then_some(()));
}

#[test]
fn routes_are_back_after_caddy_was_restarted() {
    let _turn = shared();
    let app = App::builder("site").create();
    let mut caddy = Caddy::start();
    let dock = WakeDock::builder().caddy(&caddy).service(service(&app, "site", "10m")).start();
    caddy.wait_route("site.test", SOON);
    let instance = through(&caddy, "site.test").expect("the application").instance().map(str::to_owned);

    let mut slowest = Duration::ZERO;
    for absent in [false, true, false] {
        caddy.stop();
        if absent {
            wait_check(&dock, "degraded degraded");
        }
        caddy.start_again();
        let began = Instant::now();
        let answer = eventually(SOON, "the route is back", || through(&caddy, "site.test"));
        slowest = slowest.max(began.elapsed());
        assert_eq!(answer.instance().map(str::to_owned), instance, "the application was not touched");
        wait_check(&dock, "ready ok");
        assert_eq!(caddy.loads(), 1, "it was given its configuration once");
    }
    eprintln!(
        "figure: Caddy restarted three times, routes back at the latest {slowest:.0?} after it answered"
    );
}

#[test]
fn a_foreign_configuration_is_left_alone_unless_told_otherwise() {
    let _turn = shared();
    let app = App::builder("site").create();
    let mut caddy = Caddy::start();
    let (admin, port) = (caddy.admin().tcp(), caddy.http().tcp().port());
    let foreign = format!(
        "{{\n\tadmin {admin}\n\tauto_https off\n}}\nhttp://mine.test:{port} {{\n\trespond \"not wakedock\"\n}}\n"
    );
    caddy.load(&foreign);
    let running = caddy.config();
    let own = |caddy: &Caddy| Request::get("mine.test", "/").send(&caddy.http()).unwrap().text();

    let mut dock = WakeDock::builder().caddy(&caddy).service(service(&app, "site", "10m")).start();
    wait_check(&dock, "degraded degraded");
    assert_eq!(dock.ask("/readyz?strict").status(), 503);
    assert_eq!((caddy.config(), own(&caddy)), (running, "not wakedock".to_owned()));
    assert_eq!(caddy.loads(), 1, "only the one of the test");
    assert!(dock.log().contains("take_over"), "the log says what to do");
    assert_eq!(dock.get("site.test", "/").status(), 200, "the proxy itself serves");

    dock.edit(|config| config["caddy"]["take_over"] = json!(true));
    eventually(SOON, "it is taken over", || through(&caddy, "site.test"));
    wait_check(&dock, "ready ok");
    assert!(!caddy.config().to_string().contains("mine.test"));
    assert_eq!(caddy.admin().tcp(), admin, "and still administered there");
}

#[test]
fn routes_follow_the_configuration() {
    let _turn = shared();
    let [one, two] = ["one", "two"].map(|hint| App::builder(hint).create());
    let mut caddy = Caddy::start();
    let mut dock = WakeDock::builder().caddy(&caddy).service(service(&one, "one", "10m")).start();
    caddy.wait_route("one.test", SOON);
    assert!(through(&caddy, "two.test").is_none());
    let more = service(&two, "two", "10m");
    dock.edit(|config| config["services"].as_array_mut().unwrap().push(more));
    caddy.wait_route("two.test", Duration::from_secs(3));
    assert!(through(&caddy, "two.test").is_some());
    assert!(through(&caddy, "one.test").is_some());
    assert_eq!(caddy.loads(), 2);
    dock.edit(|config| drop(config["services"].as_array_mut().unwrap().remove(0)));
    eventually(SOON, "the route is gone", || {
        (!caddy.config().to_string().contains("one.test")).then_some(())
    });
    assert_eq!(dock.metric("wakedock_publish_total", &[("outcome", "published")]), Some(3.0));
}

/// Trap 25.
#[test]
fn sleeping_and_waking_never_touch_caddy() {
    let _turn = shared();
    let [sleeper, other] = ["sleeper", "other"].map(|hint| App::builder(hint).create());
    let mut caddy = Caddy::start();
    let dock = WakeDock::builder()
        .caddy(&caddy)
        .service(service(&sleeper, "sleeper", "300ms"))
        .service(service(&other, "other", "1s"))
        .start();
    caddy.wait_route("other.test", SOON);
    let mut socket = WebSocket::connect(&caddy.http(), "other.test", "/ws").unwrap();
    socket.echo("before");
    let before = (caddy.config(), caddy.loads());
    for cycle in 1..=10 {
        assert!(through(&caddy, "sleeper.test").is_some(), "wake {cycle}");
        sleeper.wait_state("exited", SOON);
        socket.echo(&format!("after sleep {cycle}"));
    }
    assert_eq!(sleeper.starts(), 10);
    assert_eq!(other.starts(), 1, "it was in use all the time");
    assert_eq!((caddy.config(), caddy.loads()), before);
    assert_eq!(before.1, 1);
    assert_eq!(dock.metric("wakedock_publish_total", &[]), Some(1.0));
    eprintln!("figure: ten sleeps and wakes, no further load of Caddy, a WebSocket through it stayed open");
}

#[test]
fn the_question_whether_a_host_is_known_wakes_nothing() {
    let _turn = shared();
    let app = App::builder("asked").create();
    let dock = WakeDock::builder()
        .service(json!({
            "name": "asked", "hosts": ["asked.test", "*.wild.test"], "container": app.name(), "port": app.port(),
        }))
        .start();
    for (domain, status) in [
        ("asked.test", 200),
        ("ASKED.test.", 200),
        ("any.wild.test", 200),
        ("wild.test", 404),
        ("a.b.wild.test", 404),
        ("stranger.test", 404),
        ("", 404),
        ("asked.test%00", 404),
        ("%7Basked.test%7D", 404),
    ] {
        let answer = dock.ask(&format!("/caddy/ask?domain={domain}"));
        assert_eq!(answer.status(), status, "{domain:?}: {}", answer.text());
    }
    assert_eq!(dock.ask("/caddy/ask").status(), 400);
    assert_eq!((dock.phase("asked"), app.starts(), app.state().as_str()), (Some("asleep"), 0, "created"));
}

#[test]
fn the_printed_caddyfile_is_one_for_caddy() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for tls in ["auto", "internal", "off"] {
        let config = json!({
            "data_dir": path("data"),
            "proxy": { "listen": [format!("unix:{}", path("proxy.sock"))] },
            "caddy": { "mode": "managed", "admin": "http://127.0.0.1:2019", "tls": tls, "http_port": 8080, "https_port": 8443 },
            "services": [
                { "name": "one", "hosts": ["one.example.com", "*.wild.example.com"], "container": "c", "port": 80 },
                { "name": "two", "hosts": ["two.example.com"], "container": "d", "port": 80 },
            ],
        });
        std::fs::write(path("config.yml"), config.to_string()).unwrap();
        let printed = command(&["caddyfile", "--config", &path("config.yml")]).output().unwrap();
        assert!(printed.status.success(), "{tls}: {}", String::from_utf8_lossy(&printed.stderr));
        std::fs::write(path("Caddyfile"), &printed.stdout).unwrap();
        let adapted = std::process::Command::new("caddy")
            .args(["adapt", "--adapter", "caddyfile", "--config", &path("Caddyfile")])
            .env("HOME", folder.path())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&adapted.stderr);
        assert!(adapted.status.success(), "{tls}: {errors}\n{}", String::from_utf8_lossy(&printed.stdout));
        assert!(!errors.contains("not formatted"), "{tls}: {errors}");
        let adapted: Value = serde_json::from_slice(&adapted.stdout).unwrap();
        let text = adapted.to_string();
        for expected in ["one.example.com", "*.wild.example.com", "two.example.com", "proxy.sock"] {
            assert!(text.contains(expected), "{tls}: {expected} is missing in {text}");
        }
    }
}
