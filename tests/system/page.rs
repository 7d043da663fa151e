//! What a person sees while a service wakes, and what programs get instead (trap 4).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{App, Browser, Manner, Request, WakeDock, WebSocket, eventually, shared};

const HOST: &str = "shop.localhost";
/// What it may weigh.
const WEIGHT: usize = 10_000;

/// A service at `HOST` whose page comes soon.
fn dock(container: &str, more: Value) -> WakeDock {
    let mut service = json!({
        "name": "shop", "hosts": [HOST], "container": container, "port": 8080, "page_after": "100ms",
    });
    let fields = service.as_object_mut().expect("fields");
    fields.extend(more.as_object().expect("fields").clone());
    WakeDock::builder().service(service).start()
}

/// With a query and a fragment, which must not be lost.
fn address(dock: &WakeDock) -> String {
    format!("http://{HOST}:{}/?q=a%20b&c=d#part", dock.proxy().tcp().port())
}

/// Waits for the application's own page at the same address.
fn arrives(browser: &Browser, address: &str, app: &App) {
    let mut page = String::new();
    let began = Instant::now();
    while !page.contains("awake: ") {
        assert!(began.elapsed() < Duration::from_secs(20), "still {} shows {page}", browser.address());
        page = browser.source();
        std::thread::sleep(Duration::from_millis(50));
    }
    let instance = Request::get("direct", "/").send(&app.target()).unwrap();
    assert!(page.contains(instance.text().trim()), "{page}");
    assert_eq!(browser.address(), address);
    assert_eq!(app.starts(), 1);
}

#[test]
fn a_navigation_gets_the_page_and_everything_else_is_held() {
    let _turn = shared();
    let app = App::builder("page").env("LISTEN_DELAY", "1500ms").create();
    let dock = dock(app.name(), json!({}));
    let page = dock.send(&Request::get(HOST, "/").navigation().header("X-Request-ID", "mine"));
    assert_eq!(page.status(), 503);
    let is = |name: &str, value: &str| assert_eq!(page.header(name), Some(value), "{name}");
    is("cache-control", "no-store");
    is("x-robots-tag", "noindex");
    is("x-wakedock", "waking");
    let retry: u64 = page.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=10).contains(&retry), "{retry}");
    // A stranger's own is not taken over.
    assert!(page.header("x-request-id").is_some_and(|id| !id.is_empty()));
    assert!(page.header("proxy-status").is_some_and(|status| status.starts_with("wakedock")));
    assert!(page.header("content-type").is_some_and(|of| of.starts_with("text/html")));
    assert!(page.instance().is_none() && page.text().contains(HOST));
    assert!(!page.text().contains(app.name()), "it names the container (trap 9)");
    eprintln!("figure: the waiting page weighs {} bytes", page.body.len());
    assert!(page.body.len() < WEIGHT);

    let get = |headers: &[(&str, &str)]| {
        headers.iter().fold(Request::get(HOST, "/"), |request, (name, value)| request.header(name, value))
    };
    let html = "text/html,application/xhtml+xml,*/*;q=0.8";
    let held = [
        ("a script", get(&[("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "script"), ("Accept", "*/*")])),
        ("an image", get(&[("Sec-Fetch-Mode", "no-cors"), ("Accept", "image/avif,image/*,*/*;q=0.8")])),
        ("an XHR", get(&[("X-Requested-With", "XMLHttpRequest"), ("Accept", "application/json")])),
        ("a fetch of HTML", get(&[("Sec-Fetch-Mode", "cors"), ("Accept", html)])),
        ("curl", get(&[("Accept", "*/*")])),
        ("no Accept", get(&[])),
        ("OPTIONS", Request::new("OPTIONS", HOST, "/").header("Accept", html)),
        ("a form", Request::post(HOST, "/echo", "a=b").navigation()),
        ("an upload", Request::new("PUT", HOST, "/echo").header("Accept", html).chunked(vec![vec![1; 9]])),
    ];
    assert_eq!(dock.phase("shop"), Some("waking"), "the page was early enough");
    std::thread::scope(|scope| {
        let socket =
            scope.spawn(|| WebSocket::connect(&dock.proxy(), HOST, "/ws").map(|mut s| s.echo("hello")));
        let held = held.each_ref().map(|(what, request)| (what, scope.spawn(|| dock.send(request))));
        for (what, answer) in held {
            let answer = answer.join().unwrap();
            assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
            assert!(answer.instance().is_some() && answer.header("server-timing").is_some(), "{what}");
        }
        socket.join().unwrap().expect("a WebSocket is held");
    });
    assert_eq!(app.starts(), 1);
}

#[test]
fn a_person_sees_the_waiting_page_and_then_the_application_without_doing_anything() {
    let _turn = shared();
    let app = App::builder("seen").env("LISTEN_DELAY", "2s").create();
    let dock = dock(app.name(), json!({}));
    let (browser, address) = (Browser::open(Manner::default()), address(&dock));
    browser.go(&address);
    assert_eq!(browser.evaluate("return document.querySelector('main').dataset.phase"), "waking");
    let text = browser.evaluate("return document.body.innerText");
    assert!(text.as_str().is_some_and(|text| text.contains(HOST)), "{text}");
    // Its clock runs: the script does.
    eventually(Duration::from_secs(5), "it tells the time that has passed", || {
        let shown = browser.evaluate("return (document.getElementById('elapsed') || {}).textContent");
        (shown.is_null() || shown.as_str().is_some_and(|shown| !shown.starts_with('0'))).then_some(())
    });
    arrives(&browser, &address, &app);
    let ready = dock.logged("ready").len();
    assert_eq!(ready, 1);
}

#[test]
fn the_page_of_a_service_below_a_path_hears_of_that_service() {
    let _turn = shared();
    let app = App::builder("below").env("LISTEN_DELAY", "3s").create();
    let dock = dock(app.name(), json!({ "path": "/echo-headers" }));
    let browser = Browser::open(Manner::default());
    browser.go(&format!("http://{HOST}:{}/echo-headers?a=b", dock.proxy().tcp().port()));
    assert_eq!(browser.evaluate("return document.querySelector('main').dataset.phase"), "waking");
    let events = [("service", "shop"), ("code", "2xx"), ("by", "wakedock")];
    eventually(Duration::from_secs(2), "it listens to the events of this service", || {
        (dock.metric("wakedock_requests_total", &events) == Some(1.0)).then_some(())
    });
    eventually(Duration::from_secs(15), "the application's own page", || {
        browser.source().contains("/echo-headers?a=b").then_some(())
    });
}

#[test]
fn without_script_the_page_asks_again_by_itself() {
    let _turn = shared();
    let app = App::builder("plain").env("LISTEN_DELAY", "2s").create();
    let dock = dock(app.name(), json!({}));
    let (browser, address) = (Browser::open(Manner { no_script: true, width: None }), address(&dock));
    browser.go(&address);
    let page = browser.source();
    assert!(page.contains("data-phase=\"waking\""), "{page}");
    // Where no script runs, nobody but the browser knows the fragment.
    arrives(&browser, address.trim_end_matches("#part"), &app);
    let events = [("service", "shop"), ("code", "2xx"), ("by", "wakedock")];
    assert_eq!(dock.metric("wakedock_requests_total", &events).unwrap_or_default(), 0.0, "a script ran");
}

#[test]
fn a_failed_wake_turns_into_a_page_with_a_retry_that_works() {
    let _turn = shared();
    let bad = App::builder("bad").env("LISTEN_DELAY", "1m").env("EXIT_AFTER", "1500ms").create();
    let good = App::builder("good").create();
    let dock = dock(bad.name(), json!({}));
    let (browser, address) = (Browser::open(Manner::default()), address(&dock));
    browser.go(&address);
    assert_eq!(browser.evaluate("return document.querySelector('main').dataset.phase"), "waking");
    let began = Instant::now();
    eventually(Duration::from_secs(15), "the failure is shown", || {
        let shown = browser.evaluate(
            "const retry = document.querySelector('a'), main = document.querySelector('main'); \
             return main && main.dataset.phase === 'failed' && retry.offsetParent !== null",
        );
        (shown == true).then_some(())
    });
    eprintln!("figure: the failure was on the page {:?} after the waiting page", began.elapsed());
    let text = browser.evaluate("return document.body.innerText").to_string();
    assert!(!text.contains(bad.name()) && !text.contains("testapp"), "{text}");
    assert_eq!(browser.address(), address);

    // Somebody mends it: a new container under the old name.
    bad.remove();
    good.docker().rename(good.name(), bad.name());
    eventually(Duration::from_secs(10), "the next try is allowed", || {
        (browser.evaluate("return document.getElementById('wait').textContent") == "").then_some(())
    });
    browser.press("#retry a");
    eventually(Duration::from_secs(15), "the application's own page", || {
        browser.source().contains("awake: ").then_some(())
    });
    assert_eq!(browser.address(), address);
    assert!(bad.running(), "the new container under the old name");
}

#[test]
fn on_a_narrow_screen_nothing_has_to_be_pushed_sideways() {
    let _turn = shared();
    let app = App::builder("narrow").env("LISTEN_DELAY", "4s").create();
    let message = "A_word_without_any_place_to_break_it_that_is_longer_than_the_screen_is_wide";
    let title = "nextcloud-of-the-whole-neighbourhood-and-its-many-friends.example.localhost";
    let dock = dock(app.name(), json!({ "waiting_page": { "title": title, "message": message } }));
    let browser = Browser::open(Manner { width: Some(320), ..Manner::default() });
    browser.go(&address(&dock));
    let seen = browser.evaluate(
        "const root = document.documentElement; \
         return [innerWidth, root.clientWidth, root.scrollWidth, document.querySelector('main').dataset.phase, \
                 document.body.innerText]",
    );
    assert_eq!((&seen[0], &seen[1], &seen[2]), (&json!(320), &json!(320), &json!(320)), "{seen}");
    assert_eq!(seen[3], "waking");
    assert!(seen[4].as_str().is_some_and(|text| text.contains(message)), "{seen}");
}
