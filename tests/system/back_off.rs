//! After a failed wake there is a growing pause, and what ends it early.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{App, WakeDock, eventually, shared};

/// Trap 8. A container made anew under its name is not the one that failed.
#[test]
fn a_new_container_under_the_old_name_ends_the_back_off() {
    let _turn = shared();
    let bad = App::builder("bad").env("LISTEN_DELAY", "1m").env("EXIT_AFTER", "50ms").create();
    let good = App::builder("good").create();
    let dock = WakeDock::builder()
        .service(json!({ "name": "s", "hosts": ["s.example"], "container": bad.name(), "port": 8080 }))
        .start();
    let wait = eventually(Duration::from_secs(60), "a pause of some length", || {
        let answer = dock.get("s.example", "/");
        assert_eq!(answer.status(), 503, "{}", answer.text());
        assert!(matches!(answer.header("x-wakedock"), Some("failed" | "backing-off")), "{:?}", answer.head);
        let wait: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
        (wait >= 8).then_some(wait)
    });
    let starts = bad.starts();
    bad.remove();
    good.docker().rename(good.name(), bad.name());
    let began = Instant::now();
    let answer = eventually(Duration::from_secs(5), "the new container is woken", || {
        Some(dock.get("s.example", "/")).filter(|answer| answer.status() == 200)
    });
    eprintln!(
        "figure: {starts} failed wakes, {wait} s to wait; a new container answered after {:?}",
        began.elapsed()
    );
    assert!(answer.instance().is_some());
    assert!(bad.running(), "the new container under the old name");
}
