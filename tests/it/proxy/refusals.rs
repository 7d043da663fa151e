//! One meaning or none: what is no request by RFC 9112 is refused in our own words, wherever its
//! bytes are split, and the upstream never sees it.

use std::sync::atomic::Ordering;

use tokio::net::TcpStream;
use wakedock::domain::words::Reason;
use wakedock::metrics::AnsweredBy;

use super::rig::{GET, Rig, Service, Wire, config, field, mirror, until, upstream};

/// A request with these lines after a good first one.
fn with(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n\r\n")
}

fn first(line: &str) -> String {
    format!("{line}\r\nHost: app.test\r\n\r\n")
}

fn malformed() -> Vec<(u16, String)> {
    let bad = |requests: Vec<String>| requests.into_iter().map(|request| (400, request));
    let mut all: Vec<(u16, String)> = bad(vec![
        // Lengths (RFC 9112, 6.2 and 6.3).
        with("Content-Length: 3\r\nTransfer-Encoding: chunked"),
        with("Transfer-Encoding: chunked\r\nContent-Length: 3"),
        with("Content-Length: 3\r\nContent-Length: 3"),
        with("Content-Length: 3\r\nContent-Length: 4"),
        with("Content-Length: 3, 3"),
        with("Content-Length: +3"),
        with("Content-Length: -3"),
        with("Content-Length: 0x3"),
        with("Content-Length: 3 3"),
        with("Content-Length:"),
        with("Content-Length: 99999999999999999999"),
        // Transfer codings (6.1).
        with("Transfer-Encoding: gzip, chunked"),
        with("Transfer-Encoding: chunked, gzip"),
        with("Transfer-Encoding: chunked, chunked"),
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        with("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
        with("Transfer-Encoding: identity"),
        with("Transfer-Encoding: xchunked"),
        with("Transfer-Encoding: \"chunked\""),
        with("Transfer-Encoding: chunked;q=1"),
        with("Transfer-Encoding: chunked\x0b"),
        with("Transfer-Encoding:"),
        "POST / HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        // Field lines (5).
        with("X-A: 1\r\n folded"),
        with("X-A: 1\r\n\tfolded"),
        " X-A: 1".to_owned() + &with("X-B: 2"),
        with("X-A : 1"),
        with("X-A\t: 1"),
        with(": nameless"),
        with("no colon"),
        with("X(A): 1"),
        with("X\u{e9}: 1"),
        with("X-A: a\rb"),
        with("X-A: a\r\r\nX-B: b"),
        with("X-A: a\nX-B: b"),
        with("X-A: a\0b"),
        with("X-A: a\x01b"),
        with("X-A: a\x7fb"),
        "GET / HTTP/1.1\nHost: app.test\n\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: app.test\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\n Host: app.test\r\n\r\n".to_owned(),
        // Host (3.2).
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        with("Host: app.test"),
        with("host: other.test"),
        // Request line (3).
        first("GET  / HTTP/1.1"),
        first("GET /  HTTP/1.1"),
        first("GET / HTTP/1.1 "),
        first("GET\t/ HTTP/1.1"),
        first("GET /a b HTTP/1.1"),
        first("GET / http/1.1"),
        first("GET / HTTP/1"),
        first("GET / HTTP/1.10"),
        first("GET / HTTP/11"),
        first("GET / HTTPS/1.1"),
        first("GET /"),
        first("GET"),
        first("G@T / HTTP/1.1"),
        first(" GET / HTTP/1.1"),
        "GET /\r\n".to_owned(),
        "\nGET / HTTP/1.1\r\nHost: app.test\r\n\r\n".to_owned(),
        "\r\n".repeat(5) + GET,
        "\x16\x03\x01\x02\x00\x01".to_owned(),
        // Targets (3.2).
        first("GET app.test HTTP/1.1"),
        first("GET app.test:80 HTTP/1.1"),
        first("CONNECT app.test:80 HTTP/1.1"),
        first("CONNECT / HTTP/1.1"),
        first("GET * HTTP/1.1"),
        first("HEAD * HTTP/1.1"),
        first("GET *x HTTP/1.1"),
        first("GET ?x HTTP/1.1"),
        first("GET http:///x HTTP/1.1"),
        first("GET http://u@app.test/ HTTP/1.1"),
        first("GET http://app.test:99999/ HTTP/1.1"),
        first("GET ftp://app.test/ HTTP/1.1"),
        first("GET /a#b HTTP/1.1"),
        first("GET /<a> HTTP/1.1"),
        first("GET /\x7f HTTP/1.1"),
    ])
    .collect();
    for host in [
        "",
        "user@app.test",
        "app.test/x",
        "app test",
        "app.test:8o",
        "app.test:99999",
        "a,b",
        "[::1",
        "app..test",
        ".app.test",
        "app.test..",
    ] {
        all.push((400, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")));
        all.push((400, format!("GET http://app.test/ HTTP/1.1\r\nHost: {host}\r\n\r\n")));
    }
    for version in ["2.0", "3.0", "1.2", "0.9"] {
        all.push((400, first(&format!("GET / HTTP/{version}"))));
    }
    let long = "a".repeat(40_000);
    all.push((414, first(&format!("GET /{long} HTTP/1.1"))));
    all.push((414, format!("GET /{long}")));
    all.push((431, with(&format!("X-A: {long}\r\nX-B: {long}"))));
    all.push((431, format!("GET / HTTP/1.1\r\nX-A: {long}{long}")));
    all.push((431, with(&"X-A: 1\r\n".repeat(250))));
    all
}

/// What every refusal of ours carries, and that the connection ends with it.
async fn refused(client: &mut Wire<TcpStream>, status: u16, what: &str) {
    let head = client.head().await;
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{what:?}: {head}");
    let reason = if matches!(status, 414 | 431) { "too-large" } else { "bad-request" };
    assert_eq!(field(&head, "x-wakedock"), Some(reason), "{what:?}: {head}");
    assert_eq!(field(&head, "proxy-status"), Some("wakedock; error=http_request_error"), "{what:?}");
    assert_eq!(field(&head, "connection"), Some("close"), "{what:?}: {head}");
    assert_eq!(field(&head, "x-request-id").map(str::len), Some(32), "{what:?}: {head}");
    let length: usize = field(&head, "content-length").unwrap().parse().unwrap();
    let (body, clean) = client.rest().await;
    let sent = if what.starts_with("HEAD") { 0 } else { length };
    assert!(clean && body.len() == sent, "{what:?}: {:?}", String::from_utf8_lossy(&body));
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_our_own_words() {
    let service = Service::new("app", |_| {});
    let (address, connections) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let cases = malformed();
    for (status, request) in &cases {
        let mut client = rig.client().await;
        client.send(request).await;
        refused(&mut client, *status, request).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0, "the upstream saw one of them");
    let count = cases.len() as u64;
    assert_eq!(rig.unknown.refusals(Reason::BadRequest) + rig.unknown.refusals(Reason::TooLarge), count);
    assert_eq!(
        rig.unknown.requests(4, AnsweredBy::Wakedock) + rig.unknown.requests(5, AnsweredBy::Wakedock),
        count
    );
}

/// Every bound but the sizes, byte by byte: what matters is what comes, not when.
#[tokio::test]
async fn it_does_not_matter_how_the_bytes_are_split() {
    let service = Service::new("app", |_| {});
    let (address, connections) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let bad: Vec<_> = malformed().into_iter().filter(|(_, request)| request.len() < 200).collect();
    for (status, request) in bad.iter().step_by(5) {
        let mut client = rig.client().await;
        client.stream.set_nodelay(true).unwrap();
        for byte in request.as_bytes() {
            client.send([*byte]).await;
            tokio::task::yield_now().await;
        }
        refused(&mut client, *status, request).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    let mut client = rig.client().await;
    client.stream.set_nodelay(true).unwrap();
    let request = "\r\nPOST /split HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: Chunked\r\n\r\n\
                   5;a=\"b;\\\"\"\r\nhello\r\n0\r\nX-T: 1\r\n\r\n";
    for byte in request.as_bytes() {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(client.body_of(&head).await.ends_with(b"hello"));
}

/// What was pipelined before is answered first.
#[tokio::test]
async fn earlier_requests_are_answered_before_the_refusal() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let post = "POST /2 HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc";
    let bad = with("X-A : 1");
    for apart in [false, true] {
        let mut client = rig.client().await;
        if apart {
            for part in [GET, post, bad.as_str()] {
                client.send(part).await;
            }
        } else {
            client.send([GET, post, bad.as_str(), GET].concat()).await;
        }
        for path in ["GET /x ", "POST /2 "] {
            let head = client.head().await;
            let seen = client.body_of(&head).await;
            assert!(seen.starts_with(path.as_bytes()), "{}", String::from_utf8_lossy(&seen));
        }
        refused(&mut client, 400, &bad).await;
    }
}

/// A refusal arrives although the client has much more to say: a close with bytes unread would
/// reset the connection, and the answer with it.
#[tokio::test]
async fn a_refusal_is_read_to_its_end_by_a_client_that_goes_on() {
    let service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send(with("Content-Length: 1, 2") + &"x".repeat(300_000)).await;
    refused(&mut client, 400, "a long one").await;
}

fn broken_chunks() -> Vec<&'static str> {
    vec![
        "x\r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\rXabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "3;\r\nabc\r\n0\r\n\r\n",
        "3;a=\r\nabc\r\n0\r\n\r\n",
        "3;a=\"b\r\nabc\r\n0\r\n\r\n",
        "3;a=b c\r\nabc\r\n0\r\n\r\n",
        "3;a\nb\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nX-A : 1\r\n\r\n",
        "3\r\nabc\r\n0\r\nX-A: 1\r\n folded\r\n\r\n",
        "3\r\nabc\r\n0\r\nX-A: 1\n\r\n",
        "3\r\nabc\r\n0\r\n\rX",
        "3\r\nabc\r\n0\r\nX-A: a\0\r\n\r\n",
    ]
}

/// A client's broken body is the client's fault: 400, the upstream connection closed, and the next
/// request on a fresh one.
#[tokio::test]
async fn a_broken_body_is_the_clients_fault() {
    let (address, connections) = upstream(|mut wire, _| async move {
        let Some(head) = wire.try_head().await else { return };
        if head.starts_with("GET") {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
        // A POST gets no answer: its body never ends.
        let (rest, _) = wire.rest().await;
        assert!(!rest.windows(5).any(|window| window == b"\r\n0\r\n"), "the body must not look whole");
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let (handle, _) = service.rechecks();
    let rig = Rig::new(&handle);
    let head = "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut made = 0;
    for chunks in broken_chunks() {
        for apart in [false, true] {
            let mut client = rig.client().await;
            if apart {
                client.send(head).await;
                until("it is on its way", || connections.load(Ordering::SeqCst) > made).await;
                client.send(chunks).await;
            } else {
                client.send([head, chunks].concat()).await;
            }
            refused(&mut client, 400, chunks).await;
            until("the lease is back", || handle.leases() == 0).await;
            made += 1;
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), made, "none was used again");
    assert!(rig.ask(GET).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(handle.metrics().refusals(Reason::BadRequest), made as u64);
    assert_eq!(handle.metrics().refusals(Reason::UpstreamError), 0);
}

/// The same, by a client that closes before its body has ended.
#[tokio::test]
async fn a_body_that_ends_early_is_the_clients_fault() {
    use tokio::io::AsyncWriteExt;
    let (address, _) = upstream(|mut wire, _| async move {
        wire.rest().await;
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    for body in ["Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let mut client = rig.client().await;
        client.send(format!("POST / HTTP/1.1\r\nHost: app.test\r\n{body}")).await;
        client.stream.shutdown().await.unwrap();
        refused(&mut client, 400, body).await;
        assert_eq!(service.handle.metrics().refusals(Reason::UpstreamError), 0);
    }
}

/// What follows a request to leave HTTP waits for the answer: it is the next request where the
/// upstream declines, and checked like one.
#[tokio::test]
async fn what_follows_a_declined_upgrade_is_checked() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let upgrade = "GET /1 HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    for (next, fine) in [(GET.to_owned(), true), (with("X-A : 1"), false)] {
        let mut client = rig.client().await;
        client.send([upgrade, &next].concat()).await;
        let head = client.head().await;
        assert!(client.body_of(&head).await.starts_with(b"GET /1 "));
        if fine {
            let head = client.head().await;
            assert!(client.body_of(&head).await.starts_with(b"GET /x "));
        } else {
            refused(&mut client, 400, &next).await;
        }
    }
}

/// Where the upstream agrees, it is the new protocol's, untouched.
#[tokio::test]
async fn what_follows_an_accepted_upgrade_goes_through() {
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").await;
        wire.through("\n\0\rearly").await;
        wire.send("seen").await;
        wire.rest().await;
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client
        .send("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n\n\0\rearly")
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.through("seen").await;
}

/// The limits are the configured ones.
#[tokio::test]
async fn the_bounds_of_a_head_are_exact() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let mut config = config();
    config.limits.head = 1024;
    config.limits.fields = 5;
    config.limits.target = 100;
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let target = |length: usize| first(&format!("GET /{} HTTP/1.1", "a".repeat(length - 1)));
    let fields = |count: usize| with(&vec!["X: 1"; count - 1].join("\r\n"));
    let head = |length: usize| with(&format!("X: {}", "a".repeat(length - with("X: ").len())));
    assert_eq!(head(1024).len(), 1024);
    for (within, over, status) in
        [(target(100), target(101), 414), (fields(5), fields(6), 431), (head(1024), head(1025), 431)]
    {
        let answer = rig.ask(&within).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let mut client = rig.client().await;
        client.send(&over).await;
        refused(&mut client, status, &over).await;
    }
    // Those of a body's trailers are the same; its extensions may come to 8 KiB.
    let chunked = |extension: usize, trailers: &str| {
        let extension =
            if extension == 0 { String::new() } else { ";".to_owned() + &"a".repeat(extension - 1) };
        with("Transfer-Encoding: chunked") + &format!("1{extension}\r\nx\r\n0\r\n{trailers}\r\n")
    };
    let long = |length: usize| format!("X: {}\r\n", "a".repeat(length - "X: \r\n\r\n".len()));
    for (within, over) in [
        (chunked(0, &"X: 1\r\n".repeat(5)), chunked(0, &"X: 1\r\n".repeat(6))),
        (chunked(0, &long(1024)), chunked(0, &long(1026))),
        (chunked(8000, ""), chunked(8300, "")),
    ] {
        let answer = rig.ask(&within).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let mut client = rig.client().await;
        client.send(&over).await;
        refused(&mut client, 400, &over).await;
    }
}
