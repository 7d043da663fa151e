//! The command line against a WakeDock that runs, over its local socket and over the network.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{App, Load, Request, WakeDock, command, eventually, shared};

const HOST: &str = "app.test";
const SOON: Duration = Duration::from_secs(10);

fn house() -> (App, WakeDock) {
    let app = App::builder("cli").create();
    let dock = WakeDock::builder()
        .service(json!({ "name": "app", "hosts": [HOST], "container": app.name(), "port": app.port(),
            "idle": { "stop_after": "10m", "stop_timeout": "1s" } }))
        .start();
    (app, dock)
}

fn on(config: &Path, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.arg("--config").arg(config);
    command
}

fn run(dock: &WakeDock, arguments: &[&str]) -> Output {
    on(&dock.config_path(), arguments).output().expect("the program runs")
}

#[track_caller]
fn fine(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn status(dock: &WakeDock) -> Value {
    let all: Value = serde_json::from_str(&fine(&run(dock, &["status", "--json"]))).expect("JSON");
    all["services"][0].clone()
}

#[test]
fn a_service_is_shown_woken_followed_and_stopped() {
    let _turn = shared();
    let (app, dock) = house();
    assert_eq!(fine(&run(&dock, &["health"])), "ready\n");
    assert_eq!(status(&dock)["phase"], "asleep");
    let table = fine(&run(&dock, &["status"]));
    assert!(table.contains("○ asleep  app") && table.contains(HOST), "{table}");

    let woken = fine(&run(&dock, &["wake", "app"]));
    assert!(woken.starts_with("● app is ready after "), "{woken}");
    assert!(app.running());
    assert_eq!(dock.get(HOST, "/").status(), 200);
    assert!(fine(&run(&dock, &["wake", "app"])).contains("already"));
    let detail = fine(&run(&dock, &["status", "app"]));
    assert!(detail.starts_with("● app  ready for ") && detail.contains("why awake"), "{detail}");

    // The application writes nothing of its own: what counts is that there is a log to read.
    fine(&run(&dock, &["logs", "app", "--tail", "10"]));

    let stopped = fine(&run(&dock, &["stop", "app"]));
    assert!(stopped.starts_with("○ app is asleep after "), "{stopped}");
    assert!(!app.running());
    let said = fine(&run(&dock, &["events", "app", "--json"]));
    let kinds: Vec<String> = said
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["kind"].to_string())
        .collect();
    assert!(kinds.contains(&"\"wake-ended\"".to_owned()), "{kinds:?}");
    let unknown = run(&dock, &["wake", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
}

/// Through the end of its container, of WakeDock, and of what happened while WakeDock was away.
#[test]
fn a_log_is_followed_through_restarts_and_each_line_is_told_once() {
    let _turn = shared();
    let (app, mut dock) = house();
    fine(&run(&dock, &["wake", "app"]));
    let told = dock.folder().join("told");
    let mut following = on(&dock.config_path(), &["logs", "app", "--follow", "--tail", "0"])
        .stdout(std::fs::File::create(&told).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    let lines =
        || std::fs::read_to_string(&told).expect("text").lines().map(str::to_owned).collect::<Vec<_>>();
    // What it had written before is not asked for.
    let before = app.logs().lines().count();
    std::thread::sleep(Duration::from_millis(500));
    fine(&run(&dock, &["stop", "app"]));
    eventually(SOON, "the last words of its first run", || (lines().len() == 1).then_some(()));
    dock.term();
    for _ in 0..3 {
        app.start();
        app.stop(Duration::from_secs(2));
    }
    dock.start_again();
    fine(&run(&dock, &["wake", "app"]));
    let all = || app.logs().lines().map(str::to_owned).collect::<Vec<_>>();
    eventually(SOON, "all that was written meanwhile", || {
        (lines().len() >= all().len() - before).then_some(())
    });
    let (told, written) = (lines(), all());
    assert_eq!(told, written[before..], "each line once and in order");
    assert!(told.len() > 8, "{told:?}");
    following.kill().expect("it goes on");
    following.wait().expect("its end");
}

#[test]
fn a_user_made_without_wakedock_logs_in_and_a_token_goes_over_the_network() {
    let _turn = shared();
    let (_app, mut dock) = house();
    dock.term();
    assert_eq!(run(&dock, &["health"]).status.code(), Some(1));
    let mut adding = on(&dock.config_path(), &["user", "add", "anna", "--password-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    std::io::Write::write_all(&mut adding.stdin.take().expect("its input"), b"correct horse\n")
        .expect("read");
    assert!(fine(&adding.wait_with_output().expect("its end")).contains("role admin"));
    dock.start_again();

    let login = json!({ "username": "anna", "password": "correct horse" }).to_string();
    let login = Request::post("127.0.0.1", "/api/v1/auth/login", login)
        .header("Content-Type", "application/json")
        .send(&dock.admin())
        .expect("an answer");
    assert_eq!(login.status(), 200, "{}", login.text());
    assert!(login.json()["access_token"].is_string());
    assert!(fine(&run(&dock, &["user", "list"])).contains("anna"));

    let token = fine(&run(&dock, &["token", "create", "phone"]));
    assert!(token.starts_with("wd_"), "{token}");
    let url = format!("http://{}", dock.admin().tcp());
    let over = |arguments: &[&str]| {
        let mut command = command(arguments);
        command.args(["--url", &url]).env("WAKEDOCK_TOKEN", token.trim()).output().expect("the program runs")
    };
    assert!(fine(&over(&["status"])).contains("asleep"));
    // A viewer wakes nobody, and a token that is revoked sees nothing.
    let refused = over(&["wake", "app"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("higher role"));
    let tokens: Value = serde_json::from_str(&fine(&run(&dock, &["token", "list", "--json"]))).expect("JSON");
    fine(&run(&dock, &["token", "revoke", tokens["items"][0]["id"].as_str().expect("an id")]));
    assert_eq!(over(&["status"]).status.code(), Some(1));
}

#[test]
fn a_backup_under_load_comes_back_in_another_place() {
    let _turn = shared();
    let (_app, dock) = house();
    fine(&run(&dock, &["wake", "app"]));
    for number in 0..20 {
        fine(&run(&dock, &["token", "create", &format!("before {number}")]));
    }
    let proxy = dock.proxy();
    let load = Load::start(2, move |_| Request::get(HOST, "/").send(&proxy));
    let (over, writing) = (Arc::new(AtomicBool::new(false)), dock.config_path());
    let writer = {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                fine(&on(&writing, &["token", "create", "meanwhile"]).output().expect("the program runs"));
            }
        })
    };
    load.wait_for(50);
    let backup = dock.folder().join("backup.redb");
    let said = fine(&run(&dock, &["backup", &backup.display().to_string()]));
    assert!(said.contains("checked, from WakeDock"), "{said}");
    over.store(true, Ordering::Relaxed);
    writer.join().expect("every token was made");
    load.stop().assert_all_answered(50);

    // It does not go under one that runs.
    let refused = run(&dock, &["restore", &backup.display().to_string()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nothing was restored"));

    let mut other = WakeDock::builder().start();
    other.term();
    let restored = fine(&run(&other, &["restore", &backup.display().to_string()]));
    assert!(restored.contains("what was there is kept as "), "{restored}");
    other.start_again();
    let tokens = eventually(SOON, "the tokens are there", || {
        serde_json::from_str::<Value>(&fine(&run(&other, &["token", "list", "--json"]))).ok()
    });
    let names: Vec<&str> = tokens["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|token| token["name"].as_str())
        .collect();
    let before = names.iter().filter(|name| name.starts_with("before ")).count();
    assert_eq!(before, 20, "{names:?}");
}
