//! Who has no credentials gets nothing of the API; who is root, on the local socket, gets everything.

use serde_json::json;

use crate::harness::{Api, Operation, Request, WakeDock, operations, shared};

/// What is open to everybody: the way in.
const OPEN: &[(&str, &str)] = &[("POST", "/api/v1/auth/login"), ("POST", "/api/v1/auth/refresh")];

fn is_open(operation: &Operation) -> bool {
    OPEN.iter().any(|(method, path)| *method == operation.method && *path == operation.path)
}

fn dock() -> WakeDock {
    WakeDock::builder()
        .service(json!({ "name": "app", "hosts": ["app.test"], "container": "there-is-none", "port": 8080 }))
        .start()
}

#[test]
fn a_stranger_is_sent_away_from_every_operation_that_is_documented() {
    let _turn = shared();
    let dock = dock();
    let operations = operations(&dock.api());
    let before = dock.api().get("/api/v1/services");
    let nobody = Api::stranger(&dock);
    let forged = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290Iiwicm9sZSI6ImFkbWluIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
    let strangers = [
        ("nobody", nobody.clone()),
        ("a token without signature", nobody.clone().with_token(forged)),
        (
            "an API token that nobody made",
            nobody.clone().with_token("wd_0000000000000000000000000000000000000000"),
        ),
        ("an empty token", nobody.clone().with_token("")),
    ];
    let mut sent_away = 0;
    for operation in &operations {
        let body = (operation.method != "GET").then(|| json!({}));
        for (who, stranger) in &strangers {
            let (method, path) = (&operation.method, operation.filled("app"));
            let answer = stranger.ask(method, &path, body.as_ref());
            if is_open(operation) {
                assert!((400..500).contains(&answer.status()), "{who}: {method} {path}: {}", answer.text());
                continue;
            }
            assert_eq!(answer.status(), 401, "{who}: {method} {path}: {}", answer.text());
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method} {path}");
            assert!(answer.header("www-authenticate").is_some(), "{method} {path}: {:?}", answer.head);
            sent_away += 1;
        }
    }
    for open in OPEN {
        assert!(
            operations.iter().any(|one| (one.method.as_str(), one.path.as_str()) == *open),
            "{open:?} is gone"
        );
    }
    assert_eq!(dock.api().get("/api/v1/services")["items"][0]["phase"], before["items"][0]["phase"]);
    eprintln!("figure: {} operations, {sent_away} requests of strangers sent away", operations.len());
}

/// Neither a method that nobody documented, nor a way of writing a path, is a way around the door.
#[test]
fn there_is_no_way_around_the_door() {
    let _turn = shared();
    let dock = dock();
    let nobody = Api::stranger(&dock);
    let mut asked = 0;
    for operation in operations(&dock.api()) {
        let path = operation.filled("app");
        for method in ["HEAD", "OPTIONS", "TRACE", "PATCH", "PUT", "POST", "DELETE", "PROPFIND"] {
            if is_open(&Operation { method: method.to_owned(), ..operation.clone() }) {
                continue;
            }
            let answer = nobody.ask(method, &path, None);
            assert!(
                (400..500).contains(&answer.status()),
                "{method} {path}: {} {}",
                answer.status(),
                answer.text()
            );
            asked += 1;
        }
        let spellings = [
            format!("{path}/"),
            format!("/{path}"),
            path.replace("/api/", "/livez/../api/"),
            path.replace("/api/", "/%61pi/"),
            path.replace("/v1/", "/V1/"),
            path.replace("/v1/", "/v1//"),
            format!("http://127.0.0.1{path}"),
            format!("{path}?access_token=x"),
        ];
        for spelling in spellings {
            let request = nobody.request("GET", &spelling, None);
            let answer =
                request.send(nobody.target()).unwrap_or_else(|problem| panic!("{spelling}: {problem}"));
            assert!(
                (400..500).contains(&answer.status()),
                "{spelling}: {} {}",
                answer.status(),
                answer.text()
            );
            asked += 1;
        }
    }
    // And neither is another name: a page of somebody else's may not be told anything.
    for host in ["evil.example", "127.0.0.1.evil.example", "app.test"] {
        let answer = Request::get(host, "/api/v1/services").send(&dock.admin()).unwrap();
        assert_eq!(answer.status(), 421, "{host}: {}", answer.text());
    }
    eprintln!("figure: {asked} requests past the door refused");
}

#[test]
fn root_needs_no_password_on_the_local_socket() {
    let _turn = shared();
    let dock = dock();
    let api = dock.api();
    let mut answered = 0;
    for operation in operations(&api) {
        if operation.method != "GET" || operation.path == "/api/v1/events" {
            continue;
        }
        let path = operation.filled("app");
        // What is not about a service is about somebody who is not there.
        let wanted =
            if operation.filled("app") == operation.path || path.contains("/services/") { 200 } else { 404 };
        // There is no container, and thus no line of its log.
        if path.ends_with("/logs") {
            continue;
        }
        let answer = api.ask("GET", &path, None);
        assert_eq!(answer.status(), wanted, "{path}: {}", answer.text());
        answered += 1;
    }
    assert!(answered > 1);
}
