//! What the dashboard says when something does not go as it was meant: refused, gone, changed
//! meanwhile, looked at by nobody.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{App, Browser, Manner, WakeDock, eventually, shared};

const PASSWORD: &str = "a harbour at night";

/// WakeDock with a service that the API made, and somebody who may do everything.
fn dock(apps: &[&App]) -> WakeDock {
    let dock = WakeDock::builder().start();
    let api = dock.api();
    api.post("/api/v1/users", &json!({ "username": "ada", "password": PASSWORD, "role": "admin" }));
    for (name, app) in ["shop", "wiki"].iter().zip(apps) {
        let service = json!({
            "name": name, "hosts": [format!("{name}.localhost")], "container": app.name(), "port": 8080,
        });
        api.post("/api/v1/services", &service);
    }
    dock
}

fn address(dock: &WakeDock, path: &str) -> String {
    format!("http://{}{path}", dock.admin().tcp())
}

fn open(dock: &WakeDock, path: &str) -> Browser {
    let browser = Browser::open(Manner::default());
    browser.size(1440, 900, 1.0);
    browser.go(&address(dock, "/login"));
    browser.fill("#username", "ada");
    browser.fill("#password", PASSWORD);
    browser.press("form button");
    until("the overview", || browser.source().contains("id=\"totals\""));
    browser.go(&address(dock, path));
    browser
}

fn until(what: &str, done: impl Fn() -> bool) {
    eventually(Duration::from_secs(20), what, || done().then_some(()));
}

fn phase(browser: &Browser, service: &str) -> Value {
    browser.evaluate(&format!("return document.querySelector('#s-{service}').dataset.phase"))
}

/// The story: a click that was refused did nothing and said nothing.
#[test]
fn an_order_that_is_refused_says_so() {
    let _turn = shared();
    let app = App::builder("refused").create();
    let dock = dock(&[&app]);
    let browser = open(&dock, "/");
    browser.evaluate("for (const one of document.querySelectorAll('[name=csrf]')) one.value = 'another'");
    browser.press("[formaction='/services/shop/wake']");
    until("it is said", || browser.text("#toast").starts_with("Refused."));
    assert!(!app.running());
}

/// The story: a service that was deleted elsewhere stood there as ready for ever.
#[test]
fn a_service_that_is_gone_is_gone_from_its_page() {
    let _turn = shared();
    let app = App::builder("leaves").create();
    let dock = dock(&[&app]);
    let browser = open(&dock, "/services/shop");
    assert_eq!(browser.text("h1"), "shop");
    let api = dock.api();
    let delete = api.request("DELETE", "/api/v1/services/shop", None).header("If-Match", "*");
    assert_eq!(delete.send(api.target()).expect("an answer").status(), 204);
    until("the page says so", || browser.text("h1") == "Not found");
    assert!(browser.text("#cut").is_empty(), "WakeDock answers");
}

/// The stories: a typed filter was lost by sorting and by Back, and one in the address could not be
/// cleared.
#[test]
fn what_was_typed_into_the_filter_stays() {
    let _turn = shared();
    let (one, other) = (App::builder("filter").create(), App::builder("filter-too").create());
    let dock = dock(&[&one, &other]);
    let browser = open(&dock, "/");
    let shown = || {
        browser.evaluate("return [...document.querySelectorAll('tr.svc:not([hidden])')].map((one) => one.id)")
    };
    browser.fill("#q", "wik");
    assert_eq!(shown(), json!(["s-wiki"]));
    browser.press("thead a[href*='sort=memory']");
    until("sorted by memory", || browser.address().contains("sort=memory"));
    assert_eq!(browser.evaluate("return document.getElementById('q').value"), "wik");
    assert_eq!(shown(), json!(["s-wiki"]));
    browser.press("#s-wiki .name");
    until("the service's page", || browser.address().ends_with("/services/wiki"));
    browser.evaluate("history.back()");
    until("back again", || browser.address().contains("sort=memory"));
    assert_eq!(shown(), json!(["s-wiki"]));
    browser.evaluate("const field = document.getElementById('q'); field.value = ''; field.dispatchEvent(new Event('input'))");
    until("all of them", || shown().as_array().is_some_and(|all| all.len() == 2));
}

/// The story: “is saved and live” came back with each reload.
#[test]
fn what_was_said_is_said_once() {
    let _turn = shared();
    let app = App::builder("once").create();
    let dock = dock(&[&app]);
    let browser = open(&dock, "/services/shop/edit");
    browser.fill("#f-group", "Town");
    browser.press("main form button.go");
    until("it is saved", || browser.text("#toast").contains("shop is saved and live"));
    assert_eq!(browser.address(), address(&dock, "/services/shop"));
    browser.go(&browser.address());
    assert!(browser.text("#toast").is_empty());
}

/// The story: who saved second lost what they had typed.
#[test]
fn two_people_edit_at_once_and_nobody_loses_what_they_typed() {
    let _turn = shared();
    let app = App::builder("two").create();
    let dock = dock(&[&app]);
    let (one, other) = (open(&dock, "/services/shop/edit"), open(&dock, "/services/shop/edit"));
    one.fill("#f-group", "One");
    one.press("main form button.go");
    until("the first is saved", || one.text("#toast").contains("is saved"));
    other.fill("#f-group", "Other");
    other.press("main form button.go");
    until("the second is told", || other.source().contains("Somebody else has changed this"));
    assert_eq!(other.evaluate("return document.getElementById('f-group').value"), "Other");
    assert!(other.source().contains("Saved meanwhile: One"), "{}", other.source());
    assert_eq!(dock.api().get("/api/v1/services/shop")["group"], "One", "nothing was overwritten");
    other.press("main form button.go");
    until("now it holds", || dock.api().get("/api/v1/services/shop")["group"] == "Other");
}

/// The story: a sleeping service was said to be kept awake, and slept on.
#[test]
fn to_keep_awake_what_sleeps_wakes_it() {
    let _turn = shared();
    let app = App::builder("kept").create();
    let dock = dock(&[&app]);
    let browser = open(&dock, "/services/shop");
    browser.press("#keeps .btn:not([formaction])");
    until("it is said", || browser.text("#toast").contains("shop is being woken, and kept awake"));
    dock.wait_phase("shop", "ready", Duration::from_secs(20));
    until("it may be let go", || browser.text("#keeps").contains("Let it sleep again"));
    browser.go(&address(&dock, "/"));
    browser.press("[formaction='/services/shop/let-sleep']");
    until("it is let go", || browser.text("#toast").contains("shop may sleep again"));
}

/// A container that nobody has made is told where one looks, and not in the log alone.
#[test]
fn a_service_without_a_container_says_so() {
    let _turn = shared();
    let dock = dock(&[]);
    let service = json!({
        "name": "ghost", "hosts": ["ghost.localhost"], "container": "wakedock-nobody-has-this", "port": 80,
    });
    dock.api().post("/api/v1/services", &service);
    let browser = open(&dock, "/");
    until("the row says so", || {
        browser.go(&address(&dock, "/"));
        browser.text("#s-ghost .ph").contains("no container wakedock-nobody-has-this")
    });
    assert!(browser.text("#problems").contains("It cannot be woken"), "{}", browser.text("#problems"));
    assert!(browser.text("#totals").contains("problem\n1"), "{}", browser.text("#totals"));
}

/// A page that nobody sees gives its connections back, and is right again when somebody looks.
#[test]
fn a_hidden_page_lets_go_and_catches_up() {
    let _turn = shared();
    let app = App::builder("hidden").create();
    let dock = dock(&[&app]);
    let browser = open(&dock, "/");
    let seen = |hidden: bool| {
        browser.evaluate(&format!(
            "Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {hidden} }}); \
             document.dispatchEvent(new Event('visibilitychange'))"
        ));
    };
    seen(true);
    std::thread::sleep(Duration::from_millis(1500));
    dock.api().post("/api/v1/services/shop/wake?wait=20s", &json!({}));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(phase(&browser, "shop"), "asleep", "it heard of nothing");
    assert!(browser.text("#cut").is_empty(), "nothing was lost");
    seen(false);
    until("it catches up", || phase(&browser, "shop") == "ready");
}
