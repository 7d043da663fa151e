//! What a newcomer does: Caddy, WakeDock without any configuration of services, the set-up link from
//! its log, and a container with two labels. The dashboard is open all the time.

use std::time::{Duration, Instant};

use crate::harness::{App, Browser, Caddy, Manner, Request, WakeDock, alone, eventually};

const HOST: &str = "hi.localhost";
const SOON: Duration = Duration::from_secs(10);
const STOP_AFTER: Duration = Duration::from_secs(10);
/// The phase must be seen so long after `stop_after`: a second for the order, and Docker's own time.
const LATE: Duration = Duration::from_millis(2500);
/// What the page may take to show what the API says.
const ON_THE_PAGE: Duration = Duration::from_millis(1000);

/// Makes the first user by the link in the log: the overview is open.
fn set_up(dock: &WakeDock) -> Browser {
    let browser = Browser::open(Manner::default());
    browser.go(&format!("http://{}{}", dock.admin().tcp(), dock.set_up_path()));
    browser.fill("#username", "anna");
    browser.fill("#password", "a harbour at night");
    browser.press("form button");
    // There is nothing to see yet, but how to begin.
    eventually(SOON, "the overview", || {
        let here = browser.address().ends_with(&format!("{}/", dock.admin().tcp()));
        (here && browser.source().contains("wakedock.enable=true")).then_some(())
    });
    browser
}

/// The phase that the overview shows; empty: there is no such service.
fn shown(browser: &Browser, service: &str) -> String {
    let row = format!("document.getElementById('s-{service}')");
    let phase = browser.evaluate(&format!("return {row} ? {row}.dataset.phase : ''"));
    phase.as_str().expect("a word").to_owned()
}

#[test]
fn two_labels_are_all_that_a_newcomer_writes() {
    // Every container with labels on this engine is a service here: no other test has any meanwhile.
    let _turn = alone();
    let begun = Instant::now();
    let caddy = Caddy::start();
    let dock = WakeDock::builder().set("docker.labels", true).caddy(&caddy).start();
    let api = dock.api();
    let running = begun.elapsed();
    let browser = set_up(&dock);
    let set_up = begun.elapsed() - running;

    let run = Instant::now();
    let app = App::builder("hi")
        .label("wakedock.enable", "true")
        .label("wakedock.host", HOST)
        .label("wakedock.stop-after", "10s")
        .start();
    let up = run.elapsed();
    let ours = || {
        let found = api.get("/api/v1/services")["items"].take();
        let mut found = found.as_array().expect("services").iter();
        found.find(|service| service["container"] == app.name()).cloned()
    };
    eventually(SOON, "the container is a service", &ours);
    let known = run.elapsed();
    let answer = eventually(SOON, "a request through Caddy is answered", || {
        // A Caddy that does not know the host yet says 200 and nothing else.
        let answer = Request::get(HOST, "/").send(&caddy.http()).ok()?;
        answer.instance().is_some().then_some(answer)
    });
    let last = Instant::now();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let answered = run.elapsed();

    let service = ours().expect("the service");
    assert_eq!(service["phase"], "ready", "{service}");
    assert_eq!(service["hosts"][0], HOST, "{service}");
    browser.go(&format!("http://{}/", dock.admin().tcp()));
    browser.evaluate("window.mark = 'the same document'");
    eventually(SOON, "the overview shows it ready", || {
        (shown(&browser, app.name()) == "ready").then_some(())
    });
    let asleep = eventually(Duration::from_secs(20), "the API shows it asleep", || {
        ours().filter(|service| service["phase"] == "asleep").map(|_| last.elapsed())
    });
    let seen = eventually(SOON, "the overview shows it asleep", || {
        (shown(&browser, app.name()) == "asleep").then(|| last.elapsed())
    });
    assert!(asleep >= STOP_AFTER, "asleep after {asleep:?}");
    assert!(asleep < STOP_AFTER + LATE, "asleep after {asleep:?}");
    assert!(seen < asleep + ON_THE_PAGE, "asleep after {asleep:?}, and shown after {seen:?}");
    assert_eq!(browser.evaluate("return window.mark"), "the same document", "nobody had to reload");
    let words = browser.text(&format!("[id='s-{}']", app.name()));
    assert!(words.contains("Asleep") && words.contains(HOST), "{words}");
    app.wait_state("exited", SOON);

    let cold = Instant::now();
    let answer = Request::get(HOST, "/").send(&caddy.http()).unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    eprintln!(
        "figure: a newcomer's path: Caddy and WakeDock run after {running:.1?}, the first user is on the overview \
         {set_up:.1?} later (with a browser's start); `docker run` until the \
         application answers itself {up:.1?}, until it is a service {known:.1?}, until Caddy answers for it \
         {answered:.1?}; asleep {asleep:.1?} after its last request, and on the page {seen:.1?} (stop-after 10s); woken by the next in {:.1?}",
        cold.elapsed()
    );
}
