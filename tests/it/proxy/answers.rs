//! The same on the way back: an upstream's answer that is broken, or could be read in two ways, is
//! a 502; where its head is out, it is cut. Its connection is never used again.

use std::sync::atomic::Ordering;

use tokio::net::TcpStream;
use wakedock::domain::words::Reason;

use super::rig::{Rig, Service, Wire, field, soon, upstream};

fn ask(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n\r\n")
}

/// An upstream that gives this answer below `/bad` and stays open; elsewhere it tells which of its
/// connections it is.
async fn serve(mut wire: Wire<TcpStream>, number: usize, bad: Vec<u8>) {
    while let Some(head) = wire.try_head().await {
        wire.body_of(&head).await;
        if head.contains(" /bad ") {
            wire.send(&bad).await;
        } else {
            wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}")).await;
        }
    }
}

fn ok(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")
}

#[tokio::test]
async fn a_head_with_two_meanings_or_none_is_a_502() {
    const PROTOCOL: &str = "http_protocol_error";
    const CODING: &str = "http_response_transfer_coding";
    const SIZE: &str = "http_response_header_section_size";
    let cases: Vec<(String, &str)> = vec![
        (ok("Content-Length: 5\r\nTransfer-Encoding: chunked") + "0\r\n\r\n", CODING),
        (ok("Transfer-Encoding: chunked\r\nContent-Length: 5") + "0\r\n\r\n", CODING),
        (ok("Transfer-Encoding: gzip, chunked") + "0\r\n\r\n", CODING),
        (ok("Transfer-Encoding: chunked, gzip"), CODING),
        (ok("Transfer-Encoding: identity"), CODING),
        (ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked") + "0\r\n\r\n", CODING),
        (ok("Content-Length: 2\r\nContent-Length: 2") + "ok", PROTOCOL),
        (ok("Content-Length: 2\r\nContent-Length: 3") + "ok", PROTOCOL),
        (ok("Content-Length: 2, 2") + "ok", PROTOCOL),
        (ok("Content-Length: +2") + "ok", PROTOCOL),
        (ok("Content-Length: -2") + "ok", PROTOCOL),
        (ok("Content-Length:") + "ok", PROTOCOL),
        (ok("Content-Length: 99999999999999999999") + "ok", PROTOCOL),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: x\r\n\r\n".to_owned(), PROTOCOL),
        (ok("X-A: 1\r\n folded\r\nContent-Length: 0"), PROTOCOL),
        (ok("X-A : 1\r\nContent-Length: 0"), PROTOCOL),
        (ok("X-A: a\rb\r\nContent-Length: 0"), PROTOCOL),
        (ok("X-A: a\0b\r\nContent-Length: 0"), PROTOCOL),
        (ok("no colon\r\nContent-Length: 0"), PROTOCOL),
        (ok(": 1\r\nContent-Length: 0"), PROTOCOL),
        ("hello\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/1.1200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), PROTOCOL),
        (ok(&vec!["X-A: 1"; 500].join("\r\n")), SIZE),
        ("HTTP/1.1 200 OK\r\nX-A: ".to_owned() + &"a".repeat(1_000_000), SIZE),
        ("HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000), PROTOCOL),
        ("\r\nHTTP/1.1 103 Early Hints\nX-A: 1\n\n".repeat(10_000), PROTOCOL),
    ];
    for (bad, error) in &cases {
        let what = &bad[..bad.len().min(100)];
        let answer = bad.clone().into_bytes();
        let (address, connections) = upstream(move |wire, number| serve(wire, number, answer.clone())).await;
        let service = Service::new("app", |_| {});
        service.open(address, 1);
        let (handle, _) = service.rechecks();
        let rig = Rig::new(&handle);
        let mut client = rig.client().await;
        for (path, number) in [("/good", "0"), ("/bad", ""), ("/good", "1")] {
            client.send(ask(path)).await;
            let head = client.head().await;
            let body = client.body_of(&head).await;
            if path == "/good" {
                assert!(head.starts_with("HTTP/1.1 200 "), "{what:?}: {head}");
                assert_eq!(body, number.as_bytes(), "{what:?}");
                continue;
            }
            assert!(head.starts_with("HTTP/1.1 502 "), "{what:?}: {head}");
            assert_eq!(field(&head, "x-wakedock"), Some("upstream-error"), "{what:?}");
            let expected = format!("wakedock; error={error}");
            assert_eq!(field(&head, "proxy-status"), Some(expected.as_str()), "{what:?}");
        }
        assert_eq!(connections.load(Ordering::SeqCst), 2, "{what:?}");
        assert_eq!(handle.metrics().refusals(Reason::UpstreamError), 1, "{what:?}");
    }
}

/// Where the head is out, the answer must not look whole.
#[tokio::test]
async fn a_broken_body_is_cut() {
    for chunks in [
        "zz\r\n",
        "-1\r\n",
        "3\r\nabcX",
        "3\r\nabc\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "3\r\nabc\r\n0\r\nX-A : 1\r\n\r\n",
    ] {
        let bad = ok("Transfer-Encoding: chunked\r\nTrailer: X-A") + chunks;
        let (address, connections) =
            upstream(move |wire, number| serve(wire, number, bad.clone().into_bytes())).await;
        let service = Service::new("app", |_| {});
        service.open(address, 1);
        let rig = Rig::new(&service.handle);
        let mut client = rig.client().await;
        client.send(ask("/bad")).await;
        let (seen, clean) = client.rest().await;
        let seen = String::from_utf8(seen).unwrap();
        assert!(!clean && !seen.contains("\r\n0\r\n"), "{chunks:?}: {seen}");
        // On whichever worker.
        for _ in 0..6 {
            let good = rig.ask(&ask("/good")).await;
            assert!(good.starts_with("HTTP/1.1 200 ") && !good.ends_with('0'), "{chunks:?}: {good}");
        }
        assert!(connections.load(Ordering::SeqCst) > 1, "{chunks:?}");
    }
}

/// Bytes behind an answer are nobody's: the client never sees them, and the next request, whatever
/// it is, has a connection of its own.
#[tokio::test]
async fn bytes_behind_an_answer_are_never_the_next_answer() {
    let extra = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    for (method, bad) in [
        ("GET", format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{extra}")),
        ("GET", format!("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n{extra}")),
        ("GET", format!("HTTP/1.1 204 No Content\r\n\r\n{extra}")),
        ("GET", format!("HTTP/1.1 304 Not Modified\r\n\r\n{extra}")),
        ("GET", format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{extra}")),
        ("HEAD", format!("HTTP/1.1 200 OK\r\nContent-Length: 49\r\n\r\n{extra}")),
    ] {
        for next in ["GET", "POST"] {
            for _ in 0..10 {
                let answer = bad.clone().into_bytes();
                let (address, _) = upstream(move |wire, number| serve(wire, number, answer.clone())).await;
                let service = Service::new("app", |_| {});
                service.open(address, 1);
                let (handle, _) = service.rechecks();
                let rig = Rig::new(&handle);
                let mut client = rig.client().await;
                // Pipelined: it goes out as soon as the first is answered.
                let next_request =
                    format!("{next} /good HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n");
                client.send(format!("{method} /bad HTTP/1.1\r\nHost: app.test\r\n\r\n{next_request}")).await;
                let head = client.head().await;
                if method == "GET" && head.starts_with("HTTP/1.1 200 ") {
                    client.body_of(&head).await;
                }
                let head = soon(client.head()).await;
                assert!(head.starts_with("HTTP/1.1 200 "), "{next} after {bad:?}: {head}");
                assert_eq!(client.body_of(&head).await, b"1", "{next} after {bad:?}");
            }
        }
    }
}
