//! Bodies both ways: lengths, chunks, trailers, back-pressure, events, interim responses.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::rig::{Rig, Service, field, mirror, soon, until, upstream};

#[tokio::test]
async fn ten_megabytes_come_back_as_they_went() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let body: Vec<u8> = (0..10_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut client = rig.client().await;
    client.send(format!("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: {}\r\n\r\n", body.len())).await;
    client.send(&body).await;
    let head = client.head().await;
    let answer = client.body_of(&head).await;
    assert!(answer.ends_with(&body), "not byte for byte");
}

#[tokio::test]
async fn chunks_and_trailers_both_ways() {
    let service = Service::new("app", |_| {});
    let (address, _) = upstream(|mut wire, _| async move {
        let head = wire.head().await;
        assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
        assert_eq!(field(&head, "te"), Some("trailers"));
        assert_eq!(field(&head, "connection"), Some("TE"));
        let body = wire.through(": 42\r\n\r\n").await.to_lowercase();
        assert!(body.ends_with("0\r\nx-sum: 42\r\n\r\n"), "{body}");
        wire.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Done\r\n\r\n\
             3\r\nabc\r\n0\r\nX-Done: yes\r\n\r\n",
        )
        .await;
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client
        .send(
            "POST / HTTP/1.1\r\nHost: app.test\r\nTE: trailers\r\nConnection: TE\r\n\
             Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n",
        )
        .await;
    client.send("0\r\nX-Sum: 42\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!(field(&head, "trailer"), Some("X-Done"));
    let body = client.through("yes\r\n\r\n").await;
    assert_eq!(body.to_lowercase(), "3\r\nabc\r\n0\r\nx-done: yes\r\n\r\n");
}

/// Trailers are fields as well: an application that adds them to its own is not led astray.
#[tokio::test]
async fn trailers_forge_nothing() {
    const FORGED: &str = "X-Forwarded-For: evil\r\nX_Forwarded_Proto: evil\r\nForwarded: for=evil\r\n\
        X-Real-IP: evil\r\nX-Request-ID: evil\r\nX-WakeDock: evil\r\nConnection: evil\r\nHost: evil\r\n\
        Content-Length: 666\r\nTransfer-Encoding: evil\r\n";
    const NAMED: &str = "X-Forwarded-For, X_Forwarded_Proto, Forwarded, X-Real-IP, X-Request-ID, X-WakeDock, \
        Connection, Host, Content-Length, Transfer-Encoding, X-Sum";
    let service = Service::new("app", |_| {});
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (address, _) = upstream(move |mut wire, _| {
        let tell = tell.clone();
        async move {
            wire.head().await;
            tell.send(wire.through(": 42\r\n\r\n").await).unwrap();
            wire.send(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: {NAMED}\r\n\r\n\
                 3\r\nabc\r\n0\r\nX-WakeDock: evil\r\nConnection: evil\r\nContent-Length: 666\r\nX-Sum: 43\r\n\r\n",
            ))
            .await;
        }
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: app.test\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\
             Trailer: {NAMED}\r\n\r\n3\r\nabc\r\n0\r\n{FORGED}X-Sum: 42\r\n\r\n",
        ))
        .await;
    let seen = soon(told.recv()).await.unwrap();
    assert_eq!(seen.to_lowercase(), "3\r\nabc\r\n0\r\nx-sum: 42\r\n\r\n");
    client.head().await;
    let body = client.through("0\r\n").await + &client.through(": 43\r\n\r\n").await;
    assert_eq!(body.to_lowercase(), "3\r\nabc\r\n0\r\nx-sum: 43\r\n\r\n");
}

#[tokio::test]
async fn a_get_with_a_chunked_body_keeps_it() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let seen = rig
        .ask("GET / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        .await;
    assert!(seen.ends_with("abc"), "{seen}");
}

#[tokio::test]
async fn an_event_arrives_before_the_next_is_made() {
    let service = Service::new("app", |_| {});
    let (go, gone) = tokio::sync::watch::channel(false);
    let (address, _) = upstream(move |mut wire, _| {
        let mut gone = gone.clone();
        async move {
            wire.head().await;
            wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
            gone.wait_for(|go| *go).await.unwrap();
            wire.send("data: 2\n\n").await;
        }
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send("GET /events HTTP/1.1\r\nHost: app.test\r\nAccept: text/event-stream\r\n\r\n").await;
    client.through("data: 1\n\n").await;
    assert_eq!(service.handle.leases(), 1, "a stream that is open is use");
    go.send(true).unwrap();
    client.through("data: 2\n\n").await;
    client.through("0\r\n\r\n").await;
    until("the lease is back", || service.handle.leases() == 0).await;
}

/// Trap 5, warm: what the upstream does not take stays with the client.
#[tokio::test]
async fn a_slow_upstream_holds_the_client_back() {
    let service = Service::new("app", |_| {});
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        std::future::pending::<()>().await;
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000000000\r\n\r\n").await;
    let written = push(&mut client.stream).await;
    // Two pairs of socket buffers, and little of ours.
    assert!(written < 40_000_000, "{written} bytes went somewhere");
}

/// Writes until nobody takes it any more.
pub(super) async fn push(stream: &mut (impl tokio::io::AsyncWrite + Unpin)) -> usize {
    let chunk = vec![b'x'; 256 * 1024];
    let mut written = 0;
    while written < 200_000_000 {
        match tokio::time::timeout(Duration::from_millis(400), stream.write(&chunk)).await {
            Ok(n) => written += n.unwrap(),
            Err(_) => break,
        }
    }
    written
}

/// Trap 37: `100 Continue` to those that ask, and to nobody else.
#[tokio::test]
async fn interim_responses_only_when_asked_for() {
    let service = Service::new("app", |_| {});
    let (address, _) = upstream(|mut wire, _| async move {
        let head = wire.head().await;
        wire.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await;
        let body = wire.body_of(&head).await;
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())).await;
        wire.send(body).await;
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let fields = "Host: app.test\r\nContent-Length: 2\r\n";
    for (version, expect, interim) in [
        ("1.1", "", false),
        ("1.1", "Expect: 100-continue\r\n", true),
        ("1.0", "Expect: 100-continue\r\n", false),
    ] {
        let mut client = rig.client().await;
        client.send(format!("POST / HTTP/{version}\r\n{fields}{expect}\r\n")).await;
        if interim {
            assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
        } else {
            assert!(client.is_silent().await, "{version} {expect}");
        }
        client.send("ok").await;
        let head = client.head().await;
        assert!(head.contains(" 200 OK\r\n"), "{version} {expect}: {head}");
    }
}

#[tokio::test]
async fn an_answer_may_come_before_the_body_has_ended() {
    let service = Service::new("app", |_| {});
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly").await;
        wire.through("end").await;
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 8\r\n\r\nbegin").await;
    let head = client.head().await;
    assert_eq!(client.body_of(&head).await, b"early");
}

/// A client that is answered before its body has ended reads the answer when it has sent the rest:
/// a close with bytes unread would reset the connection, and the answer with it.
#[tokio::test]
async fn an_early_answer_is_read_by_a_client_that_goes_on() {
    let service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send("POST / HTTP/1.1\r\nHost: nobody.test\r\nContent-Length: 600000\r\n\r\nbegin").await;
    until("it is answered", || rig.unknown.requests(4, wakedock::metrics::AnsweredBy::Wakedock) == 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    for _ in 0..5 {
        client.send(vec![b'x'; 100_000]).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (answer, clean) = client.rest().await;
    assert!(clean && answer.starts_with(b"HTTP/1.1 404 "), "{}", String::from_utf8_lossy(&answer));
}

/// A client that has said all it has to say may close its sending half and still wants the answer.
#[tokio::test]
async fn a_half_closed_client_gets_its_answer() {
    let service = Service::new("app", |_| {});
    let (go, gone) = tokio::sync::watch::channel(false);
    let (address, _) = upstream(move |mut wire, _| {
        let mut gone = gone.clone();
        async move {
            wire.head().await;
            gone.wait_for(|go| *go).await.unwrap();
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            wire.rest().await;
        }
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send(super::rig::GET).await;
    until("the request is on its way", || service.handle.leases() == 1).await;
    client.stream.shutdown().await.unwrap();
    assert!(client.is_silent().await);
    go.send(true).unwrap();
    let (answer, clean) = client.rest().await;
    assert!(clean && answer.ends_with(b"ok"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn answers_without_a_body() {
    let service = Service::new("app", |_| {});
    let (address, _) = upstream(|mut wire, _| async move {
        loop {
            let head = wire.head().await;
            let answer = if head.starts_with("HEAD") {
                "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"
            } else if head.contains("/304") {
                "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"
            } else {
                "HTTP/1.1 204 No Content\r\n\r\n"
            };
            wire.send(answer).await;
        }
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    for (request, status) in [("HEAD /", "200"), ("GET /304", "304"), ("GET /204", "204"), ("HEAD /", "200")]
    {
        client.send(format!("{request} HTTP/1.1\r\nHost: app.test\r\n\r\n")).await;
        let head = soon(client.head()).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {head}");
        if request.starts_with("HEAD") {
            assert_eq!(field(&head, "content-length"), Some("1234"));
        }
    }
}
