//! Services by label alone: a newcomer's two labels, an update under load, and labels gone wrong.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{App, Caddy, Request, WakeDock, alone, eventually};

const SOON: Duration = Duration::from_secs(10);

/// A container with the two labels, and more.
fn labelled(hint: &str, host: &str, more: &[(&str, &str)]) -> crate::harness::AppBuilder {
    let builder = App::builder(hint).label("wakedock.enable", "true").label("wakedock.host", host);
    more.iter().fold(builder, |builder, (label, value)| builder.label(label, value))
}

fn answers(dock: &WakeDock, host: &str) -> bool {
    dock.get(host, "/.wakedock/nothing").header("x-wakedock") == Some("not-found")
}

/// A fresh data directory, `docker run` with two labels, and nothing else.
#[test]
fn two_labels_are_a_whole_configuration() {
    let _turn = alone();
    let caddy = Caddy::start();
    let dock = WakeDock::builder().set("docker.labels", true).caddy(&caddy).start();
    let app = labelled("hi", "hi.localhost", &[("wakedock.stop-after", "1s")]).create();
    let began = Instant::now();
    app.start();
    eventually(Duration::from_secs(1), "it is known within a second", || {
        answers(&dock, "hi.localhost").then_some(())
    });
    caddy.wait_route("hi.localhost", SOON);
    println!("known to Caddy {:?} after its start", began.elapsed());
    let through = |path: &str| Request::get("hi.localhost", path).send(&caddy.http()).unwrap();
    assert_eq!(through("/").status(), 200);
    app.wait_state("exited", SOON);
    eventually(SOON, "it is asleep", || (dock.phase(app.name()) == Some("asleep")).then_some(()));
    let woken = through("/");
    assert_eq!((woken.status(), woken.instance().is_some()), (200, true), "and the next request wakes it");
}

/// Removed and made anew, as an update does, while requests are held: all of them are answered.
#[test]
fn an_update_loses_no_request() {
    let _turn = alone();
    let dock = WakeDock::builder().set("docker.labels", true).start();
    let app = labelled("updated", "updated.test", &[("wakedock.stop-after", "10m")]).create();
    eventually(SOON, "it is known", || answers(&dock, "updated.test").then_some(()));
    app.remove();
    std::thread::scope(|scope| {
        let ask = || dock.send(&Request::get("updated.test", "/").patience(Duration::from_secs(50)));
        let held: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        std::thread::sleep(Duration::from_secs(2));
        assert!(held.iter().all(|held| !held.is_finished()), "they wait for it");
        app.recreate();
        for held in held {
            let answer = held.join().expect("a request");
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
    });
    assert_eq!(app.starts(), 1);
}

/// Over `kill -9`: who has a contested host keeps it, and a removed container keeps its own.
#[test]
fn claims_survive_a_kill() {
    let _turn = alone();
    let mut dock = WakeDock::builder().set("docker.labels", true).start();
    let first = labelled("first", "contested.test", &[]).create();
    eventually(SOON, "the first is known", || answers(&dock, "contested.test").then_some(()));
    let gone = labelled("gone", "gone.test", &[]).create();
    eventually(SOON, "the other is known", || answers(&dock, "gone.test").then_some(()));
    let second = labelled("second", "contested.test, second.test", &[]).create();
    eventually(SOON, "the second is known", || answers(&dock, "second.test").then_some(()));
    gone.remove();
    first.recreate();
    std::thread::sleep(Duration::from_secs(2));
    dock.kill9();
    dock.start_again();
    eventually(SOON, "all are known again", || answers(&dock, "second.test").then_some(()));
    let whose = dock.get("contested.test", "/");
    assert_eq!(whose.status(), 200);
    assert!(first.running() && !second.running(), "though it is the younger one now");
    assert!(answers(&dock, "gone.test"), "its host is kept for it");
    let told = dock.logged("belongs to the service");
    assert!(!told.is_empty() || dock.log().contains("belongs to the service"), "the loser sees why");
}

/// A bad label, and a file caught half written, concern nobody else.
#[test]
fn what_is_wrong_concerns_nobody_else() {
    let _turn = alone();
    let mut dock = WakeDock::builder().set("docker.labels", true).start();
    let good = labelled("good", "good.test", &[]).create();
    let bad = labelled("bad", "b a d", &[("wakedock.nonsense", "1")]).create();
    let file = App::builder("file").create();
    eventually(SOON, "the good one is known", || answers(&dock, "good.test").then_some(()));
    eventually(SOON, "the bad one is told", || {
        dock.metric("wakedock_source_problems", &[]).filter(|count| *count >= 2.0)
    });
    assert_eq!(dock.get("good.test", "/").status(), 200);
    dock.write_config("services: [{ name: half");
    std::thread::sleep(Duration::from_secs(1));
    assert!(answers(&dock, "good.test"));
    let service =
        json!({ "name": "file", "hosts": ["file.test"], "container": file.name(), "port": file.port() });
    dock.edit(|config| config["services"] = json!([service]));
    eventually(SOON, "the file's service is known", || answers(&dock, "file.test").then_some(()));
    assert_eq!(good.starts(), 1, "and nobody was touched");
    assert_eq!(bad.state(), "created");
}
