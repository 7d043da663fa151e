//! Requests for a service that is not ready.

use std::time::Duration;

use wakedock::domain::service::WaitMode;
use wakedock::domain::words::{Reason, Refusal, WakeCause};
use wakedock::supervisor::handle::{AskedBy, Message};

use super::bodies::push;
use super::rig::{GET, NAVIGATION, Rig, Service, field, mirror, until, upstream};

#[tokio::test]
async fn a_program_is_held_until_the_service_is_ready() {
    let mut service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send(GET).await;
    let answer = service.demand().await;
    assert_eq!(service.handle.held(), 1);
    assert!(client.is_silent().await);
    service.open(address, 1);
    answer.send(Ok(service.handle.lease().unwrap())).unwrap();
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let timing = field(&head, "server-timing").expect("a request that waited says how long");
    let waited: f64 = timing.strip_prefix("wake;dur=").unwrap().parse().unwrap();
    assert!(waited >= 100.0, "{waited}");
    client.body_of(&head).await;
    client.send(GET).await;
    assert_eq!(field(&client.head().await, "server-timing"), None, "the next one did not wait");
}

/// Who woke this: whoever asks for a wake says which request and for which host, held or paged.
#[tokio::test]
async fn a_demand_names_its_request() {
    let asked = |by: &AskedBy| (by.request_id.clone().unwrap(), by.host.clone().unwrap());
    let mut service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send(GET).await;
    let Message::Demand { by, answer, .. } = service.message().await else { panic!("no demand") };
    answer.send(Err(Refusal::Disabled)).unwrap();
    let head = client.head().await;
    assert_eq!(Some(&*asked(&by).0), field(&head, "x-request-id"), "{head}");
    assert_eq!(&*asked(&by).1, "app.test");

    let mut paged = Service::new("app", |spec| spec.wait = WaitMode::Page);
    let rig = Rig::new(&paged.handle);
    let page = rig.ask(NAVIGATION).await;
    let Message::Wake { by, .. } = paged.message().await else { panic!("no wake") };
    assert_eq!(Some(&*asked(&by).0), field(&page, "x-request-id"), "{page}");
}

/// Trap 2: the client takes its demand along, and nothing else.
#[tokio::test]
async fn a_client_that_goes_away_withdraws() {
    let mut service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send(GET).await;
    let Message::Demand { id, answer: _unanswered, .. } = service.message().await else {
        panic!("no demand")
    };
    drop(client);
    let Message::Withdraw(withdrawn) = service.message().await else { panic!("not withdrawn") };
    assert_eq!(withdrawn, id);
    until("nobody is held", || service.handle.held() == 0).await;
    assert!(service.mailbox.try_recv().is_err());
}

/// Trap 4, the page: a navigation waits `page_after`, gets the page, and the wake goes on.
#[tokio::test]
async fn a_navigation_gets_the_page_after_a_while() {
    let mut service = Service::new("app", |spec| {
        spec.page_after = Duration::from_millis(50);
        spec.waiting_page.message = Some("<patience>".into());
    });
    let rig = Rig::new(&service.handle);
    let page = rig.ask(NAVIGATION).await;
    assert!(page.starts_with("HTTP/1.1 503 "), "{page}");
    for (name, value) in [
        ("x-wakedock", "waking"),
        ("cache-control", "no-store"),
        ("x-robots-tag", "noindex"),
        ("content-type", "text/html; charset=utf-8"),
        ("proxy-status", "wakedock; error=destination_unavailable"),
    ] {
        assert_eq!(field(&page, name), Some(value), "{name}");
    }
    assert!(field(&page, "retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert!(page.contains("&lt;patience&gt;") && !page.contains("<patience>"));
    assert!(!page.contains("secret-container"), "trap 9");
    assert!(matches!(service.message().await, Message::Demand { .. }));
    let mut rest = [service.message().await, service.message().await];
    rest.sort_by_key(|message| matches!(message, Message::Wake { .. }));
    assert!(
        matches!(rest, [Message::Withdraw(_), Message::Wake { cause: WakeCause::Request, .. }]),
        "{rest:?}"
    );
    assert_eq!(service.handle.metrics().refusals(Reason::Waking), 1);
}

#[tokio::test]
async fn a_fast_wake_shows_no_page() {
    let mut service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    let rig = Rig::new(&service.handle);
    let (page, ()) = tokio::join!(rig.ask(NAVIGATION), service.admit(address));
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
}

#[tokio::test]
async fn wait_page_and_wait_hold() {
    let mut paged = Service::new("app", |spec| spec.wait = WaitMode::Page);
    let rig = Rig::new(&paged.handle);
    assert_eq!(field(&rig.ask(NAVIGATION).await, "x-wakedock"), Some("waking"));
    assert!(matches!(paged.message().await, Message::Wake { .. }), "a page needs no demand");
    let mut held = Service::new("app", |spec| {
        spec.wait = WaitMode::Hold;
        spec.page_after = Duration::ZERO;
    });
    let (address, _) = mirror().await;
    let rig = Rig::new(&held.handle);
    let (answer, ()) = tokio::join!(rig.ask(NAVIGATION), held.admit(address));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Trap 6: with no place among the held there is a page for people and a refusal for programs.
#[tokio::test]
async fn nobody_is_held_over_the_bound() {
    let mut service = Service::new("app", |spec| spec.max_held = 0);
    let rig = Rig::new(&service.handle);
    let refused = rig.ask(GET).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert_eq!(field(&refused, "x-wakedock"), Some("overloaded"));
    assert!(field(&refused, "retry-after").is_some());
    assert_eq!(field(&rig.ask(NAVIGATION).await, "x-wakedock"), Some("waking"));
    assert!(matches!(service.message().await, Message::Wake { .. }));
}

#[tokio::test]
async fn refusals_become_answers() {
    let retry_after = Duration::from_millis(2500);
    let cases = [
        (Refusal::Failed { retry_after }, "503", "failed", Some("3")),
        (Refusal::BackingOff { retry_after }, "503", "backing-off", Some("3")),
        (Refusal::Disabled, "503", "disabled", Some("60")),
        (Refusal::Draining, "503", "draining", Some("5")),
        (Refusal::EngineUnavailable, "503", "engine-unavailable", Some("5")),
        (Refusal::HoldTimeout, "504", "hold-timeout", None),
        (Refusal::UnknownHost, "404", "unknown-host", None),
    ];
    for (refusal, status, reason, retry) in cases {
        for request in [GET, NAVIGATION] {
            let mut service = Service::new("app", |spec| spec.wait = WaitMode::Hold);
            let rig = Rig::new(&service.handle);
            let supervisor = async {
                service.demand().await.send(Err(refusal)).unwrap();
            };
            let (answer, ()) = tokio::join!(rig.ask(request), supervisor);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            assert_eq!(field(&answer, "x-wakedock"), Some(reason));
            assert_eq!(field(&answer, "retry-after"), retry, "{reason}");
            let html = field(&answer, "content-type").unwrap().starts_with("text/html");
            assert_eq!(html, request == NAVIGATION, "{reason}");
            assert!(!answer.contains("secret-container"));
        }
    }
}

#[tokio::test]
async fn patience_ends() {
    let mut service = Service::new("app", |spec| spec.hold_timeout = Duration::from_millis(50));
    let rig = Rig::new(&service.handle);
    let answer = rig.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert_eq!(field(&answer, "x-wakedock"), Some("hold-timeout"));
    assert!(matches!(service.message().await, Message::Demand { .. }));
    assert!(matches!(service.message().await, Message::Withdraw(_)));
}

#[tokio::test]
async fn looking_ahead_wakes_nothing() {
    let mut service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    for ahead in ["Sec-Purpose: prefetch;prerender", "Purpose: prefetch"] {
        let request = NAVIGATION.replace("\r\n\r\n", &format!("\r\n{ahead}\r\n\r\n"));
        let answer = rig.ask(&request).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert_eq!(field(&answer, "x-wakedock"), Some("prefetch"));
    }
    assert!(service.mailbox.try_recv().is_err(), "nobody asked for anything");
    let (address, _) = mirror().await;
    service.open(address, 1);
    let ready = rig.ask(&NAVIGATION.replace("\r\n\r\n", "\r\nPurpose: prefetch\r\n\r\n")).await;
    assert!(ready.starts_with("HTTP/1.1 200 "), "a service that is ready answers: {ready}");
}

/// Trap 5: while the request is held, its body stays in the client's socket.
#[tokio::test]
async fn a_held_body_is_not_read() {
    let mut service = Service::new("app", |_| {});
    let (address, connections) = upstream(|mut wire, _| async move {
        wire.head().await;
        let mut left = 3_000_000;
        while left > 0 {
            left -= wire.exactly(left.min(100_000)).await.len();
        }
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000000000\r\n\r\n").await;
    let written = push(&mut client.stream).await;
    // One pair of socket buffers.
    assert!(written < 20_000_000, "{written} bytes went somewhere");
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 0);
    service.admit(address).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

/// Traps 5 and 37: `100 Continue` only when the upstream is there to take the body.
#[tokio::test]
async fn a_held_client_is_not_told_to_continue() {
    let mut service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client
        .send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        .await;
    let answer = service.demand().await;
    assert!(client.is_silent().await);
    service.open(address, 1);
    answer.send(Ok(service.handle.lease().unwrap())).unwrap();
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("ok").await;
    let head = client.head().await;
    assert!(client.body_of(&head).await.ends_with(b"ok"));
}

/// Watching is neither demand nor activity.
#[tokio::test]
async fn events_tell_how_the_wake_goes() {
    let mut service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    client.send("GET /.wakedock/events HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(field(&head, "content-type"), Some("text/event-stream"));
    let first = client.through("\n\n\r\n").await;
    assert!(
        first.contains("event: phase\ndata: {\"phase\":\"asleep\",\"elapsed_ms\":0,\"usual_ms\":null}\n\n"),
        "{first}"
    );
    assert!(service.mailbox.try_recv().is_err());
    assert_eq!((service.handle.leases(), service.handle.held()), (0, 0));
    drop(client);
    service.open(mirror().await.0, 1);
    until("nobody watches", || rig.plane.connections() == 0).await;
    assert_eq!(service.handle.leases(), 0);
}
