//! A backup that is taken under load holds everything, and brings it to another data directory.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Api, App, WakeDock, alone, command, eventually};

const PASSWORD: &str = "correct horse battery staple";
const HOST: &str = "app.test";
/// Services that the API is told about before the backup begins.
const BEFORE: usize = 40;
/// Writers that go on meanwhile.
const WRITERS: usize = 3;

fn keys(name: &str) -> Value {
    json!({ "hosts": [format!("{name}.test")], "container": format!("no-{name}"), "port": 8080 })
}

fn names(list: &[Value], key: &str) -> Vec<String> {
    let mut names: Vec<_> = list.iter().map(|item| item[key].as_str().expect("a name").to_owned()).collect();
    names.sort();
    names
}

/// Runs a command of WakeDock's that has to succeed, and gives what it printed.
fn run(arguments: &[&str]) -> String {
    let output = command(arguments).output().expect("wakedock");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// What the API shows of everything that is kept.
#[derive(Debug, PartialEq)]
struct Everything {
    users: Vec<String>,
    tokens: Vec<String>,
    services: Vec<Value>,
    sessions: Vec<Value>,
    audit: Vec<Value>,
}

impl Everything {
    /// Of services and audit those that had come about before the backup, which goes on being added to.
    fn of(api: &Api) -> Self {
        let made = (0..BEFORE).map(|number| api.get(&format!("/api/v1/services/made-{number}")));
        let kept = |service: Value| json!([service["name"], service["api_keys"], service["revision"]]);
        let first =
            |item: &Value| item["what"] != "backup-downloaded" && !item.to_string().contains("later-");
        Self {
            users: names(&api.list("/api/v1/users"), "username"),
            tokens: names(&api.list("/api/v1/tokens"), "name"),
            services: made.map(kept).collect(),
            sessions: api.list("/api/v1/services/app/sessions"),
            audit: api.list("/api/v1/audit").into_iter().filter(first).collect(),
        }
    }
}

/// Tells the API of ever more services until it is to stop: how many it acknowledged.
fn write(api: &Api, writer: usize, stop: &AtomicBool, written: &AtomicUsize) {
    for number in 0.. {
        if stop.load(Ordering::Relaxed) || number == 200 {
            return;
        }
        let name = format!("later-{writer}-{number}");
        api.put(&format!("/api/v1/services/{name}"), &keys(&name));
        written.fetch_add(1, Ordering::Relaxed);
    }
}

fn backup_under_load(dock: &WakeDock, file: &Path) -> (usize, Duration) {
    let (stop, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (api, stop, written) = (dock.api(), &stop, &written);
            scope.spawn(move || write(&api, writer, stop, written));
        }
        eventually(Duration::from_secs(10), "the writers write", || {
            (written.load(Ordering::Relaxed) >= 10).then_some(())
        });
        let (before, began) = (written.load(Ordering::Relaxed), Instant::now());
        let config = dock.config_path();
        run(&["backup", &file.display().to_string(), "--config", &config.display().to_string()]);
        let took = began.elapsed();
        let meanwhile = written.load(Ordering::Relaxed) - before;
        stop.store(true, Ordering::Relaxed);
        (meanwhile, took)
    })
}

#[test]
fn a_backup_under_load_is_everything_on_another_data_directory() {
    let _turn = alone();
    let app = App::builder("kept").create();
    let service = json!({
        "name": "app", "hosts": [HOST], "container": app.name(), "port": app.port(),
        "idle": { "stop_after": "300ms", "stop_timeout": "1s" },
    });
    let dock = WakeDock::builder().service(service.clone()).start();
    let api = dock.api();
    for (username, role) in [("ada", "admin"), ("bob", "viewer")] {
        api.post("/api/v1/users", &json!({ "username": username, "password": PASSWORD, "role": role }));
    }
    let program = json!({ "name": "scraper", "role": "viewer", "expires_in": "30d" });
    let token = api.post("/api/v1/tokens", &program)["token"].as_str().expect("a token").to_owned();
    for number in 0..BEFORE {
        api.put(&format!("/api/v1/services/made-{number}"), &keys(&format!("made-{number}")));
    }
    for _ in 0..2 {
        assert_eq!(dock.get(HOST, "/").status(), 200);
        dock.wait_phase("app", "asleep", Duration::from_secs(10));
    }
    let ended = || {
        let sessions = api.list("/api/v1/services/app/sessions");
        (sessions.len() == 2 && sessions.iter().all(|session| !session["stop"].is_null())).then_some(())
    };
    eventually(Duration::from_secs(5), "two sessions have ended", ended);
    let before = Everything::of(&api);
    assert_eq!((before.users.len(), before.tokens.len()), (2, 1));
    assert!(before.audit.len() >= BEFORE + 3, "{} entries of the audit", before.audit.len());

    let file = dock.folder().join("kept.backup");
    let (meanwhile, took) = backup_under_load(&dock, &file);
    assert!(meanwhile > 0, "nothing was written meanwhile");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "a backup is nobody else's");

    // Somewhere else, where something else was kept.
    let mut other = WakeDock::builder().service(service).start();
    other.api().put("/api/v1/services/foreign", &keys("foreign"));
    other.term();
    let (from, config) = (file.display().to_string(), other.config_path().display().to_string());
    let said = run(&["restore", &from, "--config", &config]);
    other.start_again();
    let mut after = Everything::of(&other.api());
    assert_eq!(after.audit.remove(0)["what"], "restored");
    assert_eq!(after, before);
    assert!(other.get("foreign.test", "/").status() == 404, "what was there before is not mixed in");
    // What was hashed is still good.
    let ada = Api::log_in(&other, "ada", PASSWORD);
    assert_eq!(ada.get("/api/v1/auth/me")["role"], "admin");
    assert!(!Api::stranger(&other).with_token(&token).list("/api/v1/services").is_empty());
    eprintln!(
        "figure: a backup of {} kB took {took:.0?}, {meanwhile} services were written meanwhile; {}",
        std::fs::metadata(&file).unwrap().len() / 1000,
        said.lines().next().unwrap_or_default().rsplit('/').next().unwrap_or_default()
    );
}
