//! What the control plane costs in memory: log-ins, looks at everything, dashboards that stay open.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Api, App, Times, WakeDock, alone, look_at_every_page, look_at_the_api, optimised};

/// The bound for 100 services after log-ins and looks, in kB.
const RESIDENT_KB: u64 = 16_000;
/// A storm may leave so much behind, in kB: less than a tenth of what one log-in takes for a moment.
const STORM_KB: u64 = 1_500;
const SERVICES: usize = 100;
const LOG_INS: usize = 10;
const STORM: usize = 50;
const PASSWORD: &str = "correct horse battery staple";

fn bound() -> u64 {
    if optimised() { RESIDENT_KB } else { 4 * RESIDENT_KB }
}

/// What is resident when nothing has happened for a while, longer than the longest pause after which
/// WakeDock looks for what it can give back: the middle one of five readings.
fn at_rest(dock: &WakeDock) -> u64 {
    std::thread::sleep(Duration::from_secs(14));
    let mut readings: Vec<u64> = (0..5)
        .map(|_| {
            std::thread::sleep(Duration::from_secs(1));
            dock.rss_kb()
        })
        .collect();
    readings.sort_unstable();
    readings[2]
}

/// Tries to log in so many times at once: how many were let in.
fn log_in_at_once(dock: &WakeDock, count: usize, password: &str) -> usize {
    let nobody = Api::stranger(dock);
    let body = json!({ "username": "ada", "password": password });
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..count)
            .map(|_| scope.spawn(|| nobody.ask("POST", "/api/v1/auth/login", Some(&body))))
            .collect();
        let answers = all.into_iter().map(|one| one.join().unwrap());
        answers
            .map(|answer| {
                let fine = matches!(answer.status(), 200 | 401 | 429 | 503);
                assert!(fine, "{} {}", answer.status(), answer.text());
                answer.status()
            })
            .filter(|status| *status == 200)
            .count()
    })
}

#[test]
fn log_ins_and_looks_at_everything_leave_little_behind() {
    let _turn = alone();
    let apps = ["one", "two", "three"].map(|hint| App::builder(hint).create());
    let mut builder = WakeDock::builder();
    for number in 0..SERVICES {
        let container =
            apps.get(number).map_or(format!("there-is-none-{number}"), |app| app.name().to_owned());
        builder = builder.service(json!({
            "name": format!("service-{number}"), "hosts": [format!("s{number}.test")],
            "container": container, "port": 8080,
        }));
    }
    let dock = builder.start();
    let before = at_rest(&dock);
    let api = dock.api();
    api.post("/api/v1/users", &json!({ "username": "ada", "password": PASSWORD, "role": "admin" }));

    let mut times = Times::default();
    for _ in 0..LOG_INS / 2 {
        times.time(|| Api::log_in(&dock, "ada", PASSWORD));
    }
    assert_eq!(log_in_at_once(&dock, LOG_INS / 2, PASSWORD), LOG_INS / 2);
    let logged_in = at_rest(&dock);
    let lists = look_at_the_api(&Api::log_in(&dock, "ada", PASSWORD));
    let pages: usize = ["en", "fr"]
        .map(|language| look_at_every_page(&api.clone().in_language(language)).len())
        .iter()
        .sum();
    let looked = dock.rss_kb();
    let after = at_rest(&dock);
    eprintln!(
        "figure: {SERVICES} services: {before} kB resident, {logged_in} kB after {LOG_INS} log-ins ({}), {looked} kB \
         with {lists} lists and {pages} pages in two languages just looked at, {after} kB at rest ({} kB of it no file's)",
        times.shown(),
        dock.anonymous_kb()
    );
    assert!(lists >= 8 && pages >= 24, "{lists} lists and {pages} pages are not everything");

    log_in_at_once(&dock, STORM, "not the password");
    let peak = dock.rss_kb();
    let stormed = at_rest(&dock);
    eprintln!(
        "figure: a storm of {STORM} wrong log-ins at once: {after} kB before, {peak} kB just after, {stormed} kB at rest"
    );
    assert_eq!(dock.get("s0.test", "/").status(), 200, "and it works");
    assert!(after <= bound(), "{after} kB are more than {} kB", bound());
    assert!(stormed <= after + STORM_KB, "the storm left {} kB", stormed - after);
}
