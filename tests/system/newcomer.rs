//! What a newcomer does: Caddy, WakeDock without any configuration of services, and a container with
//! two labels.

use std::time::{Duration, Instant};

use crate::harness::{App, Caddy, Request, WakeDock, alone, eventually};

const HOST: &str = "hi.localhost";
const SOON: Duration = Duration::from_secs(10);
const STOP_AFTER: Duration = Duration::from_secs(10);
/// The phase must be seen so long after `stop_after`: a second for the order, and Docker's own time.
const LATE: Duration = Duration::from_millis(2500);

#[test]
fn two_labels_are_all_that_a_newcomer_writes() {
    // Every container with labels on this engine is a service here: no other test has any meanwhile.
    let _turn = alone();
    let begun = Instant::now();
    let caddy = Caddy::start();
    let dock = WakeDock::builder().set("docker.labels", true).caddy(&caddy).start();
    let api = dock.api();
    let running = begun.elapsed();

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
        Request::get(HOST, "/").send(&caddy.http()).ok().filter(|answer| answer.status() == 200)
    });
    let last = Instant::now();
    assert!(answer.instance().is_some(), "not by the application: {}", answer.text());
    let answered = run.elapsed();

    let service = ours().expect("the service");
    assert_eq!(service["phase"], "ready", "{service}");
    assert_eq!(service["hosts"][0], HOST, "{service}");
    let asleep = eventually(Duration::from_secs(20), "the API shows it asleep", || {
        ours().filter(|service| service["phase"] == "asleep").map(|_| last.elapsed())
    });
    assert!(asleep >= STOP_AFTER, "asleep after {asleep:?}");
    assert!(asleep < STOP_AFTER + LATE, "asleep after {asleep:?}");
    app.wait_state("exited", SOON);

    let cold = Instant::now();
    let answer = Request::get(HOST, "/").send(&caddy.http()).unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    eprintln!(
        "figure: a newcomer's path: Caddy and WakeDock run after {running:.1?}; `docker run` until the \
         application answers itself {up:.1?}, until it is a service {known:.1?}, until Caddy answers for it \
         {answered:.1?}; asleep {asleep:.1?} after its last request (stop-after 10s); woken by the next in {:.1?}",
        cold.elapsed()
    );
}
