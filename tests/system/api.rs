//! The API of the built binary: every operation called as its own document says, and the whole of
//! it handed to schemathesis.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{App, Request, Target, WakeDock, alone, eventually, shared};

const SOON: Duration = Duration::from_secs(10);

/// A WakeDock with one service, and a token of an admin.
struct Rig {
    app: App,
    dock: WakeDock,
    token: String,
    token_id: String,
}

impl Rig {
    fn new() -> Self {
        let app = App::builder("api").create();
        let dock = WakeDock::builder()
            .service(json!({
                "name": "app", "hosts": ["app.test"], "container": app.name(), "port": app.port(),
                "idle": { "stop_timeout": "1s" },
            }))
            .start();
        let body = json!({ "name": "test", "role": "admin" }).to_string();
        let made = Request::post("127.0.0.1", "/api/v1/tokens", body)
            .header("Content-Type", "application/json")
            .send(&Target::Unix(dock.folder().join("admin.sock")))
            .unwrap();
        assert_eq!(made.status(), 201, "{}", made.text());
        let made: Value = serde_json::from_str(&made.text()).unwrap();
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        Self { app, token: text("token"), token_id: text("id"), dock }
    }

    /// Status and body.
    fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)], body: Option<&Value>) -> (u16, Value) {
        let Target::Tcp(address) = self.dock.admin() else { panic!("admin listens on TCP") };
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let body = body.map(Value::to_string);
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n",
            self.token
        );
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = &body {
            head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        stream.write_all((head + "\r\n" + &body.unwrap_or_default()).as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut rest = String::new();
        // One that goes on is cut: its head says enough.
        let _ = reader.read_to_string(&mut rest);
        let text = rest.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(text).unwrap_or(Value::Null))
    }
}

#[test]
fn a_service_is_made_woken_and_taken_back_with_a_token() {
    let _turn = shared();
    let rig = Rig::new();
    let body = json!({ "name": "second", "container": rig.app.name(), "hosts": ["second.test"] });
    let (status, refused) = rig.ask("POST", "/api/v1/services", &[], Some(&body));
    assert_eq!(status / 100, 4, "one container is one service's: {refused}");
    let (status, woken) = rig.ask("POST", "/api/v1/services/app/wake?wait=20s", &[], None);
    assert_eq!((status, woken["phase"].as_str()), (200, Some("ready")), "{woken}");
    assert_eq!(rig.dock.get("app.test", "/").status(), 200);
    let (_, shown) = rig.ask("GET", "/api/v1/services/app", &[], None);
    assert!(shown["last_wake"]["took_ms"].is_u64(), "{shown}");
    let (status, over) = rig.ask("PUT", "/api/v1/services/app", &[], Some(&json!({ "group": "Tests" })));
    assert_eq!((status, over["group"].as_str()), (201, Some("Tests")), "{over}");
    assert_eq!(rig.ask("DELETE", "/api/v1/services/app", &[("If-Match", "\"1\"")], None).0, 204);
    let (status, stopped) = rig.ask("POST", "/api/v1/services/app/stop?wait=20s", &[], None);
    assert_eq!((status, stopped["phase"].as_str()), (200, Some("asleep")), "{stopped}");
    let (_, containers) = rig.ask("GET", "/api/v1/system/containers?limit=500", &[], None);
    let own = containers["items"].as_array().unwrap().iter().find(|one| one["name"] == rig.app.name());
    assert_eq!(own.unwrap()["managed_by"], "app");
    eventually(SOON, "the audit knows of it", || {
        let (_, audit) = rig.ask("GET", "/api/v1/audit", &[], None);
        let all = audit["items"].as_array().unwrap().clone();
        all.iter().any(|entry| entry.to_string().contains("\"wake\"")).then_some(())
    });
}

/// A client that knows nothing but the document: each operation is called with its examples, and
/// answers with what the document says that it may.
#[test]
fn every_operation_is_called_as_the_document_says() {
    let _turn = shared();
    let rig = Rig::new();
    let (_, document) = rig.ask("GET", "/api/v1/openapi.json", &[], None);
    let mut called = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let target = path.replace("{name}", "app").replace("{id}", "none");
            let body = operation["requestBody"].is_object().then(|| json!({}));
            let fields: &[(&str, &str)] =
                if id == "followEvents" { &[("Accept", "application/json")] } else { &[] };
            let (status, _) = rig.ask(&method.to_uppercase(), &target, fields, body.as_ref());
            let documented = operation["responses"].as_object().unwrap();
            assert!(documented.contains_key(&status.to_string()), "{id} answered {status}");
            assert!(status != 500 && status != 405, "{id} answered {status}");
            called += 1;
        }
    }
    assert!(called > 20, "only {called} operations");
}

/// Where schemathesis lies: made anew where it is not there.
fn schemathesis() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = root.join("target/schemathesis");
    let program = venv.join("bin/schemathesis");
    let run = |command: &mut Command| {
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    if !program.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        run(Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(root.join("tests/schemathesis/requirements.txt")));
    }
    program
}

#[test]
fn schemathesis_finds_nothing() {
    let _turn = alone();
    let program = schemathesis();
    let rig = Rig::new();
    let Target::Tcp(address) = rig.dock.admin() else { panic!("admin listens on TCP") };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(program)
        .current_dir(root.join("tests/schemathesis"))
        .env("WAKEDOCK_TEST_TOKEN_ID", &rig.token_id)
        .arg("run")
        .arg(root.join("docs/reference/openapi.json"))
        .args(["--url", &format!("http://{address}"), "--header"])
        .arg(format!("Authorization: Bearer {}", rig.token))
        .args(["--checks", "all", "--max-examples", "20", "--workers", "1", "--seed", "7"])
        .args(["--request-timeout", "20", "--suppress-health-check", "all", "--no-color"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    eprintln!(
        "figure: schemathesis: {}",
        said.lines().rev().find(|line| line.contains("generated")).unwrap_or("")
    );
}
