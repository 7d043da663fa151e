//! Being told to stop: what is under way is finished, everybody is told, nothing is left behind.

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{App, Connection, Request, WakeDock, command, eventually, shared};

const HOST: &str = "app.test";
const SOON: Duration = Duration::from_secs(5);

fn service(app: &App) -> Value {
    json!({ "name": "app", "hosts": [HOST], "container": app.name(), "port": app.port(), "idle": { "stop_after": "10m" } })
}

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i % 251) as u8).collect()
}

/// The head of a download of so many bytes, 1000 every 100 ms.
fn download(dock: &WakeDock, bytes: usize) -> Connection {
    let mut connection = Connection::open(&dock.proxy()).unwrap();
    let path = format!("/slow?bytes={bytes}&every=100ms&chunk=1000");
    connection.send(&Request::get(HOST, &path).head()).unwrap();
    assert_eq!(connection.line().unwrap(), "HTTP/1.1 200 OK");
    connection.fields().unwrap();
    connection
}

fn rest(mut connection: Connection, bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut body = vec![0; bytes];
    connection.read_exact(&mut body)?;
    Ok(body)
}

fn wait_draining(dock: &WakeDock) {
    let verdict = eventually(SOON, "/readyz says draining", || {
        let answer = dock.ask("/readyz");
        (answer.status() == 503).then(|| answer.json())
    });
    assert_eq!(verdict["status"], "draining");
}

#[test]
fn a_download_is_finished_within_the_grace_period() {
    let _turn = shared();
    let app = App::builder("drain").create();
    let mut dock = WakeDock::builder().set("shutdown.grace", "20s").service(service(&app)).start();
    let path = dock.folder().join("proxy.sock");
    let body = download(&dock, 30_000);
    let mut idle = Connection::open(&dock.proxy()).unwrap();
    assert_eq!(idle.exchange(&Request::get(HOST, "/")).unwrap().status(), 200);
    assert!(path.exists());
    dock.process().term();
    wait_draining(&dock);
    assert!(dock.metrics().contains("wakedock_leases"), "the control plane answers meanwhile");
    eventually(SOON, "new connections are refused", || Connection::open(&dock.proxy()).err());
    eventually(SOON, "on the unix socket too", || Connection::open(&dock.proxy_unix()).err());
    idle.set_patience(SOON).unwrap();
    let closed = idle.line().unwrap_err();
    assert_eq!(closed.kind(), std::io::ErrorKind::UnexpectedEof, "an idle connection is closed: {closed}");
    assert!(rest(body, 30_000).unwrap() == pattern(30_000));
    assert_eq!(dock.process().wait(SOON).code(), Some(0));
    assert_eq!(dock.logged("drained: every request was finished").len(), 1, "{}", dock.log());
    assert!(!path.exists(), "the socket file is removed");
    assert!(app.running(), "services outlive WakeDock");
}

#[test]
fn what_takes_longer_than_the_grace_period_is_cut() {
    let _turn = shared();
    let app = App::builder("cut").create();
    let mut dock = WakeDock::builder().set("shutdown.grace", "1s").service(service(&app)).start();
    let body = download(&dock, 1_000_000);
    dock.process().term();
    let began = Instant::now();
    let status = dock.process().wait(Duration::from_secs(10));
    let took = began.elapsed();
    assert_eq!(status.code(), Some(2), "{}", dock.log());
    assert!(took >= Duration::from_millis(950) && took < Duration::from_secs(3), "after {took:?}");
    let said = dock.logged("the grace period is over: connections were cut");
    assert_eq!(said.len(), 1, "{}", dock.log());
    assert_eq!(said[0]["connections"], 1);
    assert!(rest(body, 1_000_000).is_err(), "the client sees that it is not whole");
    assert!(!dock.folder().join("proxy.sock").exists());
    eprintln!("figure: grace of 1 s, ended after {took:.2?}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let _turn = shared();
    let app = App::builder("twice").create();
    let mut dock = WakeDock::builder().set("shutdown.grace", "5m").service(service(&app)).start();
    let _body = download(&dock, 1_000_000);
    dock.process().term();
    wait_draining(&dock);
    let began = Instant::now();
    dock.process().term();
    assert_eq!(dock.process().wait(SOON).code(), Some(2));
    assert!(began.elapsed() < Duration::from_secs(2), "after {:?}", began.elapsed());
    assert_eq!(dock.logged("told to stop again: connections were cut").len(), 1);
    assert!(!dock.folder().join("proxy.sock").exists());
}

/// With sockets that systemd holds nobody is refused: who comes late is the next one's client.
#[test]
fn who_comes_during_the_drain_waits_for_the_next_process() {
    let _turn = shared();
    let app = App::builder("late").create();
    let mut dock = WakeDock::builder().with_inherited_sockets().service(service(&app)).start();
    let body = download(&dock, 15_000);
    dock.process().term();
    wait_draining(&dock);
    let mut late: Vec<_> =
        [dock.proxy(), dock.proxy_unix()].iter().map(|target| Connection::open(target).unwrap()).collect();
    for connection in &mut late {
        connection.send(&Request::get(HOST, "/").head()).unwrap();
    }
    assert!(rest(body, 15_000).unwrap() == pattern(15_000));
    assert_eq!(dock.process().wait(SOON).code(), Some(0));
    dock.start_again();
    for connection in &mut late {
        let answer = connection.answer("GET").unwrap();
        assert_eq!((answer.status(), answer.instance().is_some()), (200, true), "{}", answer.text());
    }
}

#[test]
fn services_are_stopped_where_that_is_wished() {
    let _turn = shared();
    let [awake, paused, asleep] = ["awake", "paused", "asleep"].map(|hint| App::builder(hint).create());
    let one = |app: &App, name: &str, idle: Value| json!({ "name": name, "hosts": [format!("{name}.test")], "container": app.name(), "port": app.port(), "idle": idle });
    let mut dock = WakeDock::builder()
        .set("shutdown.stop_services", true)
        .service(one(&awake, "awake", json!({ "stop_after": "10m" })))
        .service(one(&paused, "paused", json!({ "pause_after": "200ms", "stop_after": "10m" })))
        .service(one(&asleep, "asleep", json!({ "stop_after": "10m" })))
        .start();
    for host in ["awake.test", "paused.test"] {
        assert_eq!(dock.get(host, "/").status(), 200);
    }
    paused.wait_state("paused", SOON);
    dock.wait_phase("paused", "asleep", SOON);
    assert!(awake.running());
    assert_eq!(dock.term().code(), Some(0), "{}", dock.log());
    assert_eq!((awake.state().as_str(), paused.state().as_str()), ("exited", "exited"));
    assert_eq!((asleep.state().as_str(), asleep.starts()), ("created", 0));
}

#[test]
fn the_service_manager_is_told() {
    let _turn = shared();
    let folder = tempfile::tempdir().unwrap();
    let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let said = || {
        let mut buffer = [0; 4096];
        let length = manager.recv(&mut buffer).expect("WakeDock says something");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let mut dock = WakeDock::builder()
        .env("NOTIFY_SOCKET", &folder.path().join("notify").display().to_string())
        .env("WATCHDOG_USEC", "400000")
        .start();
    assert!(said().lines().any(|line| line == "READY=1"), "first of all it is ready");
    let began = Instant::now();
    for _ in 0..6 {
        assert_eq!(said().trim(), "WATCHDOG=1");
    }
    let pace = began.elapsed() / 6;
    assert!(pace <= Duration::from_millis(300), "one every {pace:?} does not satisfy 400 ms");
    dock.process().term();
    let last = std::iter::repeat_with(said).find(|text| text.trim() != "WATCHDOG=1").unwrap();
    assert!(last.lines().any(|line| line == "STOPPING=1"), "{last}");
    assert_eq!(dock.process().wait(SOON).code(), Some(0));
}

#[test]
fn a_second_one_in_the_same_place_is_refused_and_harms_nobody() {
    let _turn = shared();
    let app = App::builder("first").create();
    let dock = WakeDock::builder().service(service(&app)).start();
    assert_eq!(dock.get(HOST, "/").status(), 200);
    let socket = dock.folder().join("proxy.sock");
    let text = std::fs::read_to_string(dock.config_path()).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();

    let mut same_data = config.clone();
    same_data["proxy"]["listen"] = json!(["127.0.0.1:0"]);
    let mut elsewhere = config.clone();
    elsewhere["data_dir"] = json!(dock.folder().join("other").display().to_string());
    let mut same_port = elsewhere.clone();
    same_port["proxy"]["listen"] = json!([dock.proxy().tcp().to_string()]);
    let mut same_admin = elsewhere.clone();
    same_admin["proxy"]["listen"] = json!(["127.0.0.1:0"]);
    same_admin["admin"]["listen"] = json!(dock.admin().tcp().to_string());
    let (data, admin, port) =
        ("wakedock.redb".to_owned(), dock.admin().tcp().to_string(), dock.proxy().tcp().to_string());
    let unix = socket.display().to_string();
    for (config, named) in
        [(config, unix.clone()), (same_data, data), (elsewhere, unix), (same_port, port), (same_admin, admin)]
    {
        let path = dock.folder().join("second.yml");
        std::fs::write(&path, config.to_string()).unwrap();
        let second = command(&["serve", "--config", &path.display().to_string()])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&second.stderr);
        assert_eq!(second.status.code(), Some(1), "{named}: {said}");
        let error = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(error.contains(&named), "{error:?} does not name {named}");
        assert!(said.lines().last().is_some_and(|line| line.starts_with("  mend ")), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        for target in [dock.proxy(), dock.proxy_unix()] {
            assert_eq!(Request::get(HOST, "/").send(&target).unwrap().status(), 200, "{named}");
        }
        assert!(socket.exists());
        assert_eq!(dock.ask("/readyz").json()["status"], "ready");
    }
    assert_eq!(app.starts(), 1);
}
