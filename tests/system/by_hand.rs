//! Somebody else's hand at the containers: the next request finds what it asked for all the same.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{App, Connection, Load, Request, WakeDock, alone, eventually, shared};

const HOST: &str = "app.test";
const SOON: Duration = Duration::from_secs(5);

/// One service, awake, with a pooled connection to its upstream.
fn awake(stop_after: &str) -> (App, WakeDock) {
    let app = App::builder("hand").create();
    let dock = asleep(&app, stop_after);
    assert_eq!(dock.get(HOST, "/").status(), 200);
    // The client has its answer a moment before everybody else is told.
    dock.wait_phase("app", "ready", SOON);
    (app, dock)
}

fn asleep(app: &App, stop_after: &str) -> WakeDock {
    WakeDock::builder()
        .service(json!({
            "name": "app", "hosts": [HOST], "container": app.name(), "port": app.port(),
            "idle": { "stop_after": stop_after, "stop_timeout": "1s" },
        }))
        .start()
}

#[test]
fn a_request_right_after_a_kill_is_answered() {
    let _turn = alone();
    let (app, dock) = awake("10m");
    let mut before = dock.get(HOST, "/").instance().unwrap().to_owned();
    let mut slowest = Duration::ZERO;
    for round in 0..12 {
        // From the very moment to a little later, across everything that WakeDock learns meanwhile.
        let pause = Duration::from_millis([0, 2, 5, 10, 20, 40][round % 6]);
        app.kill();
        std::thread::sleep(pause);
        let began = Instant::now();
        // What the dying process may still have answered is an answer, too.
        let mut answer = dock.get(HOST, "/");
        assert_eq!(answer.status(), 200, "{pause:?} after the kill: {} {}", answer.status(), answer.text());
        slowest = slowest.max(began.elapsed());
        eventually(SOON, "another process answers", || {
            answer = dock.get(HOST, "/");
            assert_eq!(answer.status(), 200, "{}", answer.text());
            (answer.instance() != Some(before.as_str())).then_some(())
        });
        before = answer.instance().unwrap().to_owned();
    }
    assert_eq!(app.starts(), 13, "one start each");
    // The kernel takes three seconds to say that nobody has the old address any more.
    assert!(slowest < Duration::from_secs(2), "one was held up for {slowest:?}");
    eprintln!("figure: 12 kills, each request answered, slowest {slowest:.0?}");
}

#[test]
fn a_kept_connection_survives_the_death_of_the_container() {
    let _turn = shared();
    let (app, dock) = awake("10m");
    let mut client = Connection::open(&dock.proxy()).unwrap();
    for round in 0..4 {
        let before = client.exchange(&Request::get(HOST, "/")).unwrap();
        app.kill();
        let request = if round % 2 == 0 {
            Request::get(HOST, "/echo-headers")
        } else {
            // A POST is not sent twice, so it comes when the end is known to everybody.
            app.wait_state("exited", SOON);
            Request::post(HOST, "/echo", "once")
        };
        let after = client.exchange(&request).unwrap();
        assert_eq!(after.status(), 200, "{}", after.text());
        assert_ne!(after.instance(), before.instance());
    }
}

#[test]
fn a_restart_by_hand_fails_nobody_once_it_is_over() {
    let _turn = shared();
    let (app, dock) = awake("10m");
    for _ in 0..3 {
        let before = dock.get(HOST, "/").instance().unwrap().to_owned();
        let path = format!("/containers/{}/restart?t=1", app.name());
        assert_eq!(app.docker().ask("POST", &path, None).status(), 204);
        let proxy = dock.proxy();
        let load = Load::start(2, move |_| Request::get(HOST, "/").send(&proxy));
        load.wait_for(100);
        load.stop().assert_all_answered(100);
        assert_ne!(dock.get(HOST, "/").instance(), Some(before.as_str()));
    }
}

#[test]
fn a_container_made_anew_under_the_same_name_is_woken() {
    let _turn = shared();
    let (app, dock) = awake("10m");
    let before = dock.get(HOST, "/").instance().unwrap().to_owned();
    let first = app.id();
    app.recreate();
    let answer = dock.get(HOST, "/");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_ne!(answer.instance(), Some(before.as_str()));
    assert_ne!(app.id(), first);
    assert!(app.running());

    // And once more while nobody looks: it is asleep, and stays so until it is asked for.
    app.recreate();
    dock.wait_phase("app", "asleep", SOON);
    assert_eq!(dock.get(HOST, "/").status(), 200);
}

#[test]
fn a_container_paused_by_hand_is_woken() {
    let _turn = shared();
    let (app, dock) = awake("10m");
    let before = dock.get(HOST, "/").instance().unwrap().to_owned();
    app.pause();
    let began = Instant::now();
    let answer = dock.get(HOST, "/");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.instance(), Some(before.as_str()), "its memory is kept");
    eprintln!("figure: paused by hand, answered after {:.0?}", began.elapsed());
    app.pause();
    dock.wait_phase("app", "asleep", SOON);
    assert_eq!(dock.get(HOST, "/").instance(), Some(before.as_str()));
}

#[test]
fn a_container_started_by_hand_is_served_and_sleeps_again() {
    let _turn = shared();
    let app = App::builder("hand").create();
    let dock = asleep(&app, "2s");
    assert_eq!(dock.phase("app"), Some("asleep"));
    app.start();
    let began = Instant::now();
    dock.wait_phase("app", "ready", SOON);
    assert_eq!(dock.get(HOST, "/").status(), 200);
    assert_eq!(app.starts(), 1, "it was not started a second time");
    assert_eq!(dock.metric("wakedock_wakes_total", &[("service", "app"), ("cause", "external")]), Some(1.0));
    app.wait_state("exited", Duration::from_secs(10));
    let slept = began.elapsed();
    assert!(slept >= Duration::from_secs(2), "stopped after {slept:?}");
    dock.wait_phase("app", "asleep", SOON);

    // Nobody asks at all: the clock runs from when it was seen (trap 13).
    app.start();
    let began = Instant::now();
    app.wait_state("exited", Duration::from_secs(10));
    assert!(began.elapsed() >= Duration::from_secs(2), "stopped after {:?}", began.elapsed());
}

#[test]
fn a_container_stopped_by_hand_stays_asleep_until_it_is_asked_for() {
    let _turn = shared();
    let (app, dock) = awake("10m");
    app.stop(Duration::from_secs(1));
    dock.wait_phase("app", "asleep", SOON);
    assert_eq!(dock.metric("wakedock_stops_total", &[("service", "app"), ("cause", "external")]), Some(1.0));
    // Longer than any order would take.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!((dock.phase("app"), app.state().as_str(), app.starts()), (Some("asleep"), "exited", 1));
    assert_eq!(dock.get(HOST, "/").status(), 200);
    assert_eq!(app.starts(), 2);
}
