//! Many callers, one wake.

use std::sync::Barrier;
use std::time::Duration;

use serde_json::json;

use crate::harness::{App, Connection, Request, WakeDock, alone, eventually, shared};

const CALLERS: usize = 500;
/// What all of them may cost, in kB.
const MEMORY: u64 = 20_000;

fn held(dock: &WakeDock, service: &str) -> usize {
    dock.metric("wakedock_held_requests", &[("service", service)]).unwrap_or_default() as usize
}

/// Every caller says which one it is, and wants that back: in the target, or as a body.
fn call(connection: &mut Connection, caller: usize) {
    let target = format!("/echo-headers?caller={caller}");
    if caller.is_multiple_of(2) {
        let answer = connection.exchange(&Request::get("crowd.example", &target)).unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.json()["target"], target.as_str());
    } else {
        let body = target.repeat(100);
        let answer = connection.exchange(&Request::post("crowd.example", "/echo", body.clone())).unwrap();
        assert_eq!((answer.status(), answer.text()), (200, body));
        assert!(answer.instance().is_some());
    }
}

#[test]
fn five_hundred_callers_are_one_wake() {
    let _turn = alone();
    let app = App::builder("crowd").env("LISTEN_DELAY", "3s").create();
    let dock = WakeDock::builder()
        .service(
            json!({ "name": "crowd", "hosts": ["crowd.example"], "container": app.name(), "port": app.port() }),
        )
        .start();
    let target = dock.proxy();
    let before = dock.rss_kb();
    let start = Barrier::new(CALLERS);
    let peak = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (start, target) = (&start, &target);
                let called = move || {
                    let mut connection = Connection::open(target).unwrap();
                    start.wait();
                    call(&mut connection, caller);
                };
                std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, called).unwrap()
            })
            .collect();
        let mut peak = 0;
        let mut most_held = 0;
        while !callers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            peak = peak.max(dock.rss_kb());
            if most_held < CALLERS {
                most_held = most_held.max(held(&dock, "crowd"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        callers.into_iter().for_each(|caller| caller.join().expect("a right answer"));
        assert_eq!(most_held, CALLERS, "so many were held at once");
        peak.max(dock.rss_kb())
    });
    let growth = peak.saturating_sub(before);
    eprintln!(
        "figure: {CALLERS} cold callers: memory {before} kB before, {peak} kB at most, {growth} kB more"
    );
    assert!(growth < MEMORY, "{growth} kB");
    let answers = [("service", "crowd"), ("code", "2xx"), ("by", "upstream")];
    assert_eq!(dock.metric("wakedock_requests_total", &answers), Some(CALLERS as f64));
    assert_eq!(dock.metric("wakedock_wakes_total", &[("service", "crowd")]), Some(1.0));
    assert_eq!(app.starts(), 1, "{:?}", app.events());
}

/// Trap 6: holds are bounded, and who comes over the bound is told when to come again.
#[test]
fn who_comes_over_the_bound_is_refused_and_the_others_are_answered() {
    let _turn = shared();
    let app = App::builder("bound").env("LISTEN_DELAY", "2s").create();
    let other = App::builder("other").env("LISTEN_DELAY", "2s").create();
    let dock = WakeDock::builder()
        .set("proxy.max_held", 5)
        .service(json!({ "name": "bound", "hosts": ["bound.example"], "container": app.name(), "port": 8080,
            "max_held": 3 }))
        .service(
            json!({ "name": "other", "hosts": ["other.example"], "container": other.name(), "port": 8080 }),
        )
        .start();
    let refused = |host: &str| {
        let answer = dock.get(host, "/");
        assert_eq!((answer.status(), answer.header("x-wakedock")), (503, Some("overloaded")));
        let retry: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
        assert!(retry >= 1, "{retry}");
    };
    std::thread::scope(|scope| {
        let hold = |host: &'static str, number: usize| -> Vec<_> {
            (0..number).map(|_| scope.spawn(|| dock.get(host, "/"))).collect()
        };
        let mut callers = hold("bound.example", 3);
        eventually(Duration::from_secs(5), "three are held", || (held(&dock, "bound") == 3).then_some(()));
        refused("bound.example");
        callers.extend(hold("other.example", 2));
        eventually(Duration::from_secs(5), "two are held", || (held(&dock, "other") == 2).then_some(()));
        refused("other.example");
        for caller in callers {
            let answer = caller.join().unwrap();
            assert_eq!(answer.status(), 200, "{}", answer.text());
            assert!(answer.instance().is_some());
        }
    });
    assert_eq!((held(&dock, "bound"), held(&dock, "other")), (0, 0));
    for service in ["bound", "other"] {
        let refusals = [("service", service), ("reason", "overloaded")];
        assert_eq!(dock.metric("wakedock_refusals_total", &refusals), Some(1.0), "{service}");
    }
}
