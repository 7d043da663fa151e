//! The dashboard in a real browser: first run, log-in, live changes, forms, roles. How it looks
//! is seen in [`crate::pictures`].

use std::time::Duration;

use serde_json::json;

use crate::harness::{App, Browser, Manner, WakeDock, eventually, free_port, shared};

const PASSWORD: &str = "a harbour at night";

/// A service that sleeps, and a dashboard whose address stays over a restart.
fn dock(container: &str) -> WakeDock {
    let service = json!({
        "name": "shop", "hosts": ["shop.localhost"], "container": container, "port": 8080, "group": "Town",
    });
    WakeDock::builder().set("admin.listen", format!("127.0.0.1:{}", free_port())).service(service).start()
}

fn address(dock: &WakeDock, path: &str) -> String {
    format!("http://{}{path}", dock.admin().tcp())
}

/// Where the log says that the first user is made.
fn set_up_path(dock: &WakeDock) -> String {
    dock.set_up_path()
}

/// Makes the first user, as a newcomer does.
fn set_up(dock: &WakeDock, browser: &Browser) {
    browser.go(&address(dock, &set_up_path(dock)));
    browser.fill("#username", "anna");
    browser.fill("#password", PASSWORD);
    browser.press("form button");
    until(browser, "the overview", |browser| browser.source().contains("id=\"totals\""));
}

fn log_in(dock: &WakeDock, browser: &Browser, name: &str) {
    browser.go(&address(dock, "/login"));
    browser.fill("#username", name);
    browser.fill("#password", PASSWORD);
    browser.press("form button");
    until(browser, "the overview", |browser| browser.source().contains("id=\"totals\""));
}

fn until(browser: &Browser, what: &str, done: impl Fn(&Browser) -> bool) {
    eventually(Duration::from_secs(20), what, || done(browser).then_some(()));
}

fn phase(browser: &Browser, phase: &str) -> bool {
    browser.evaluate("return document.querySelector('#s-shop').dataset.phase") == phase
}

#[test]
fn a_newcomer_makes_the_first_user_and_sees_a_wake_without_a_reload() {
    let _turn = shared();
    let app = App::builder("newcomer").env("LISTEN_DELAY", "1500ms").create();
    let dock = dock(app.name());
    let (browser, other) = (Browser::open(Manner::default()), Browser::open(Manner::default()));
    let link = set_up_path(&dock);
    set_up(&dock, &browser);
    browser.go(&address(&dock, &link));
    assert!(browser.source().contains("was used already"), "the link is good once");
    browser.go(&address(&dock, "/"));
    log_in(&dock, &other, "anna");
    assert!(phase(&browser, "asleep") && phase(&other, "asleep"));
    for browser in [&browser, &other] {
        browser.evaluate("window.mark = 'the same document'");
    }
    let place =
        "const at = document.querySelector('#s-shop .name').getBoundingClientRect(); return [at.x, at.y]";
    let before = browser.evaluate(place);
    browser.press("[formaction='/services/shop/wake']");
    for browser in [&browser, &other] {
        until(browser, "it wakes", |browser| phase(browser, "waking") || phase(browser, "ready"));
        until(browser, "it is ready", |browser| phase(browser, "ready"));
        assert_eq!(browser.evaluate("return window.mark"), "the same document");
    }
    assert!(browser.text("#toast").contains("shop is being woken"), "{}", browser.text("#toast"));
    assert_eq!(browser.evaluate(place), before, "nothing has moved");
    assert!(app.running());
    browser.press("[formaction='/services/shop/stop']");
    until(&other, "it sleeps again", |browser| phase(browser, "asleep"));
    browser.press("form[action='/logout'] button");
    until(&browser, "logged out", |browser| browser.address().ends_with("/login"));
    browser.go(&address(&dock, "/"));
    assert!(browser.address().contains("/login"), "{}", browser.address());
}

#[test]
fn a_bad_form_says_what_is_wrong_beside_the_field() {
    let _turn = shared();
    let (app, other) = (App::builder("form").create(), App::builder("form-new").create());
    let dock = dock(app.name());
    let browser = Browser::open(Manner::default());
    set_up(&dock, &browser);
    browser.go(&address(&dock, &format!("/new?container={}", other.name())));
    assert_eq!(
        browser.evaluate("return document.getElementById('f-port').value"),
        "8080",
        "the port is filled in"
    );
    browser.fill("#f-name", "second");
    browser.fill("#f-hosts", "second.localhost");
    let stop = "[id='f-idle.stop_after']";
    browser.fill(stop, "15");
    browser.press("main form button.go");
    until(&browser, "the mistake", |browser| browser.source().contains("aria-invalid=\"true\""));
    assert!(browser.text("[id='f-idle.stop_after-bad']").contains("idle.stop_after is a bare number"));
    assert_eq!(
        browser.evaluate("return document.getElementById('f-name').value"),
        "second",
        "nothing is lost"
    );
    browser.fill(stop, "15m");
    browser.press("main form button.go");
    until(&browser, "it is made", |browser| browser.address().contains("/services/second"));
    assert!(browser.text("#config").contains("15m"), "{}", browser.text("#config"));
}

#[test]
fn without_script_everything_works_by_forms_and_roles_hold() {
    let _turn = shared();
    let app = App::builder("plain-dash").create();
    let dock = dock(app.name());
    let browser = Browser::open(Manner { no_script: true, width: None });
    set_up(&dock, &browser);
    browser.press("[formaction='/services/shop/wake']");
    until(&browser, "it is said", |browser| browser.source().contains("shop is being woken"));
    dock.wait_phase("shop", "ready", Duration::from_secs(20));
    browser.go(&address(&dock, "/services/shop"));
    browser.press("#keeps .btn:not([formaction])");
    until(&browser, "it is kept awake", |browser| browser.source().contains("Let it sleep again"));
    browser.go(&address(&dock, "/users"));
    browser.fill("#username", "ben");
    browser.fill("#password", PASSWORD);
    browser.press("main form button");
    until(&browser, "there is ben", |browser| browser.source().contains("ben may log in now"));
    browser.press("form[action='/logout'] button");
    until(&browser, "logged out", |browser| browser.address().ends_with("/login"));

    let viewer = Browser::open(Manner::default());
    log_in(&dock, &viewer, "ben");
    let source = viewer.source();
    assert!(!source.contains("formaction=\"/services/shop") && !source.contains("href=\"/new\""), "{source}");
    viewer.go(&address(&dock, "/users"));
    assert_eq!(viewer.text("h1"), "Not allowed");
    let refused = viewer.evaluate_later(
        "const done = arguments[arguments.length - 1]; \
         const csrf = document.querySelector('[name=csrf]'); \
         fetch('/services/shop/stop', { method: 'POST', body: new URLSearchParams({ csrf: csrf ? csrf.value : '' }) }) \
           .then((answer) => done(answer.status));",
    );
    assert_eq!(refused, 403);
    assert_eq!(dock.phase("shop"), Some("ready"));
}

#[test]
fn a_restart_is_said_and_gone_through_while_the_page_is_open() {
    let _turn = shared();
    let app = App::builder("restart-dash").create();
    let mut dock = dock(app.name());
    let browser = Browser::open(Manner::default());
    set_up(&dock, &browser);
    browser.evaluate("window.mark = 'the same document'");
    dock.term();
    until(&browser, "the page says that the connection is lost", |browser| {
        browser.text("#cut").contains("connection to WakeDock was lost at")
    });
    assert!(browser.source().contains("s-shop"), "what was known stays");
    dock.start_again();
    until(&browser, "connected again", |browser| browser.text("#cut").is_empty());
    assert_eq!(browser.evaluate("return window.mark"), "the same document");
    browser.press("[formaction='/services/shop/wake']");
    until(&browser, "live again", |browser| phase(browser, "ready"));
}
