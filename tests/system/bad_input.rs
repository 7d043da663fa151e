//! Malformed configurations and malformed requests: a clear answer, and nobody else is hurt.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{App, Connection, H2Connection, Request, Target, WakeDock, command, shared};

const HOST: &str = "app.test";

/// What is wrong, and of each problem its key and its value as it is shown.
type Case = (&'static str, Value, &'static [(&'static str, &'static str)]);

fn service(change: Value) -> Value {
    let mut service = json!({ "name": "one", "hosts": ["one.test"], "container": "c", "port": 80 });
    for (key, value) in change.as_object().expect("an object") {
        service[key] = value.clone();
    }
    json!({ "services": [service] })
}

fn cases() -> Vec<Case> {
    vec![
        ("an unknown key", json!({ "proxi": {} }), &[("proxi", "{}")]),
        (
            "a bare number",
            service(json!({ "idle": { "stop_after": 15 } })),
            &[("services[0].idle.stop_after", "15")],
        ),
        (
            "a brace in a host",
            service(json!({ "hosts": ["a}b.test"] })),
            &[("services[0].hosts[0]", "a}b.test")],
        ),
        (
            "a host that opens a block",
            service(json!({ "hosts": ["a.test {"] })),
            &[("services[0].hosts[0]", "a.test {")],
        ),
        (
            "a newline in a host",
            service(json!({ "hosts": ["a.test\nrespond evil"] })),
            &[("services[0].hosts[0]", "a.test\\nrespond evil")],
        ),
        (
            "a placeholder as a host",
            service(json!({ "hosts": ["{env.HOME}"] })),
            &[("services[0].hosts[0]", "{env.HOME}")],
        ),
        (
            "two services with one host",
            json!({ "services": [
                { "name": "one", "hosts": ["same.test"], "container": "c", "port": 80 },
                { "name": "two", "hosts": ["SAME.test"], "container": "d", "port": 80 },
            ] }),
            &[("services[1].hosts", "same.test")],
        ),
        ("a port that is none", service(json!({ "port": 65536 })), &[("services[0].port", "65536")]),
        (
            "no container",
            json!({ "services": [{ "name": "one", "hosts": [], "port": 80 }] }),
            &[("services[0].container", "")],
        ),
        (
            "a container with a path",
            service(json!({ "container": "../etc" })),
            &[("services[0].container", "../etc")],
        ),
        ("a word that is none", service(json!({ "wait": "forever" })), &[("services[0].wait", "forever")]),
        (
            "a pause after the stop",
            service(json!({ "idle": { "stop_after": "1m", "pause_after": "1h" } })),
            &[("services[0].idle.pause_after", "1h")],
        ),
        (
            "an address that is none",
            json!({ "admin": { "listen": "localhost:http" } }),
            &[("admin.listen", "localhost:http")],
        ),
        (
            "a network that is none",
            json!({ "proxy": { "trusted_proxies": ["10.0.0.0/33"] } }),
            &[("proxy.trusted_proxies[0]", "10.0.0.0/33")],
        ),
        ("a list where a word belongs", json!({ "data_dir": ["a", "b"] }), &[("data_dir", "")]),
        (
            "several at once",
            json!({ "log": { "level": "loud" }, "caddy": { "tls": "maybe" }, "domain": "a b" }),
            &[("log.level", "loud"), ("caddy.tls", "maybe"), ("domain", "a b")],
        ),
    ]
}

/// Each is refused by every command that reads it, with key, value and what to do about it.
#[test]
fn malformed_configurations_are_refused_with_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml").display().to_string();
    let run = |arguments: &[&str]| {
        let output = command(arguments).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let cases = cases();
    for (name, config, problems) in &cases {
        std::fs::write(&path, config.to_string()).unwrap();
        let (code, out, err) = run(&["config", "check", "--json", "--config", &path]);
        assert_eq!((code, err.as_str()), (Some(64), ""), "{name}: {out}");
        let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{name}: {out}"));
        assert_eq!(report["ok"], false, "{name}");
        let found = report["problems"].as_array().unwrap();
        assert_eq!(found.len(), problems.len(), "{name}: {out}");
        for (key, value) in *problems {
            let problem = found.iter().find(|problem| problem["key"] == *key);
            let problem = problem.unwrap_or_else(|| panic!("{name}: nothing about {key} in {out}"));
            let word = |field: &str| problem[field].as_str().unwrap_or_default();
            let shown = word("value").contains(value) || word("reason").contains(value);
            assert!(shown, "{name}: {problem}");
            assert!(!word("reason").is_empty() && !word("mend").is_empty(), "{name}: {problem}");
            assert_eq!(problem["line"], 1, "{name}: {problem}");
        }
        for arguments in [&["serve"][..], &["config", "check"], &["config", "print"], &["caddyfile"]] {
            let (code, out, err) = run(&[arguments, &["--config", &path]].concat());
            assert_eq!((code, out.as_str()), (Some(64), ""), "{name}: {arguments:?}: {err}");
            for (key, value) in *problems {
                assert!(err.contains(key) && err.contains(value), "{name}: {arguments:?}: {err}");
            }
            assert!(err.contains("mend   ") && !err.contains("panicked"), "{name}: {err}");
        }
    }
    for text in ["services: [\n", "a: b: c", "services: !!binary x", "\u{0}", "- 1\n- 2", "&a [*a]"] {
        std::fs::write(&path, text).unwrap();
        let (code, _, err) = run(&["config", "check", "--config", &path]);
        assert_eq!(code, Some(64), "{text:?}: {err}");
        assert!(
            err.contains("config.yml") && err.contains("mend   ") && !err.contains("panicked"),
            "{text:?}: {err}"
        );
    }
    std::fs::write(&path, [0xFF, 0xFE, b'a']).unwrap();
    assert_eq!(run(&["config", "check", "--config", &path]).0, Some(64));
    std::fs::write(&path, service(json!({})).to_string()).unwrap();
    let (code, out, err) = run(&["config", "check", "--json", "--config", &path]);
    assert_eq!(code, Some(0), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["ok"], &report["problems"]), (&json!(true), &json!([])));
    eprintln!("figure: {} malformed configurations refused, each problem named", cases.len() + 7);
}

/// Sends bytes and reads to the end, or until nothing more comes.
fn exchange(target: &Target, bytes: &[u8]) -> Vec<u8> {
    let mut connection = Connection::open(target).unwrap();
    connection.set_patience(Duration::from_secs(2)).unwrap();
    // Whoever refuses early may close before everything is sent.
    let _ = connection.send(bytes);
    let _ = connection.finish_sending();
    let mut back = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = connection.read(&mut buffer) {
        back.extend(&buffer[..length]);
    }
    back
}

fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answer);
    let heads = text.match_indices("HTTP/1.1 ").map(|(at, _)| at + "HTTP/1.1 ".len());
    heads.filter_map(|at| text.get(at..at + 3)?.parse().ok()).collect()
}

#[test]
fn malformed_requests_get_an_answer_or_a_close_and_hurt_nobody() {
    let _turn = shared();
    let app = App::builder("victim").create();
    let mut dock = WakeDock::builder()
        .service(json!({ "name": "app", "hosts": [HOST], "container": app.name(), "port": app.port() }))
        .start();
    assert_eq!(dock.get(HOST, "/").status(), 200);
    let mut bystander = Connection::open(&dock.proxy()).unwrap();
    let upstream = |dock: &WakeDock| dock.metric("wakedock_requests_total", &[("by", "upstream")]).unwrap();

    let long = |count: usize| "x".repeat(count);
    let fields = |count: usize| (0..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n";
    // What may be answered; nothing at all, a mere close, always may.
    let cases: Vec<(&str, String, &[u16])> = vec![
        ("no host", "GET / HTTP/1.1\r\n\r\n".into(), &[400]),
        ("two hosts", "GET / HTTP/1.1\r\nHost: app.test\r\nHost: b.test\r\n\r\n".into(), &[400]),
        ("an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n".into(), &[400]),
        ("a host with a brace", "GET / HTTP/1.1\r\nHost: a{b}.test\r\n\r\n".into(), &[400]),
        ("a host with a blank", "GET / HTTP/1.1\r\nHost: app.test evil\r\n\r\n".into(), &[400]),
        ("a host with a user", "GET / HTTP/1.1\r\nHost: me@app.test\r\n\r\n".into(), &[400]),
        ("a host with a bad port", "GET / HTTP/1.1\r\nHost: app.test:99999\r\n\r\n".into(), &[400]),
        ("a host of 300 letters", format!("GET / HTTP/1.1\r\nHost: {}.test\r\n\r\n", long(300)), &[400]),
        (
            "another host in the target",
            "GET http://b.test/ HTTP/1.1\r\nHost: app.test\r\n\r\n".into(),
            &[400, 404],
        ),
        (
            "a giant field",
            format!("GET / HTTP/1.1\r\nHost: app.test\r\nX: {}\r\n\r\n", long(100_000)),
            &[431],
        ),
        ("a thousand fields", format!("GET / HTTP/1.1\r\nHost: app.test\r\n{}\r\n", fields(1000)), &[431]),
        ("a giant target", format!("GET /{} HTTP/1.1\r\nHost: app.test\r\n\r\n", long(40_000)), &[414, 431]),
        ("a bad method", "G@T / HTTP/1.1\r\nHost: app.test\r\n\r\n".into(), &[400]),
        (
            "a giant method",
            format!("{} / HTTP/1.1\r\nHost: app.test\r\n\r\n", long(100_000).to_uppercase()),
            &[400, 431],
        ),
        (
            "CONNECT",
            "CONNECT app.test:443 HTTP/1.1\r\nHost: app.test:443\r\n\r\n".into(),
            &[400, 404, 405, 501],
        ),
        ("a bad version", "GET / HTTP/9.9\r\nHost: app.test\r\n\r\n".into(), &[400, 505]),
        ("no HTTP", "\u{0}\u{1}\u{2}hello\r\n\r\n".into(), &[400]),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}".into(), &[400]),
        ("a nul in a field", "GET / HTTP/1.1\r\nHost: app.test\r\nX: a\u{0}b\r\n\r\n".into(), &[400]),
        ("a folded field", "GET / HTTP/1.1\r\nHost: app.test\r\nX: a\r\n b\r\n\r\n".into(), &[400]),
        (
            "a blank before the colon",
            format!(
                "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length : {}\r\n\r\n{smuggled}",
                smuggled.len()
            ),
            &[400],
        ),
        (
            "two lengths",
            format!(
                "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\nContent-Length: {}\r\n\r\n{smuggled}",
                smuggled.len()
            ),
            &[400],
        ),
        (
            "a list of lengths",
            format!(
                "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0, {}\r\n\r\n{smuggled}",
                smuggled.len()
            ),
            &[400],
        ),
        (
            "a signed length",
            format!("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: +0\r\n\r\n{smuggled}"),
            &[400],
        ),
        (
            "a coding before chunked",
            format!(
                "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{smuggled}"
            ),
            &[400, 501],
        ),
        (
            "an odd coding",
            format!(
                "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"
            ),
            &[400, 501],
        ),
        (
            "chunked in HTTP/1.0",
            format!(
                "POST / HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
            ),
            &[400],
        ),
    ];
    let before = upstream(&dock);
    for (name, request, allowed) in &cases {
        for target in [dock.proxy(), dock.proxy_unix()] {
            let began = Instant::now();
            let answer = exchange(&target, request.as_bytes());
            let seen = statuses(&answer);
            assert!(seen.len() <= 1, "{name}: answered {seen:?}");
            assert!(seen.iter().all(|status| allowed.contains(status)), "{name}: answered {seen:?}");
            assert!(began.elapsed() < Duration::from_secs(5), "{name}: took {:?}", began.elapsed());
        }
    }
    assert!((upstream(&dock) - before).abs() < 0.5, "some of it reached the application");

    // Of these the application may get the first part; what follows it is never a request.
    for (name, request) in [
        ("length and chunked", format!("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}")),
        ("a chunk without end", "POST /echo HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n".to_owned()),
        ("a chunk that is none", format!("POST /echo HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{smuggled}")),
        ("a body cut off", "POST /echo HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100\r\n\r\nabc".to_owned()),
    ] {
        let before = upstream(&dock);
        let seen = statuses(&exchange(&dock.proxy(), request.as_bytes()));
        assert!(seen.len() <= 1, "{name}: answered {seen:?}");
        assert!(upstream(&dock) - before < 1.5, "{name}: the application was asked twice");
    }
    for preface in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"] {
        let junk = [preface.as_bytes(), &[0xFF; 200]].concat();
        assert!(!String::from_utf8_lossy(&exchange(&dock.proxy(), &junk)).contains(" 200 "));
    }
    let h2 = H2Connection::open(&dock.proxy()).unwrap();
    assert_eq!(
        h2.get("a{b.test", "/").map_or(0, |answer| answer.status()) / 100 % 4,
        0,
        "an h2 host with a brace"
    );
    assert_eq!(h2.get(HOST, "/").unwrap().status(), 200);

    assert_eq!(
        bystander.exchange(&Request::get(HOST, "/")).unwrap().status(),
        200,
        "a connection from before"
    );
    assert!(!dock.log().contains("panicked"), "{}", dock.log());
    assert!(dock.process().ended().is_none());
    assert_eq!(dock.ask("/readyz").json()["status"], "ready");
    assert_eq!(dock.metric("wakedock_leases", &[("service", "app")]), Some(0.0));
    eprintln!(
        "figure: {} malformed requests, none reached the application, nobody else was hurt",
        2 * cases.len()
    );
}
