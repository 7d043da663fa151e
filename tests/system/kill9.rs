//! WakeDock is killed with -9 in each phase and started again: nothing runs past its deadline,
//! nothing is stopped early.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{App, Request, WakeDock, WebSocket, eventually, shared};

const HOST: &str = "app.test";
const SOON: Duration = Duration::from_secs(10);
/// What passed while WakeDock was away is carried out this long after its return, at most: at once,
/// and Docker takes a second or two for a stop where others make it busy. A clock that began anew
/// would take three.
const ON_RETURN: Duration = Duration::from_millis(2800);

fn dock(app: &App, idle: Value) -> WakeDock {
    WakeDock::builder()
        .service(json!({
            "name": "app", "hosts": [HOST], "container": app.name(), "port": app.port(),
            "wake_timeout": "20s", "idle": idle,
        }))
        .start()
}

/// Waits for the container to be off, and says how long after `since` that was.
fn off_after(app: &App, since: Instant) -> Duration {
    app.wait_state("exited", Duration::from_secs(20));
    since.elapsed()
}

#[test]
fn killed_while_asleep() {
    let _turn = shared();
    let app = App::builder("asleep").create();
    let mut dock = dock(&app, json!({ "stop_after": "10m" }));
    dock.kill9();
    dock.start_again();
    assert_eq!((dock.phase("app"), app.starts()), (Some("asleep"), 0));
    assert_eq!(dock.get(HOST, "/").status(), 200);
}

#[test]
fn killed_while_waking() {
    let _turn = shared();
    let app = App::builder("waking").env("LISTEN_DELAY", "2s").create();
    let mut dock = dock(&app, json!({ "stop_after": "2s", "stop_timeout": "1s" }));
    let proxy = dock.proxy();
    let lost = std::thread::spawn(move || Request::get(HOST, "/").send(&proxy));
    app.wait_state("running", SOON);
    assert_eq!(dock.phase("app"), Some("waking"));
    dock.kill9();
    assert!(lost.join().unwrap().is_err(), "its connection ended with the process");
    dock.start_again();
    // Whoever comes now waits for the start that is going on.
    let answer = dock.get(HOST, "/");
    let answered = Instant::now();
    assert_eq!((answer.status(), app.starts()), (200, 1), "{}", answer.text());
    let slept = off_after(&app, answered);
    assert!(slept >= Duration::from_millis(1990), "stopped early, after {slept:?}");
    assert!(slept < Duration::from_secs(5), "stopped late, after {slept:?}");

    // And when nobody comes, it is still not left running.
    app.start();
    dock.kill9();
    dock.start_again();
    app.wait_state("exited", Duration::from_secs(15));
}

#[test]
fn killed_while_ready_and_quiet() {
    let _turn = shared();
    let app = App::builder("quiet").create();
    let mut dock = dock(&app, json!({ "stop_after": "3s", "stop_timeout": "1s" }));

    // The deadline is still to come when it returns.
    assert_eq!(dock.get(HOST, "/").status(), 200);
    let used = Instant::now();
    std::thread::sleep(Duration::from_millis(1200));
    dock.kill9();
    dock.start_again();
    assert_eq!((dock.phase("app"), app.running()), (Some("ready"), true));
    let slept = off_after(&app, used);
    assert!(slept >= Duration::from_millis(2990), "stopped early, after {slept:?}");
    assert!(slept < Duration::from_millis(4800), "stopped late, after {slept:?}");
    dock.wait_phase("app", "asleep", SOON);

    // It passed while nobody was there to see it.
    assert_eq!(dock.get(HOST, "/").status(), 200);
    std::thread::sleep(Duration::from_millis(800));
    dock.kill9();
    std::thread::sleep(Duration::from_millis(3000));
    assert!(app.running(), "who should have stopped it?");
    dock.start_again();
    let late = off_after(&app, Instant::now());
    assert!(late <= ON_RETURN, "stopped {late:?} after the return");

    // It passed as well, but somebody is at the door: nothing is stopped under a request.
    assert_eq!(dock.get(HOST, "/").status(), 200);
    std::thread::sleep(Duration::from_millis(800));
    dock.kill9();
    std::thread::sleep(Duration::from_millis(3000));
    dock.start_again();
    let starts = app.starts();
    assert_eq!(dock.get(HOST, "/").status(), 200);
    let again = off_after(&app, Instant::now());
    assert_eq!(app.starts(), starts);
    assert!(again >= Duration::from_millis(2900), "stopped {again:?} after a request");
    eprintln!("figure: a deadline that passed while away is carried out {late:.2?} after the return");
}

/// The last use before the kill counts, however little time there was to write it down.
#[test]
fn killed_right_after_a_request() {
    let _turn = shared();
    let app = App::builder("used").create();
    let mut dock = dock(&app, json!({ "stop_after": "3s", "stop_timeout": "1s" }));
    let mut least = Duration::MAX;
    for wait in [2000, 2500, 2600] {
        assert_eq!(dock.get(HOST, "/").status(), 200);
        let starts = app.starts();
        // Long since quiet, and near its deadline, when somebody comes once more.
        std::thread::sleep(Duration::from_millis(wait));
        assert_eq!(dock.get(HOST, "/").status(), 200);
        let used = Instant::now();
        std::thread::sleep(Duration::from_millis(30));
        dock.kill9();
        dock.start_again();
        let slept = off_after(&app, used);
        assert!(slept >= Duration::from_millis(2990), "stopped {slept:?} after its last use");
        assert!(slept < Duration::from_secs(6), "stopped {slept:?} after its last use");
        assert_eq!(app.starts(), starts);
        least = least.min(slept);
        dock.wait_phase("app", "asleep", SOON);
    }
    eprintln!(
        "figure: killed 30 ms after a request, stopped {least:.1?} after it at the earliest (stop_after 3 s)"
    );
}

/// Somebody restarts the container while WakeDock is away: what was noted of the earlier run is not
/// held against this one.
#[test]
fn restarted_by_hand_while_killed() {
    let _turn = shared();
    let app = App::builder("byhand").health(Duration::from_millis(200)).create();
    let mut dock = dock(&app, json!({ "stop_after": "3s", "stop_timeout": "1s" }));
    assert_eq!(dock.get(HOST, "/").status(), 200);
    std::thread::sleep(Duration::from_millis(800));
    dock.kill9();
    std::thread::sleep(Duration::from_secs(3));
    app.stop(Duration::from_secs(1));
    app.start();
    eventually(SOON, "it is healthy", || (app.health()? == "healthy").then_some(()));
    let seen = Instant::now();
    dock.start_again();
    assert_eq!(dock.phase("app"), Some("ready"));
    let slept = off_after(&app, seen);
    assert!(slept >= Duration::from_secs(3), "stopped {slept:?} after it was first seen");
    assert!(slept < Duration::from_secs(6), "stopped {slept:?} after it was first seen");
}

#[test]
fn killed_while_in_use() {
    let _turn = shared();
    let app = App::builder("inuse").create();
    let mut dock = dock(&app, json!({ "stop_after": "2s", "stop_timeout": "1s" }));
    let mut socket = WebSocket::connect(&dock.proxy(), HOST, "/ws").unwrap();
    socket.echo("here");
    // Longer than `stop_after`: what keeps it awake is the open stream alone.
    std::thread::sleep(Duration::from_millis(2500));
    socket.echo("still here");
    dock.kill9();
    let lost = Instant::now();
    dock.start_again();
    let slept = off_after(&app, lost);
    assert!(slept >= Duration::from_millis(1990), "stopped early, {slept:?} after the use ended");
    assert!(slept < Duration::from_secs(5), "stopped late, {slept:?} after the use ended");
}

#[test]
fn killed_while_stopping() {
    let _turn = shared();
    // It goes on answering between SIGTERM and SIGKILL, and says so.
    let app = App::builder("stopping").env("ON_TERM", "serve").create();
    let mut dock = dock(&app, json!({ "stop_after": "500ms", "stop_timeout": "3s" }));
    for demand in [true, false] {
        let answer = dock.get(HOST, "/");
        assert_eq!((answer.status(), answer.told_to_stop()), (200, false));
        let first = answer.instance().unwrap().to_owned();
        dock.wait_phase("app", "stopping", SOON);
        eventually(SOON, "it knows that it is to stop", || {
            Request::get(HOST, "/").send(&app.target()).ok().filter(crate::harness::Answer::told_to_stop)
        });
        dock.kill9();
        dock.start_again();
        if demand {
            let answer = dock.get(HOST, "/");
            assert_eq!(answer.status(), 200, "{}", answer.text());
            assert!(!answer.told_to_stop(), "answered by the process that was told to stop");
            assert_ne!(answer.instance(), Some(first.as_str()));
            dock.wait_phase("app", "stopping", SOON);
            dock.wait_phase("app", "asleep", SOON);
        } else {
            app.wait_state("exited", SOON);
            dock.wait_phase("app", "asleep", SOON);
        }
    }
}

#[test]
fn killed_while_failed() {
    let _turn = shared();
    let app = App::builder("failed").env("EXIT_AFTER", "50ms").env("LISTEN_DELAY", "10s").create();
    let mut dock = dock(&app, json!({ "stop_after": "10m" }));
    let failed = dock.get(HOST, "/");
    assert_eq!((failed.status(), failed.header("x-wakedock")), (503, Some("failed")), "{}", failed.text());
    dock.wait_phase("app", "failed", SOON);
    dock.kill9();
    dock.start_again();
    assert!(!app.running());
    assert!(matches!(dock.phase("app"), Some("asleep" | "failed")), "{:?}", dock.phase("app"));
    let again = dock.get(HOST, "/");
    assert_eq!((again.status(), again.instance()), (503, None), "{}", again.text());
    app.wait_state("exited", SOON);

    // Killed while it waits for one that will never answer: that one is not left running.
    let stuck = App::builder("stuck").env("LISTEN_DELAY", "60m").create();
    let mut dock = WakeDock::builder()
        .service(json!({
            "name": "stuck", "hosts": [HOST], "container": stuck.name(), "port": stuck.port(),
            "wake_timeout": "2s", "idle": { "stop_after": "1s", "stop_timeout": "1s" },
        }))
        .start();
    let proxy = dock.proxy();
    std::thread::spawn(move || Request::get(HOST, "/").send(&proxy));
    stuck.wait_state("running", SOON);
    dock.kill9();
    dock.start_again();
    stuck.wait_state("exited", Duration::from_secs(15));
}

#[test]
fn killed_while_paused() {
    let _turn = shared();
    let app = App::builder("paused").create();
    let idle = json!({ "pause_after": "400ms", "stop_after": "4s", "stop_timeout": "1s" });
    let mut dock = dock(&app, idle);
    let first = dock.get(HOST, "/").instance().unwrap().to_owned();
    app.wait_state("paused", SOON);
    dock.wait_phase("app", "asleep", SOON);
    dock.kill9();
    dock.start_again();
    assert_eq!((dock.phase("app"), app.state().as_str()), (Some("asleep"), "paused"));
    assert_eq!(dock.get(HOST, "/").instance(), Some(first.as_str()), "its memory is kept");
    let used = Instant::now();
    app.wait_state("paused", SOON);
    dock.wait_phase("app", "asleep", SOON);
    dock.kill9();
    dock.start_again();
    let slept = off_after(&app, used);
    assert!(slept >= Duration::from_millis(3990), "stopped early, after {slept:?}");
    assert!(slept < Duration::from_secs(7), "stopped late, after {slept:?}");

    // The time to stop it for good passes while WakeDock is away.
    assert_eq!(dock.get(HOST, "/").status(), 200);
    app.wait_state("paused", SOON);
    dock.wait_phase("app", "asleep", SOON);
    dock.kill9();
    std::thread::sleep(Duration::from_millis(4200));
    dock.start_again();
    let late = off_after(&app, Instant::now());
    assert!(late <= ON_RETURN, "stopped {late:?} after the return");
}
