//! Everything that is not a hop's own business goes through as it was sent, both ways.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use wakedock::proxy::ProxySettings;

use super::rig::{Rig, Service, config, field, mirror, upstream};

/// An upstream that shows each head as it came, and gives these answers in turn.
async fn recording(answers: Vec<Vec<u8>>) -> (Service, Rig, mpsc::UnboundedReceiver<Vec<u8>>) {
    let (tell, told) = mpsc::unbounded_channel();
    let answers = Arc::new(answers);
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (address, _) = upstream(move |mut wire, _| {
        let (tell, answers, next) = (tell.clone(), Arc::clone(&answers), Arc::clone(&next));
        async move {
            loop {
                let head = wire.bytes_through("\r\n\r\n").await;
                tell.send(head).unwrap();
                let Some(answer) = answers.get(next.fetch_add(1, Ordering::SeqCst)) else { return };
                wire.send(answer).await;
                if answer.starts_with(b"HTTP/1.0") {
                    return;
                }
            }
        }
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    (service, rig, told)
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn lines<'a>(head: &'a [u8], name: &str) -> Vec<&'a [u8]> {
    head.split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let (own, value) = line.split_at_checked(name.len())?;
            let value = value.strip_prefix(b":")?;
            own.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
        })
        .collect()
}

#[tokio::test]
async fn targets_and_methods_go_through_as_they_were_sent() {
    let (_service, rig, mut told) = recording(vec![EMPTY.into(); 20]).await;
    let mut client = rig.client().await;
    for (sent, seen) in [
        ("GET /a/%2e%2E/../b/./c%2Fd%zz%00?x=%20&&y=a?b;c", ""),
        ("GET //double//slash/", ""),
        ("GET /\u{fc}ml\u{e4}ut?\u{20ac}", ""),
        ("GET /?", ""),
        ("GET /a\"b{c}|d^e\\f[g]?h'i(j){k}|l^m`n\\o[p]", ""),
        ("BREW /pot", ""),
        ("M-SEARCH /x", ""),
        ("PROPFIND /dav/", ""),
        ("get /lower", ""),
        ("TRACE /t", ""),
        ("OPTIONS *", ""),
        ("GET http://app.test/abs/../%41?q", "GET /abs/../%41?q"),
        ("GET HTTP://app.test:7080?q", "GET /?q"),
    ] {
        client.send(format!("{sent} HTTP/1.1\r\nHost: app.test\r\n\r\n")).await;
        let answer = client.head().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{sent}: {answer}");
        let head = told.recv().await.unwrap();
        let expected = if seen.is_empty() { sent } else { seen };
        let line = format!("{expected} HTTP/1.1\r\n");
        assert!(head.starts_with(line.as_bytes()), "{sent}: {}", String::from_utf8_lossy(&head));
    }
}

#[tokio::test]
async fn fields_of_a_request_go_through_as_they_were_sent() {
    let (_service, rig, mut told) = recording(vec![EMPTY.into()]).await;
    let mut client = rig.client().await;
    let mut request = b"GET / HTTP/1.1\r\nhOsT: app.test\r\nX-Many: 1\r\nx-other: o\r\nx-many: 2\r\nX-MANY: 3\r\n\
        X-Empty:\r\nX-Blank:   \t\r\nX-Inner: a  b\tc\r\nIf-None-Match: \"a\", W/\"b\"\r\nRange: bytes=0-1,5-\r\n\
        If-Range: \"a\"\r\nAccept-Encoding: br;q=1.0, *;q=0\r\nAuthorization: Basic \xe4\r\nCookie: a=1; b=\"2\"\r\n\
        Expect: nothing\r\nMax-Forwards: 3\r\nVia: 1.0 before\r\nUser-Agent: x\r\nX-Obs: "
        .to_vec();
    let obs: Vec<u8> = (0x80..=0xff).collect();
    request.extend(&obs);
    request.extend(b"\r\n\r\n");
    client.send(&request).await;
    client.head().await;
    let head = told.recv().await.unwrap();
    assert_eq!(lines(&head, "x-many"), [b"1", b"2", b"3"]);
    assert_eq!(lines(&head, "x-empty"), [b""]);
    assert_eq!(lines(&head, "x-blank"), [b""]);
    assert_eq!(lines(&head, "x-inner"), [b"a  b\tc"]);
    assert_eq!(lines(&head, "x-obs"), [&*obs]);
    assert_eq!(lines(&head, "authorization"), [b"Basic \xe4"]);
    for same in [
        "x-other: o",
        "If-None-Match: \"a\", W/\"b\"",
        "Range: bytes=0-1,5-",
        "If-Range: \"a\"",
        "Accept-Encoding: br;q=1.0, *;q=0",
        "Cookie: a=1; b=\"2\"",
        "Expect: nothing",
        "Max-Forwards: 3",
        "Via: 1.0 before",
    ] {
        let (name, value) = same.split_once(": ").unwrap();
        assert_eq!(lines(&head, name), [value.as_bytes()], "{}", String::from_utf8_lossy(&head));
    }
}

#[tokio::test]
async fn fields_of_an_answer_go_through_as_they_were_sent() {
    let mut answer = b"HTTP/1.1 299 As You Like\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: old/1.0 (x)\r\n\
        ETag: W/\"a\"\r\nContent-Encoding: br\r\nContent-Range: bytes 0-1/5\r\nAccept-Ranges: bytes\r\n\
        Set-Cookie: a=1; Path=/\r\nX-Between: 1\r\nset-cookie: b=2, c\r\nSet-Cookie:\r\nVary: a\r\nVary: b\r\n\
        Age: 7\r\nWarning: 110 - \"x\"\r\nX-Empty:\r\nContent-Length: 2\r\nX-Obs: "
        .to_vec();
    let obs: Vec<u8> = (0x80..=0xff).collect();
    answer.extend(&obs);
    answer.extend(b"\r\n\r\n\0\xff");
    let (_service, rig, _told) = recording(vec![answer]).await;
    let mut client = rig.client().await;
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    let head = client.bytes_through("\r\n\r\n").await;
    assert_eq!(client.exactly(2).await, b"\0\xff");
    assert_eq!(lines(&head, "set-cookie"), [&b"a=1; Path=/"[..], b"b=2, c", b""]);
    assert_eq!(lines(&head, "vary"), [b"a", b"b"]);
    assert_eq!(lines(&head, "x-obs"), [&*obs]);
    assert_eq!(lines(&head, "x-empty"), [b""]);
    assert_eq!(lines(&head, "date").len(), 1);
    assert_eq!(lines(&head, "server").len(), 1);
    assert_eq!(lines(&head, "content-length").len(), 1);
    let text = String::from_utf8_lossy(&head);
    assert!(text.starts_with("HTTP/1.1 299 As You Like\r\n"), "{text}");
    for same in [
        "Date: Thu, 01 Jan 1970 00:00:00 GMT",
        "Server: old/1.0 (x)",
        "ETag: W/\"a\"",
        "Content-Encoding: br",
        "Content-Range: bytes 0-1/5",
        "Accept-Ranges: bytes",
        "Age: 7",
        "Warning: 110 - \"x\"",
    ] {
        let (name, value) = same.split_once(": ").unwrap();
        assert_eq!(lines(&head, name), [value.as_bytes()], "{text}");
    }
}

/// What hyper's parser makes of a reason phrase beyond ASCII: nothing, and nothing else.
#[tokio::test]
async fn a_reason_beyond_ascii_is_left_out() {
    let answer = b"HTTP/1.1 299 s\xfc\xdf\r\nContent-Length: 2\r\n\r\nok".to_vec();
    let (_service, rig, _told) = recording(vec![answer]).await;
    let mut client = rig.client().await;
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 299 \r\n"), "{head}");
    assert_eq!(client.body_of(&head).await, b"ok");
}

/// HEAD, 204, 205, 304 and odd codes: what has no body has none here, and the connection goes on.
#[tokio::test]
async fn answers_without_a_body_keep_their_heads() {
    let cases = [
        ("HEAD", "200 OK", "Content-Length: 1234\r\nETag: \"a\"", ""),
        ("HEAD", "404 Not Found", "Content-Length: 9", ""),
        ("GET", "204 No Content", "X-A: 1", ""),
        ("GET", "205 Reset Content", "Content-Length: 0", ""),
        ("GET", "304 Not Modified", "ETag: \"a\"\r\nContent-Location: /x", ""),
        ("GET", "200 OK", "Content-Length: 0", ""),
        ("GET", "206 Partial Content", "Content-Range: bytes 1-2/9\r\nContent-Length: 2", "bc"),
        ("GET", "416 Range Not Satisfiable", "Content-Range: bytes */9\r\nContent-Length: 0", ""),
        ("GET", "999 Odd", "Content-Length: 2", "ok"),
    ];
    let answers = cases
        .iter()
        .map(|(_, status, fields, body)| format!("HTTP/1.1 {status}\r\n{fields}\r\n\r\n{body}").into_bytes())
        .collect();
    let (_service, rig, _told) = recording(answers).await;
    let mut client = rig.client().await;
    for (method, status, fields, body) in cases {
        client.send(format!("{method} / HTTP/1.1\r\nHost: app.test\r\n\r\n")).await;
        let head = client.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{status}: {head}");
        for line in fields.split("\r\n") {
            let (name, value) = line.split_once(": ").unwrap();
            assert_eq!(field(&head, name), Some(value), "{status}: {head}");
        }
        assert_eq!(field(&head, "transfer-encoding"), None, "{status}: {head}");
        assert_eq!(client.exactly(body.len()).await, body.as_bytes());
    }
}

/// A body that ends with its connection has an end of its own for the client.
#[tokio::test]
async fn an_answer_without_a_length() {
    let answer = b"HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nto the end".to_vec();
    let (_service, rig, _told) = recording(vec![answer; 2]).await;
    let mut client = rig.client().await;
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
    assert_eq!(client.body_of(&head).await, b"to the end");
    client.send("GET / HTTP/1.0\r\nHost: app.test\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!(field(&head, "transfer-encoding"), None, "HTTP/1.0 has no chunks: {head}");
    assert_eq!(client.rest().await, (b"to the end".to_vec(), true));
}

/// Who may stay, and who is closed.
#[tokio::test]
async fn keep_alive_and_close_by_version() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    for (version, connection, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: x, Close\r\n", false),
        ("1.1", "Connection: close\r\nConnection: keep-alive\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: close\r\n", false),
    ] {
        let request = format!("GET / HTTP/{version}\r\nHost: app.test\r\n{connection}\r\n");
        let mut client = rig.client().await;
        client.send(&request).await;
        let head = client.head().await;
        client.body_of(&head).await;
        if stays {
            client.send(&request).await;
            let head = client.head().await;
            assert!(head.contains(" 200 OK\r\n"), "{request}: {head}");
            assert_eq!(field(&head, "connection"), (version == "1.0").then_some("keep-alive"), "{head}");
        } else {
            assert_eq!(client.rest().await, (Vec::new(), true), "{request}");
        }
    }
}

/// Trap 33 in every spelling: underscores, several lines, named by `Connection`.
#[tokio::test]
async fn fields_of_ours_cannot_be_forged() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let names = [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Forwarded-Prefix",
        "Forwarded",
        "X-Real-IP",
        "X-Request-ID",
        "X-WakeDock",
    ];
    let mut forged = String::new();
    for name in names {
        for spelled in [
            name.to_owned(),
            name.to_uppercase(),
            name.replace('-', "_"),
            name.replacen('-', "_", 1),
            name.replace('-', "."),
            name.replacen('-', "~", 1),
        ] {
            forged += &format!("{spelled}: evil\r\n");
        }
    }
    let named = names.join(", ");
    for connection in [String::new(), format!("Connection: {named}, Host\r\n")] {
        let seen = rig.ask(&format!("GET / HTTP/1.1\r\nHost: app.test\r\n{forged}{connection}\r\n")).await;
        assert!(seen.starts_with("HTTP/1.1 200 ") && !seen.contains("evil"), "{seen}");
        assert_eq!(field(&seen, "x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(field(&seen, "x-forwarded-proto"), Some("http"));
        assert_eq!(field(&seen, "x-forwarded-host"), Some("app.test"));
        assert_eq!(field(&seen, "host"), Some("app.test"));
        let (_, upstream_head) = seen.split_once("\r\n\r\n").unwrap();
        assert_eq!(field(upstream_head, "x-request-id").map(str::len), Some(32), "{seen}");
        for name in ["x-forwarded-port", "x-forwarded-server", "forwarded", "x-real-ip", "x-wakedock"] {
            assert_eq!(field(&seen, name), None, "{seen}");
        }
    }
    // A proxy that is believed speaks for itself, in the one spelling that is its own.
    let mut trusting = config();
    trusting.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    rig.settings.store(Arc::new(ProxySettings::new(&trusting, false)));
    let seen = rig
        .ask(
            "GET / HTTP/1.1\r\nHost: app.test\r\nX_Forwarded_For: evil\r\nX-Forwarded_Proto: evil\r\n\
             X_Request_ID: evil\r\nX.Real-IP: evil\r\nX_WakeDock: evil\r\nX-WakeDock: evil\r\nForwarded: for=1.2.3.4\r\n\r\n",
        )
        .await;
    assert!(!seen.contains("evil"), "{seen}");
    assert_eq!(field(&seen, "forwarded"), Some("for=1.2.3.4"));
}

/// Trap 17: a body keeps its length even where `Connection` names the field that tells it.
#[tokio::test]
async fn a_body_keeps_its_length_whatever_connection_names() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let seen = rig
        .ask(
            "POST / HTTP/1.1\r\nHost: app.test\r\nConnection: content-length, transfer-encoding, host\r\n\
             Content-Length: 3\r\n\r\nabc",
        )
        .await;
    assert!(seen.starts_with("HTTP/1.1 200 ") && seen.ends_with("abc"), "{seen}");
}
