//! Upstreams that fail, and what is tried again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use wakedock::domain::words::{Limit, Reason};
use wakedock::metrics::AnsweredBy;
use wakedock::supervisor::handle::Message;

use super::rig::{GET, Rig, Service, Wire, config, field, mirror, soon, upstream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const POST: &str = "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc";

fn reset(wire: Wire<TcpStream>) {
    SockRef::from(&wire.stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Trap 18: a kept connection that the upstream closes as the next request comes.
#[tokio::test]
async fn a_stale_connection_is_replaced_after_a_look_at_the_container() {
    let (address, connections) = upstream(|mut wire, number| async move {
        wire.head().await;
        wire.send(OK).await;
        wire.head().await;
        if number == 0 {
            return reset(wire);
        }
        wire.send(OK).await;
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let (handle, looked) = service.rechecks();
    let rig = Rig::new(&handle);
    let mut client = rig.client().await;
    for _ in 0..2 {
        client.send(GET).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        client.body_of(&head).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    assert_eq!(looked.load(Ordering::SeqCst), 1);
}

/// Trap 18: what may have been carried out is not sent twice.
#[tokio::test]
async fn a_post_that_was_sent_is_not_sent_again() {
    let requests = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&requests);
    let (address, _) = upstream(move |mut wire, _| {
        let counter = std::sync::Arc::clone(&counter);
        async move {
            let head = wire.head().await;
            wire.body_of(&head).await;
            counter.fetch_add(1, Ordering::SeqCst);
            reset(wire);
        }
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let (handle, _) = service.rechecks();
    let rig = Rig::new(&handle);
    for (request, times) in [
        (POST.to_owned(), 1),
        ("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n".to_owned(), 2),
        (POST.replace("POST", "PUT"), 3),
        (GET.to_owned(), 5),
    ] {
        let answer = rig.ask(&request).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        assert_eq!(field(&answer, "x-wakedock"), Some("upstream-error"));
        assert_eq!(field(&answer, "proxy-status"), Some("wakedock; error=connection_terminated"));
        assert_eq!(requests.load(Ordering::SeqCst), times, "{request}");
    }
    assert_eq!(handle.metrics().refusals(Reason::UpstreamError), 4);
    assert_eq!(handle.metrics().requests(5, AnsweredBy::Wakedock), 4);
}

/// Readiness `none`: refused for a moment, then there.
#[tokio::test]
async fn a_refused_connection_is_tried_again_until_somebody_listens() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let (handle, looked) = service.rechecks();
    let rig = Rig::new(&handle);
    let mut client = rig.client().await;
    client.send(POST).await;
    super::rig::until("it was refused", || looked.load(Ordering::SeqCst) == 1).await;
    let listener = TcpListener::bind(address).await.unwrap();
    let (stream, _) = soon(listener.accept()).await.unwrap();
    let mut wire = Wire::new(stream);
    wire.through("abc").await;
    wire.send(OK).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(looked.load(Ordering::SeqCst), 1, "one look is enough while it runs");
}

#[tokio::test]
async fn nobody_listens_for_ever() {
    // Bound and not listening: refused, and nobody else can take the port meanwhile.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = silent.local_addr().unwrap();
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let (handle, _) = service.rechecks();
    let rig = Rig::new(&handle);
    let answer = rig.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(field(&answer, "proxy-status"), Some("wakedock; error=connection_refused"));
    assert_eq!(handle.leases(), 0);
}

/// Trap 20: the look finds the container gone; the request is held again, and goes to the new
/// address.
#[tokio::test]
async fn a_container_that_is_gone_is_woken_again() {
    let dead = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let (alive, _) = mirror().await;
    let mut service = Service::new("app", |_| {});
    service.open(dead, 1);
    let rig = Rig::new(&service.handle);
    let supervisor = async {
        let Message::Recheck { upstream, done } = service.message().await else { panic!("no look") };
        assert_eq!(upstream.address, dead);
        service.handle.gate().close();
        done.send(()).unwrap();
        let answer = service.demand().await;
        service.open(alive, 2);
        answer.send(Ok(service.handle.lease().unwrap())).unwrap();
    };
    let (answer, ()) = tokio::join!(rig.ask(POST), supervisor);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("abc"), "{answer}");
    assert!(field(&answer, "server-timing").unwrap().starts_with("wake;dur="));
}

/// Trap 20: a kept connection of an earlier wake is not used, even at the same address.
#[tokio::test]
async fn connections_of_an_earlier_wake_are_not_used() {
    let (address, connections) = mirror().await;
    let service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    for (generation, expected) in [(1, 1), (1, 1), (2, 2), (2, 2), (3, 3)] {
        service.open(address, generation);
        client.send(GET).await;
        let head = client.head().await;
        client.body_of(&head).await;
        assert_eq!(connections.load(Ordering::SeqCst), expected, "generation {generation}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_come() {
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        wire.rest().await;
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let mut config = config();
    config.timeouts.response_head = Some(Duration::from_millis(100));
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let answer = rig.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert_eq!(field(&answer, "x-wakedock"), Some("upstream-timeout"));
    assert_eq!(field(&answer, "proxy-status"), Some("wakedock; error=http_response_timeout"));
}

#[tokio::test]
async fn an_answer_that_is_not_http() {
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        wire.send("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let answer = rig.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(field(&answer, "proxy-status"), Some("wakedock; error=http_protocol_error"));
}

/// An answer that is cut short there is seen as cut short here.
#[tokio::test]
async fn a_cut_answer_is_seen_as_cut() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        for version in ["1.1", "1.0"] {
            let (address, _) = upstream(move |mut wire, _| async move {
                wire.head().await;
                wire.send(answer).await;
            })
            .await;
            let service = Service::new("app", |_| {});
            service.open(address, 1);
            let rig = Rig::new(&service.handle);
            let mut client = rig.client().await;
            client.send(format!("GET / HTTP/{version}\r\nHost: app.test\r\n\r\n")).await;
            let (seen, clean) = client.rest().await;
            let seen = String::from_utf8(seen).unwrap();
            assert!(!seen.ends_with("0\r\n\r\n"), "{seen}");
            assert!(!clean, "HTTP/{version}: the end must not look like an end: {seen}");
        }
    }
}

/// The client's broken body is the client's fault.
#[tokio::test]
async fn a_body_that_stalls_is_the_clients_fault() {
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        wire.rest().await;
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let mut config = config();
    config.timeouts.body = Some(Duration::from_millis(100));
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut client = rig.client().await;
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 9\r\n\r\nabc").await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert_eq!(field(&head, "x-wakedock"), Some("bad-request"));
}

/// Time limits of a client that says nothing, or only the beginning of something.
#[tokio::test]
async fn idle_and_slow_clients_are_closed() {
    let (address, _) = mirror().await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let mut config = config();
    config.timeouts.keep_alive = Some(Duration::from_millis(150));
    config.timeouts.head = Some(Duration::from_millis(150));
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    for before in ["", "PRI * HT", "GET / HTTP/1.1\r\nHost: ", GET] {
        let mut client = rig.client().await;
        client.send(before).await;
        let (seen, clean) = client.rest().await;
        assert!(clean, "{before:?}");
        assert_eq!(seen.starts_with(b"HTTP/1.1 200 "), before == GET, "{before:?}");
    }
    super::rig::until("all are gone", || rig.plane.connections() == 0).await;
    assert_eq!(rig.cuts.of(Limit::Head), 2, "the two that had begun");
}

/// The beginning of a head has the time of a head, and not that of an idle connection: as the first
/// that a connection says (found by the soak), and behind a whole request.
#[tokio::test]
async fn a_head_that_is_begun_is_a_slow_head() {
    let (address, _) = mirror().await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let mut config = config();
    config.timeouts.head = Some(Duration::from_millis(150));
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    for (before, answers) in [("", 0), (GET, 1)] {
        let mut client = rig.client().await;
        client.send(before.to_owned() + "GET / HTTP/1.1\r\nHost: ").await;
        let closed = tokio::time::timeout(super::rig::PATIENCE / 2, client.rest()).await;
        let (seen, clean) = closed.expect("closed before the patience with idle connections is over");
        let answered = String::from_utf8_lossy(&seen).matches("HTTP/1.1 200 ").count();
        assert!(clean && answered == answers, "{before:?}");
    }
    // A head in two pieces leaves nothing begun behind it.
    let mut client = rig.client().await;
    for pieces in [GET.split_at(9), GET.split_at(20)] {
        client.send(pieces.0).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.send(pieces.1).await;
        let head = client.head().await;
        client.body_of(&head).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    // An empty line behind a request, which some clients send, begins nothing.
    let mut client = rig.client().await;
    for _ in 0..2 {
        client.send(GET.to_owned() + "\r\n").await;
        let head = client.head().await;
        client.body_of(&head).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

/// A client that does not read does not hold its place for ever.
#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await;
        super::bodies::push(&mut wire.stream).await;
        wire.rest().await;
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let mut config = config();
    config.timeouts.write = Some(Duration::from_millis(200));
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut client = rig.client().await;
    client.send(GET).await;
    client.head().await;
    super::rig::until("it is cut", || service.handle.leases() == 0).await;
    super::rig::until("it is gone", || rig.plane.connections() == 0).await;
    assert_eq!(rig.cuts.of(Limit::Write), 1);
}

/// Trap 19: no time limit on the whole of an answer. It flows for many times as long as any
/// timeout, and goes on.
#[tokio::test]
async fn a_film_is_longer_than_any_timeout() {
    const PARTS: usize = 12;
    let (address, _) = upstream(|mut wire, _| async move {
        wire.head().await;
        wire.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {PARTS}\r\n\r\n")).await;
        for _ in 0..PARTS {
            tokio::time::sleep(Duration::from_millis(60)).await;
            wire.send("x").await;
        }
        wire.rest().await;
    })
    .await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let mut config = config();
    let short = Some(Duration::from_millis(150));
    config.timeouts.write = short;
    config.timeouts.body = short;
    config.timeouts.keep_alive = short;
    config.timeouts.response_head = short;
    config.timeouts.head = short;
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut client = rig.client().await;
    client.send(GET).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    client.through(&"x".repeat(PARTS)).await;
    super::rig::until("the lease ends with the film", || service.handle.leases() == 0).await;
}

/// What each of these paths does to a request, and what the client is told.
const FAULTS: &[(&str, &str, &str)] = &[
    ("/reset-before", "502", "connection_terminated"),
    ("/closed-before", "502", "connection_terminated"),
    ("/reset-within", "502", "connection_terminated"),
    ("/closed-within", "502", "connection_terminated"),
    ("/garbage", "502", "http_protocol_error"),
    ("/endless-interim", "502", "http_protocol_error"),
    ("/endless-line", "502", "http_response_header_section_size"),
    ("/endless-fields", "502", "http_response_header_section_size"),
    ("/silent", "504", "http_response_timeout"),
    ("/dripping-interim", "504", "http_response_timeout"),
    ("/dripping-fields", "504", "http_response_timeout"),
];

async fn misbehave(mut wire: Wire<TcpStream>) {
    while let Some(head) = wire.try_head().await {
        let again = async |wire: &mut Wire<TcpStream>, first: &str, text: String, pause: u64| {
            wire.send(first).await;
            while tokio::io::AsyncWriteExt::write_all(&mut wire.stream, text.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        };
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        match head.split(' ').nth(1).unwrap() {
            "/reset-before" => return reset(wire),
            "/closed-before" => return,
            "/reset-within" => {
                wire.send("HTTP/1.1 200 OK\r\nContent-Le").await;
                // Seen before the reset is.
                tokio::time::sleep(Duration::from_millis(20)).await;
                return reset(wire);
            }
            "/closed-within" => return wire.send("HTTP/1.1 200 OK\r\nContent-Le").await,
            "/garbage" => return wire.send("\x16\x03\x01\x02\r\n\r\n").await,
            "/endless-interim" => return again(&mut wire, "", interim.repeat(100), 0).await,
            "/endless-line" => {
                return again(&mut wire, "HTTP/1.1 200 OK\r\nX: ", "x".repeat(64 * 1024), 0).await;
            }
            "/endless-fields" => {
                return again(&mut wire, "HTTP/1.1 200 OK\r\n", "X: y\r\n".repeat(10_000), 0).await;
            }
            "/dripping-interim" => return again(&mut wire, "", interim.to_owned(), 20).await,
            "/dripping-fields" => {
                return again(&mut wire, "HTTP/1.1 200 OK\r\n", "X: y\r\n".to_owned(), 20).await;
            }
            "/silent" => drop(wire.rest().await),
            _ => wire.send(OK).await,
        }
    }
}

/// Each fault: what the client is told, how soon, and that its next request is answered.
#[tokio::test]
async fn every_fault_has_its_answer_in_time_and_the_next_request_works() {
    let (address, _) = upstream(|wire, _| misbehave(wire)).await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let (handle, _) = service.rechecks();
    let mut config = config();
    config.timeouts.response_head = Some(Duration::from_millis(300));
    let rig = Rig::with(&config, &[("app.test", None, &handle)]);
    let mut client = rig.client().await;
    for (path, status, error) in FAULTS {
        // Also over a connection that is kept: what is stale must not be taken for it.
        for kept in [false, true] {
            if kept {
                client.send(GET).await;
                let head = client.head().await;
                assert!(head.starts_with("HTTP/1.1 200 "), "before {path}: {head}");
                client.body_of(&head).await;
            }
            let began = wakedock::clock::now();
            client.send(GET.replace("/x", path)).await;
            let head = client.head().await;
            let took = wakedock::clock::now().since(began);
            client.body_of(&head).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}");
            assert_eq!(field(&head, "proxy-status"), Some(&*format!("wakedock; error={error}")), "{path}");
            assert!(took < Duration::from_millis(1500), "{path}: {took:?}");
            client.send(GET).await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 200 "), "after {path}: {head}");
            client.body_of(&head).await;
        }
    }
    super::rig::until("all leases are back", || handle.leases() == 0).await;
}

/// No way leads there: the kernel says so at once, without a packet.
#[tokio::test]
async fn an_address_that_cannot_be_reached() {
    let service = Service::new("app", |_| {});
    service.open("255.255.255.255:80".parse().unwrap(), 1);
    let (handle, looked) = service.rechecks();
    let rig = Rig::new(&handle);
    let began = wakedock::clock::now();
    let answer = rig.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(field(&answer, "proxy-status"), Some("wakedock; error=destination_ip_unroutable"));
    assert!(
        wakedock::clock::now().since(began) < Duration::from_secs(3),
        "{:?}",
        wakedock::clock::now().since(began)
    );
    assert_eq!(looked.load(Ordering::SeqCst), 1);
    let (address, _) = mirror().await;
    handle.gate().open(
        wakedock::domain::address::Upstream { address, generation: 2 },
        wakedock::domain::time::Moment::START,
    );
    assert!(rig.ask(GET).await.starts_with("HTTP/1.1 200 "));
}
