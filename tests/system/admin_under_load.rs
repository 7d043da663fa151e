//! The admin side stays responsive while the data plane is saturated and ten thousand requests are
//! held.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{App, Connection, Request, Times, WakeDock, alone, eventually, optimised};

const HELD: usize = 10_000;
/// Clients of the service that is awake, each asking again as soon as it has its answer.
const BUSY: usize = 32;
/// Requests of each kind that are timed.
const ASKED: usize = 300;
/// The bound for 99 of 100.
const P99: Duration = Duration::from_millis(50);

const OPEN: &[&str] = &["/livez", "/readyz", "/metrics"];
const GUARDED: &[&str] = &[
    "/api/v1/services",
    "/api/v1/system/overview",
    "/",
    "/services/awake",
    "/activity",
    "/caddy",
    "/users",
    "/audit",
    "/settings",
];
/// On one box.
const SERVICES: usize = 100;

#[test]
fn the_admin_side_answers_in_time_while_ten_thousand_requests_are_held() {
    let _turn = alone();
    let stuck = App::builder("stuck").env("LISTEN_DELAY", "60m").create();
    let awake = App::builder("awake").create();
    let mut builder = WakeDock::builder()
        .set("proxy.max_held", HELD)
        .service(json!({
            "name": "stuck", "hosts": ["stuck.test"], "container": stuck.name(), "port": stuck.port(),
            "max_held": HELD, "wake_timeout": "10m", "hold_timeout": "10m",
        }))
        .service(json!({
            "name": "awake", "hosts": ["awake.test"], "container": awake.name(), "port": awake.port(),
        }));
    for number in 2..SERVICES {
        builder = builder.service(json!({
            "name": format!("more-{number}"), "hosts": [format!("more-{number}.test")],
            "container": format!("there-is-none-{number}"), "port": 8080,
        }));
    }
    let dock = builder.start();
    assert_eq!(dock.get("awake.test", "/").status(), 200);

    let (front, head) = (dock.proxy_unix(), Request::get("stuck.test", "/").head());
    let began = Instant::now();
    let held: Vec<Connection> = (0..HELD)
        .map(|_| {
            let mut connection = Connection::open(&front).unwrap();
            connection.send(&head).unwrap();
            connection
        })
        .collect();
    eventually(Duration::from_secs(20), "all of them are held", || {
        (dock.metric("wakedock_held_requests", &[("service", "stuck")]) == Some(HELD as f64)).then_some(())
    });
    eprintln!("figure: {HELD} requests held after {:.1?}, {} kB resident", began.elapsed(), dock.rss_kb());

    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let slow = std::thread::scope(|scope| {
        for _ in 0..BUSY {
            scope.spawn(|| {
                let mut connection = Connection::open(&front).unwrap();
                let request = Request::get("awake.test", "/bytes/1000");
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(connection.exchange(&request).unwrap().status(), 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        eventually(Duration::from_secs(10), "the load is on", || {
            (answered.load(Ordering::Relaxed) > 1000).then_some(())
        });
        let (before, began) = (answered.load(Ordering::Relaxed), Instant::now());
        let slow = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| slow_ones(&dock)));
        let load = (answered.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64();
        // Whatever came of it: the clients end, or the scope would never.
        stop.store(true, Ordering::Relaxed);
        eprintln!("figure: meanwhile {load:.0} requests a second through the proxy");
        slow
    });
    let slow = slow.unwrap_or_else(|problem| std::panic::resume_unwind(problem));
    assert!(slow.is_empty(), "over the bound: {slow:#?}");
    assert_eq!(dock.metric("wakedock_held_requests", &[("service", "stuck")]), Some(HELD as f64));
    drop(held);
}

/// Asks for everything in turn, each time on a new connection: what was not quick enough.
fn slow_ones(dock: &WakeDock) -> Vec<String> {
    let (api, admin) = (dock.api(), dock.admin());
    let open = OPEN.iter().map(|path| (*path, Request::get("localhost", path), &admin));
    let guarded = GUARDED.iter().map(|path| (*path, api.request("GET", path, None), api.target()));
    let mut timed: Vec<_> = open
        .chain(guarded)
        .map(|(path, request, target)| (path, request, target, Times::default()))
        .collect();
    for _ in 0..ASKED {
        for (path, request, target, times) in &mut timed {
            let answer =
                times.time(|| request.send(target)).unwrap_or_else(|problem| panic!("{path}: {problem}"));
            assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        }
    }
    let mut slow = Vec::new();
    for (path, _, _, mut times) in timed {
        let line = format!("{path} under load, {} times: {}", times.count(), times.shown());
        eprintln!("figure: {line}");
        // Nobody waits for a scrape: its half megabyte may take twice as long.
        let bound = if path == "/metrics" { 2 * P99 } else { P99 };
        if times.percentile(99) >= if optimised() { bound } else { 4 * bound } {
            slow.push(line);
        }
    }
    slow
}
