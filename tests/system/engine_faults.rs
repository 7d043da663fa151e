//! Docker goes away and comes back: what is awake is served, what is asked for is woken as soon as
//! it can be, and afterwards everything is what it should be.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{
    App, Docker, Engine, Load, Relay, Request, Target, WakeDock, alone, eventually, shared,
};

fn service(app: &App, name: &str, stop_after: &str) -> Value {
    json!({
        "name": name, "hosts": [format!("{name}.test")], "container": app.name(), "port": app.port(),
        "idle": { "stop_after": stop_after, "stop_timeout": "2s" },
    })
}

/// GETs and POSTs with a body in turn, each on a connection of its own.
fn load_on(target: Target, host: &str) -> Load {
    let host = host.to_owned();
    Load::start(3, move |number| {
        let body = format!("body {number}");
        let request = match number % 2 {
            0 => Request::get(&host, "/"),
            _ => Request::post(&host, "/echo", body.clone()),
        };
        let answer = request.send(&target)?;
        if number % 2 == 1 && answer.text() != body {
            return Err(std::io::Error::other(format!("echoed {:?}", answer.text())));
        }
        Ok(answer)
    })
}

fn engine_check(dock: &WakeDock) -> (String, String) {
    let answer = dock.ask("/readyz");
    assert_eq!(answer.status(), 200, "what is awake is served: {}", answer.text());
    let verdict = answer.json();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (word(&verdict["status"]), word(&verdict["checks"]["engine"]))
}

fn wait_degraded(dock: &WakeDock) {
    eventually(Duration::from_secs(10), "/readyz names the engine", || {
        (engine_check(dock) == ("degraded".into(), "degraded".into())).then_some(())
    });
    assert_eq!(dock.metric("wakedock_engine_connected", &[]), Some(0.0));
    assert_eq!(dock.ask("/readyz?strict").status(), 503);
}

fn wait_mended(dock: &WakeDock) {
    eventually(Duration::from_secs(10), "/readyz is ready again", || {
        (engine_check(dock) == ("ready".into(), "ok".into())).then_some(())
    });
    assert_eq!(dock.metric("wakedock_engine_connected", &[]), Some(1.0));
}

#[test]
fn the_daemon_is_restarted_under_traffic() {
    let _turn = alone();
    let mut engine = Engine::start();
    let [used, quiet, ended, asleep] =
        ["used", "quiet", "ended", "asleep"].map(|hint| engine.app(hint).create());
    let dock = WakeDock::builder()
        .docker_socket(engine.docker().socket())
        .service(service(&used, "used", "3s"))
        .service(service(&quiet, "quiet", "10m"))
        .service(service(&ended, "ended", "10m"))
        .service(service(&asleep, "asleep", "10m"))
        .start();
    for host in ["used.test", "quiet.test", "ended.test"] {
        assert_eq!(dock.get(host, "/").status(), 200, "{host}");
    }
    let first = dock.get("quiet.test", "/").instance().map(str::to_owned);
    assert_eq!(engine_check(&dock), ("ready".into(), "ok".into()));
    let process = ended.inspect()["State"]["Pid"].as_i64().expect("a process");

    let load = load_on(dock.proxy(), "used.test");
    load.wait_for(50);
    let began = Instant::now();
    engine.stop();
    let process = Pid::from_raw(i32::try_from(process).unwrap()).expect("a process");
    kill_process(process, Signal::KILL).expect("the process of a container of our own");
    wait_degraded(&dock);
    load.wait_for(200);
    let proxy = dock.proxy();
    let held = std::thread::spawn(move || {
        let answer = Request::get("asleep.test", "/").send(&proxy);
        (answer, Instant::now())
    });
    dock.wait_phase("asleep", "waking", Duration::from_secs(5));
    assert_eq!(dock.metric("wakedock_held_requests", &[("service", "asleep")]), Some(1.0));
    load.wait_for(200);
    engine.start_again();
    let back = Instant::now();
    let outage = began.elapsed();

    let (answer, served) = held.join().unwrap();
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200, "held over the outage: {}", answer.text());
    assert!(answer.instance().is_some());
    wait_mended(&dock);
    dock.wait_phase("ended", "asleep", Duration::from_secs(5));
    assert_eq!(dock.phase("quiet"), Some("ready"));
    assert_eq!(dock.get("quiet.test", "/").instance().map(str::to_owned), first, "nobody restarted it");
    assert_eq!(dock.get("ended.test", "/").status(), 200, "what ended in between is woken");
    load.wait_for(50);
    let tally = load.stop();
    tally.assert_all_answered(500);
    let quiet_since = Instant::now();
    used.wait_state("exited", Duration::from_secs(15));
    let slept = quiet_since.elapsed();
    dock.wait_phase("used", "asleep", Duration::from_secs(5));
    assert!(slept >= Duration::from_millis(2900), "stopped too early, after {slept:?}");
    eprintln!(
        "figure: daemon away for {outage:.1?}: {} requests, none failed, slowest {:.0?}; held request served {:.0?} after its return",
        tally.answered,
        tally.slowest,
        served.saturating_duration_since(back),
    );
}

#[test]
fn the_socket_of_docker_is_cut_and_mended() {
    let _turn = shared();
    let [used, stopped, asleep] = ["used", "stopped", "asleep"].map(|hint| App::builder(hint).create());
    let relay = Relay::to(Docker::here().socket());
    let dock = WakeDock::builder()
        .docker_socket(&relay.path())
        .service(service(&used, "used", "10m"))
        .service(service(&stopped, "stopped", "10m"))
        .service(service(&asleep, "asleep", "10m"))
        .start();
    for host in ["used.test", "stopped.test"] {
        assert_eq!(dock.get(host, "/").status(), 200, "{host}");
    }
    let load = load_on(dock.proxy(), "used.test");
    load.wait_for(50);
    relay.cut();
    wait_degraded(&dock);
    stopped.stop(Duration::from_secs(1));
    let proxy = dock.proxy();
    let held = std::thread::spawn(move || Request::get("asleep.test", "/").send(&proxy));
    dock.wait_phase("asleep", "waking", Duration::from_secs(5));
    load.wait_for(200);
    assert_eq!(dock.phase("stopped"), Some("ready"), "nothing can be known of it");
    relay.mend();
    let answer = held.join().unwrap().unwrap();
    assert_eq!((answer.status(), answer.instance().is_some()), (200, true), "{}", answer.text());
    wait_mended(&dock);
    dock.wait_phase("stopped", "asleep", Duration::from_secs(5));
    load.stop().assert_all_answered(250);

    // Events flow again: what happens now is seen long before the comparison of every minute.
    used.stop(Duration::from_secs(1));
    dock.wait_phase("used", "asleep", Duration::from_secs(2));
    assert_eq!(dock.get("used.test", "/").status(), 200);
}

/// What is awake stays in reach: no order that cannot be given stands in its way (trap 24).
#[test]
fn a_stop_that_falls_due_while_docker_is_away_holds_nobody_up() {
    let _turn = shared();
    let app = App::builder("due").create();
    let relay = Relay::to(Docker::here().socket());
    let dock =
        WakeDock::builder().docker_socket(&relay.path()).service(service(&app, "due", "1500ms")).start();
    let first = dock.get("due.test", "/").instance().map(str::to_owned);
    relay.cut();
    wait_degraded(&dock);
    // Beyond the deadline: the gate is found closed by whoever comes.
    eventually(Duration::from_secs(10), "the stop falls due", || {
        (dock.phase("due") == Some("stopping")).then_some(())
    });
    let began = Instant::now();
    let answer = dock.get("due.test", "/");
    let took = began.elapsed();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.instance().map(str::to_owned), first, "nobody told it to stop");
    assert!(took < Duration::from_secs(1), "held for {took:?} by a stop that nobody could be told of");
    relay.mend();
    app.wait_state("exited", Duration::from_secs(20));
    dock.wait_phase("due", "asleep", Duration::from_secs(5));
    eprintln!("figure: request to a service whose stop falls due while Docker is away: {took:.0?}");
}
