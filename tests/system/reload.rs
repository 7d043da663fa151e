//! The configuration is edited while WakeDock runs: live within a second, and nobody is cut off.

use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{App, Connection, Request, WakeDock, WebSocket, eventually, shared};

const SOON: Duration = Duration::from_secs(5);
/// An edit is live within this.
const LIVE: Duration = Duration::from_secs(1);

fn service(app: &App, name: &str, stop_after: &str) -> Value {
    json!({
        "name": name, "hosts": [format!("{name}.test")], "container": app.name(), "port": app.port(),
        "idle": { "stop_after": stop_after, "stop_timeout": "1s" },
    })
}

fn services(config: &mut Value) -> &mut Vec<Value> {
    config["services"].as_array_mut().expect("a list of services")
}

fn reloads(dock: &WakeDock, outcome: &str) -> f64 {
    dock.metric("wakedock_config_reloads_total", &[("outcome", outcome)]).expect("the family")
}

fn config_check(dock: &WakeDock) -> (u16, String, String) {
    let answer = dock.ask("/readyz");
    let verdict = answer.json();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (answer.status(), word(&verdict["status"]), word(&verdict["checks"]["config"]))
}

fn within_a_second<T>(reason: &str, attempt: impl FnMut() -> Option<T>) -> Duration {
    let began = Instant::now();
    eventually(SOON, reason, attempt);
    let took = began.elapsed();
    assert!(took <= LIVE, "{reason}: only after {took:?}");
    took
}

#[test]
fn services_are_added_changed_and_let_go_within_a_second() {
    let _turn = shared();
    let [kept, changed, gone, new] =
        ["kept", "changed", "gone", "new"].map(|hint| App::builder(hint).create());
    let mut dock = WakeDock::builder()
        .service(service(&kept, "kept", "10m"))
        .service(service(&changed, "changed", "10m"))
        .service(service(&gone, "gone", "2s"))
        .start();
    for host in ["kept.test", "changed.test", "gone.test"] {
        assert_eq!(dock.get(host, "/").status(), 200);
    }
    assert_eq!(dock.get("new.test", "/").header("x-wakedock"), Some("unknown-host"));

    let more = service(&new, "new", "10m");
    dock.edit(|config| services(config).push(more));
    let added = within_a_second("the new host is known", || {
        let answer = dock.get("new.test", "/.wakedock/nothing");
        (answer.header("x-wakedock") == Some("not-found")).then_some(())
    });
    assert_eq!(dock.get("new.test", "/").status(), 200);

    dock.edit(|config| services(config)[1]["hosts"] = json!(["other.test"]));
    let moved = within_a_second("the host has changed", || {
        let answer = dock.get("changed.test", "/");
        (answer.header("x-wakedock") == Some("unknown-host")).then_some(())
    });
    assert_eq!(dock.get("other.test", "/").status(), 200);
    assert_eq!(changed.starts(), 1, "it was not restarted for that");
    dock.edit(|config| services(config)[1]["idle"]["stop_after"] = json!("100ms"));
    eventually(SOON, "the shorter time holds", || (changed.state() == "exited").then_some(()));

    dock.edit(|config| drop(services(config).remove(2)));
    let removed = within_a_second("the host is gone", || {
        let answer = dock.get("gone.test", "/");
        (answer.header("x-wakedock") == Some("unknown-host")).then_some(())
    });
    // Well beyond its `stop_after`.
    std::thread::sleep(Duration::from_secs(3));
    assert!(gone.running(), "let go is not stopped");
    assert_eq!(dock.metric("wakedock_service_phase", &[("service", "gone")]), None);
    assert_eq!(kept.starts(), 1);
    assert_eq!((reloads(&dock, "applied"), reloads(&dock, "rejected")), (4.0, 0.0));
    eprintln!("figure: live after {added:.0?} (added), {moved:.0?} (changed), {removed:.0?} (let go)");
}

#[test]
fn an_edit_cuts_nobody_off() {
    let _turn = shared();
    let [kept, changed, gone, other] =
        ["kept", "changed", "gone", "other"].map(|hint| App::builder(hint).create());
    let mut dock = WakeDock::builder()
        .service(service(&kept, "kept", "10m"))
        .service(service(&changed, "changed", "10m"))
        .service(service(&gone, "gone", "10m"))
        .start();
    const BYTES: usize = 40_000;
    let hosts = ["kept.test", "changed.test", "gone.test"];
    let mut sockets = hosts.map(|host| WebSocket::connect(&dock.proxy(), host, "/ws").unwrap());
    let mut downloads = hosts.map(|host| {
        let mut connection = Connection::open(&dock.proxy()).unwrap();
        let path = format!("/slow?bytes={BYTES}&every=100ms&chunk=1000");
        connection.send(&Request::get(host, &path).head()).unwrap();
        assert_eq!(connection.read_head().unwrap().status, 200);
        connection
    });
    let mut kept_alive = hosts.map(|host| {
        let mut connection = Connection::open(&dock.proxy()).unwrap();
        assert_eq!(connection.exchange(&Request::get(host, "/")).unwrap().status(), 200);
        connection
    });

    // One keeps what it is, one changes, first a little and then its container, one goes.
    dock.edit(|config| {
        services(config)[1]["idle"]["stop_after"] = json!("5m");
        services(config)[1]["hosts"] = json!(["changed.test", "alias.test"]);
    });
    eventually(SOON, "the first edit is applied", || (reloads(&dock, "applied") == 1.0).then_some(()));
    let container = other.name().to_owned();
    dock.edit(|config| {
        services(config)[1]["container"] = json!(container);
        services(config).remove(2);
    });
    eventually(SOON, "the second edit is applied", || (reloads(&dock, "applied") == 2.0).then_some(()));

    for socket in &mut sockets {
        socket.echo("after both edits");
    }
    for (host, download) in hosts.iter().zip(&mut downloads) {
        let mut body = vec![0; BYTES];
        download.read_exact(&mut body).unwrap_or_else(|error| panic!("{host}: {error}"));
        assert!(body.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8), "{host}");
    }
    for (connection, (host, status)) in
        kept_alive.iter_mut().zip([("kept.test", 200), ("alias.test", 200), ("gone.test", 404)])
    {
        assert_eq!(connection.exchange(&Request::get(host, "/")).unwrap().status(), status, "{host}");
    }
    for socket in &mut sockets {
        socket.echo("to the end");
    }
    assert_eq!((kept.starts(), changed.starts(), gone.starts(), other.starts()), (1, 1, 1, 1));
    assert!(changed.running() && gone.running(), "let go is not stopped");
}

#[test]
fn a_bad_edit_changes_nothing_and_is_seen_until_it_is_mended() {
    let _turn = shared();
    let app = App::builder("kept").create();
    let dock = WakeDock::builder().service(service(&app, "kept", "10m")).start();
    assert_eq!(dock.get("kept.test", "/").status(), 200);
    let good = std::fs::read_to_string(dock.config_path()).unwrap();
    let parsed: Value = serde_json::from_str(&good).unwrap();
    let edited = |change: &dyn Fn(&mut Value)| {
        let mut config = parsed.clone();
        change(&mut config);
        config.to_string()
    };
    let bad: [(&str, String, &[&str]); 6] = [
        ("syntax", "services: [\n  - name: {{{\n".to_owned(), &[]),
        ("unknown key", edited(&|config| config["proxi"] = json!({})), &["proxi", "proxy"]),
        (
            "two hosts",
            edited(&|config| {
                let twin = json!({ "name": "twin", "hosts": ["kept.test"], "container": "x", "port": 1 });
                services(config).push(twin);
            }),
            &["kept.test"],
        ),
        (
            "several problems",
            edited(&|config| {
                services(config)[0]["idle"]["stop_after"] = json!(15);
                services(config)[0]["port"] = json!(99999);
                config["domain"] = json!("not a domain");
            }),
            &["services[0].idle.stop_after", "services[0].port", "domain"],
        ),
        ("empty", "\n".to_owned(), &[]),
        ("half written", good[..good.len() / 2].to_owned(), &[]),
    ];
    for (number, (name, text, named)) in bad.iter().enumerate() {
        let before = dock.log().len();
        dock.write_config(text);
        let seen = within_a_second(&format!("{name}: refused"), || {
            (reloads(&dock, "rejected") == (number + 1) as f64).then_some(())
        });
        assert_eq!(config_check(&dock), (200, "degraded".into(), "degraded".into()), "{name}");
        assert_eq!(dock.ask("/readyz?strict").status(), 503, "{name}");
        assert_eq!(dock.get("kept.test", "/").status(), 200, "{name}");
        assert_eq!(dock.phase("kept"), Some("ready"), "{name}");
        let log = dock.log();
        let line = log[before..].lines().find(|line| line.contains("\"error\"")).unwrap_or_default();
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{name}: no error in the log"));
        let message = line["message"].as_str().unwrap();
        assert!(message.contains("the configuration was not changed"), "{name}: {message}");
        for word in *named {
            assert!(message.contains(word), "{name}: {word:?} is missing in {message}");
        }
        if number == 0 {
            eprintln!("figure: a bad edit is refused, and seen, after {seen:.0?}");
        }
    }
    assert_eq!(reloads(&dock, "applied"), 0.0);
    let more = json!({ "name": "more", "hosts": ["more.test"], "container": app.name(), "port": app.port() });
    let mended = edited(&|config| services(config).push(more.clone()));
    dock.write_config(&mended);
    within_a_second("a good edit mends it", || {
        (config_check(&dock) == (200, "ready".into(), "ok".into())).then_some(())
    });
    assert_eq!(reloads(&dock, "applied"), 1.0);
    assert_eq!(dock.get("more.test", "/").status(), 200);
    assert_eq!(app.starts(), 1);
}

/// An editor that writes in place is not caught half way: what is there a moment later counts.
#[test]
fn a_file_written_in_pieces_is_one_edit() {
    let _turn = shared();
    let app = App::builder("pieces").create();
    let dock = WakeDock::builder().service(service(&app, "one", "10m")).start();
    let good = std::fs::read_to_string(dock.config_path()).unwrap().replace("one.test", "two.test");
    for end in [0, good.len() / 3, good.len() / 2, good.len()] {
        std::fs::write(dock.config_path(), &good[..end]).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    eventually(SOON, "the edit is applied", || (reloads(&dock, "applied") == 1.0).then_some(()));
    assert_eq!(dock.get("two.test", "/").status(), 200);
    assert_eq!(reloads(&dock, "rejected"), 0.0);
}

#[test]
fn a_hangup_reloads_and_what_needs_a_restart_is_said() {
    let _turn = shared();
    let [one, two] = ["one", "two"].map(|hint| App::builder(hint).create());
    let mut dock = WakeDock::builder().service(service(&one, "one", "10m")).start();
    dock.hup();
    eventually(SOON, "SIGHUP reloads", || (reloads(&dock, "applied") == 1.0).then_some(()));
    assert_eq!(dock.logged("configuration applied").len(), 1);

    let other = dock.folder().join("elsewhere").display().to_string();
    let listen = json!([format!("unix:{}", dock.folder().join("proxy.sock").display()), "127.0.0.1:1"]);
    let more = service(&two, "two", "10m");
    dock.edit(|config| {
        config["data_dir"] = json!(other);
        config["proxy"]["listen"] = listen;
        config["admin"]["listen"] = json!("127.0.0.1:2");
        config["docker"]["host"] = json!("unix:///nowhere.sock");
        services(config).push(more);
    });
    eventually(SOON, "the rest is applied", || (reloads(&dock, "applied") == 2.0).then_some(()));
    assert_eq!(dock.get("two.test", "/").status(), 200, "the engine is still the one it was");
    let said = dock.logged("configuration applied; these keys wait for a restart");
    assert_eq!(said.len(), 1, "{}", dock.log());
    let keys = said[0]["keys"].as_str().unwrap();
    for key in ["data_dir", "proxy.listen", "admin.listen", "docker.host"] {
        assert!(keys.contains(key), "{key} is missing in {keys}");
    }
    assert_eq!(config_check(&dock).0, 200);
    // Said again as long as it is so, also where that is not what was edited last.
    dock.edit(|config| services(config)[0]["page_after"] = json!("3s"));
    eventually(SOON, "it is said again", || {
        (dock.logged("configuration applied; these keys wait for a restart").len() == 2).then_some(())
    });
}
