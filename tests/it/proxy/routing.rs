//! Which service a request goes to, and what is said of its sender.

use wakedock::domain::words::Reason;
use wakedock::metrics::AnsweredBy;
use wakedock::proxy::ProxySettings;

use super::rig::{GET, Rig, Service, config, field, mirror, table};

#[tokio::test]
async fn a_ready_service_answers_on_one_kept_connection() {
    let service = Service::new("app", |_| {});
    let (address, connections) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    for _ in 0..3 {
        client.send(GET).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(field(&head, "x-wakedock"), None);
        assert_eq!(field(&head, "proxy-status"), None);
        let seen = String::from_utf8(client.body_of(&head).await).unwrap();
        assert!(seen.starts_with("GET /x HTTP/1.1\r\n"), "{seen}");
        assert_eq!(field(&seen, "host"), Some("app.test"));
        assert_eq!(field(&seen, "x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(field(&seen, "x-forwarded-proto"), Some("http"));
        assert_eq!(field(&seen, "x-forwarded-host"), Some("app.test"));
        assert_eq!(field(&seen, "x-request-id").unwrap().len(), 32);
    }
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 1, "the upstream connection is kept");
    super::rig::until("the last lease is back", || service.handle.leases() == 0).await;
    assert_eq!(service.handle.metrics().requests(2, AnsweredBy::Upstream), 3);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = rig.client().await;
    let request = |n| format!("GET /{n} HTTP/1.1\r\nHost: app.test\r\n\r\n");
    client.send((0..5).map(request).collect::<String>()).await;
    for n in 0..5 {
        let head = client.head().await;
        let seen = String::from_utf8(client.body_of(&head).await).unwrap();
        assert!(seen.starts_with(&format!("GET /{n} ")), "{seen}");
    }
}

#[tokio::test]
async fn an_absolute_target_goes_before_host() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let seen = rig.ask("GET http://APP.test:81/y?z HTTP/1.1\r\nHost: other.test\r\n\r\n").await;
    assert!(seen.contains("GET /y?z HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("\r\nHost: APP.test:81\r\n"), "{seen}");
}

#[tokio::test]
async fn what_has_two_meanings_is_refused() {
    let service = Service::new("app", |_| {});
    let (address, connections) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    for bad in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: app.test\r\nHost: app.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@app.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: app.test:99999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: app.test/x\r\n\r\n",
        "CONNECT app.test:80 HTTP/1.1\r\nHost: app.test:80\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: app.test\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ] {
        let answer = rig.ask(bad).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bad:?}: {answer}");
        assert_eq!(field(&answer, "x-wakedock"), Some("bad-request"), "{bad:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: app.test\r\n\r\n", "a".repeat(40_000));
    let answer = rig.ask(&long).await;
    assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 0, "the upstream saw none of them");
}

#[tokio::test]
async fn an_unknown_host_is_counted_and_told() {
    let service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let answer = rig.ask("GET / HTTP/1.1\r\nHost: nobody.test\r\nX-Request-ID: mine\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert_eq!(field(&answer, "x-wakedock"), Some("unknown-host"));
    assert_eq!(field(&answer, "proxy-status"), Some("wakedock; error=destination_not_found"));
    assert_ne!(field(&answer, "x-request-id"), Some("mine"), "a stranger does not name requests");
    assert_eq!(rig.unknown.refusals(Reason::UnknownHost), 1);
    assert_eq!(rig.unknown.requests(4, AnsweredBy::Wakedock), 1);
}

#[tokio::test]
async fn wildcards_paths_and_new_routes() {
    let (address, _) = mirror().await;
    let (one, two) = (Service::new("one", |_| {}), Service::new("two", |_| {}));
    let rig =
        Rig::with(&config(), &[("*.wild.test", None, &one.handle), ("wide.test", Some("/api"), &two.handle)]);
    one.open(address, 1);
    two.open(address, 2);
    let ask = |host: &str, path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert!(rig.ask(&ask("a.wild.test.", "/")).await.starts_with("HTTP/1.1 200 "));
    assert!(rig.ask(&ask("a.b.wild.test", "/")).await.starts_with("HTTP/1.1 404 "));
    let api = rig.ask(&ask("wide.test", "/api/v1")).await;
    assert!(api.contains("GET /api/v1 HTTP/1.1"), "the prefix is not stripped: {api}");
    assert!(rig.ask(&ask("wide.test", "/apix")).await.starts_with("HTTP/1.1 404 "));
    rig.routes.store(std::sync::Arc::new(table(&[("new.test", None, &one.handle)])));
    assert!(rig.ask(&ask("new.test", "/")).await.starts_with("HTTP/1.1 200 "));
    assert!(rig.ask(&ask("a.wild.test", "/")).await.starts_with("HTTP/1.1 404 "));
}

/// Trap 21.
#[tokio::test]
async fn only_one_prefix_is_ours() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    for theirs in
        ["/api", "/metrics", "/health", "/readyz", "/.wakedock", "/.wakedocks/x", "/x/.wakedock/events"]
    {
        let answer = rig.ask(&format!("GET {theirs} HTTP/1.1\r\nHost: app.test\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{theirs}: {answer}");
    }
    for ours in ["/.wakedock/", "/.wakedock/x", "/.wakedock/assets/x.css"] {
        let answer = rig.ask(&format!("GET {ours} HTTP/1.1\r\nHost: app.test\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{ours}: {answer}");
        assert_eq!(field(&answer, "x-wakedock"), Some("not-found"), "{ours}");
    }
    let head = rig.client().await;
    let mut head = head;
    head.send("HEAD /.wakedock/ HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n").await;
    let answer = head.head().await;
    assert_ne!(field(&answer, "content-length"), Some("0"));
    assert_eq!(head.rest().await, (Vec::new(), true), "HEAD gets no body");
}

/// Trap 33, on the wire, and that the list is live.
#[tokio::test]
async fn forwarded_fields_are_believed_from_listed_proxies() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let request = "GET / HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 6.6.6.6\r\n\
                   X-Forwarded-Proto: https\r\nX-Request-ID: given\r\nX-WakeDock: waking\r\n\r\n";
    let seen = rig.ask(request).await;
    assert_eq!(field(&seen, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(field(&seen, "x-forwarded-proto"), Some("http"));
    assert_ne!(field(&seen, "x-request-id"), Some("given"));
    assert_eq!(field(&seen, "x-wakedock"), None);
    let mut trusting = config();
    trusting.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    rig.settings.store(std::sync::Arc::new(ProxySettings::new(&trusting, true)));
    let seen = rig.ask(request).await;
    assert_eq!(field(&seen, "x-forwarded-for"), Some("6.6.6.6, 127.0.0.1"));
    assert_eq!(field(&seen, "x-forwarded-proto"), Some("https"));
    assert_eq!(field(&seen, "x-request-id"), Some("given"));
    assert_eq!(field(&seen, "x-wakedock"), None);
}

/// Trap 17, on the wire, both ways; and what the upstream may not say.
#[tokio::test]
async fn hop_by_hop_fields_end_here() {
    let service = Service::new("app", |_| {});
    let (address, _) = super::rig::upstream(|mut wire, _| async move {
        let head = wire.head().await;
        for gone in ["x-one", "x-two", "keep-alive", "http2-settings", "connection"] {
            assert_eq!(field(&head, gone), None, "{head}");
        }
        assert_eq!(field(&head, "x-three"), Some("3"));
        wire.send(
            "HTTP/1.1 200 OK\r\nConnection: x-up\r\nConnection: x-down, keep-alive\r\nX-Up: 1\r\nX-Down: 2\r\n\
             Keep-Alive: timeout=5\r\nX-WakeDock: forged\r\nProxy-Status: theirs\r\nSet-Cookie: a=1\r\n\
             Set-Cookie: b=2\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok",
        )
        .await;
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let answer = rig
        .ask(
            "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: x-one\r\nX-One: 1\r\nConnection: , X-Two ,close\r\n\
             X-Two: 2\r\nX-Three: 3\r\nKeep-Alive: 5\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok"), "{answer}");
    for gone in ["x-up", "x-down", "keep-alive", "x-wakedock"] {
        assert_eq!(field(&answer, gone), None, "{answer}");
    }
    assert_eq!(field(&answer, "proxy-status"), Some("theirs"));
    assert_eq!(field(&answer, "x-kept"), Some("1"));
    assert_eq!(answer.matches("Set-Cookie: ").count(), 2, "apart, and in their own case: {answer}");
}
