//! Too much, and too slow.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::rig::{Ask, Rig, exchange, parse, soon};

#[tokio::test]
async fn oversized_bodies_are_refused() {
    let rig = Rig::new().await;
    let said = Ask::new("POST", "/api/v1/auth/login").field("Content-Length", "1048577");
    let answer = rig.ask(&said).await;
    assert_eq!((answer.status, answer.problem().as_str()), (413, "too-large"));
    // One that does not say how long it is is read as far as it may be.
    let mut request = String::from(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    );
    for _ in 0..20 {
        request += &format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    }
    request += "0\r\n\r\n";
    let answer = soon(exchange(TcpStream::connect(rig.address).await.unwrap(), &request)).await;
    assert_eq!((answer.status, answer.problem().as_str()), (413, "too-large"));
}

#[tokio::test]
async fn too_many_fields_and_too_long_heads_are_refused() {
    let rig = Rig::new().await;
    let many = (0..150).fold(Ask::new("GET", "/livez"), |ask, n| ask.field(&format!("X-{n}"), "x"));
    assert_eq!(rig.ask(&many).await.status, 431);
    let long = Ask::new("GET", "/livez").field("X-Long", &"x".repeat(64 * 1024));
    assert_eq!(rig.ask(&long).await.status, 431);
}

/// Slowloris: a head that never ends, and nobody else notices.
#[tokio::test]
async fn slow_heads_are_let_go_and_hold_nobody_up() {
    let rig = Rig::new().await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nX-Slow: ").await.unwrap();
        slow.push(stream);
    }
    assert_eq!(rig.get("/livez").await.status, 200);
    // The time for a head is ten seconds.
    let mut first = slow.swap_remove(0);
    let mut bytes = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(15), first.read_to_end(&mut bytes)).await;
    assert!(ended.is_ok(), "still open");
    if !bytes.is_empty() {
        assert_eq!(parse(&String::from_utf8(bytes).unwrap()).status, 408);
    }
}

/// A hundred connections of one stranger are enough; the others still get in.
#[tokio::test]
async fn one_stranger_does_not_take_all_connections() {
    let rig = Rig::with(|config| config.trusted_proxies = Vec::new()).await;
    let mut all = Vec::new();
    for _ in 0..140 {
        all.push(TcpStream::connect(rig.address).await.unwrap());
    }
    let mut turned_away = 0;
    for stream in &mut all {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut byte)).await;
        turned_away += usize::from(matches!(read, Ok(Ok(0) | Err(_))));
    }
    assert_eq!(turned_away, 12);
    assert_eq!(rig.local(&Ask::new("GET", "/livez")).await.status, 200, "the local socket has its own");
    drop(all);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(rig.get("/livez").await.status, 200);
}

/// The head of a log-in, and one byte of its body.
async fn begin_log_in(rig: &Rig, from: Option<&str>) -> TcpStream {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let from = from.map(|from| format!("X-Forwarded-For: {from}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\n{from}Content-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The story: one byte of a body held a place for half a minute, and a thousand held all of them.
#[tokio::test]
async fn a_stranger_s_body_comes_soon_or_not_at_all() {
    let rig = Rig::new().await;
    let began = wakedock::clock::now();
    let mut slow = begin_log_in(&rig, None).await;
    let mut said = Vec::new();
    soon(slow.read_to_end(&mut said)).await.unwrap();
    let took = wakedock::clock::now().since(began);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!((400..500).contains(&parse(&String::from_utf8_lossy(&said)).status));
    let long =
        Ask::new("POST", "/api/v1/auth/login").json(&serde_json::json!({ "username": "x".repeat(17_000) }));
    assert_eq!(rig.ask(&long).await.status, 413);
}

/// Behind a proxy there are as many clients as it says: one of them does not take it from the others.
#[tokio::test]
async fn one_client_of_a_proxy_does_not_take_all_of_it() {
    let rig = Rig::new().await;
    let mut slow = Vec::new();
    for _ in 0..64 {
        slow.push(begin_log_in(&rig, Some("192.0.2.9")).await);
    }
    let from = |address: &str| Ask::new("GET", "/livez").field("X-Forwarded-For", address);
    let mut last = rig.ask(&from("192.0.2.9")).await;
    for _ in 0..100 {
        if last.status == 429 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        last = rig.ask(&from("192.0.2.9")).await;
    }
    assert_eq!((last.status, last.problem().as_str()), (429, "too-many-requests"));
    assert_eq!(last.field("retry-after"), Some("1"));
    assert_eq!(rig.ask(&from("192.0.2.10")).await.status, 200);
    assert_eq!(rig.get("/livez").await.status, 200);
    drop(slow);
}
