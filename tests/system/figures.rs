//! What is told about WakeDock: memory, metrics, correlation ids, log lines.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{App, Request, WakeDock, alone, eventually, optimised, shared};

/// The bound for 100 configured services, idle.
const RESIDENT_KB: u64 = 12_000;

#[test]
fn a_hundred_services_asleep_cost_little_memory() {
    let _turn = alone();
    let apps = ["one", "two", "three"].map(|hint| App::builder(hint).create());
    let mut builder = WakeDock::builder();
    for number in 0..100 {
        let container =
            apps.get(number).map_or(format!("there-is-none-{number}"), |app| app.name().to_owned());
        builder = builder.service(json!({
            "name": format!("service-{number}"), "hosts": [format!("s{number}.test")],
            "container": container, "port": 8080,
        }));
    }
    let dock = builder.start();
    // The figure of the issue is that of five idle seconds.
    std::thread::sleep(Duration::from_secs(5));
    let resident = dock.rss_kb();
    let after_scrape = (dock.metrics().len(), dock.rss_kb());
    assert_eq!(dock.get("s0.test", "/").status(), 200, "and it works");
    eprintln!(
        "figure: {resident} kB resident with 100 services, {} kB after a scrape of {} kB",
        after_scrape.1,
        after_scrape.0 / 1000
    );
    let bound = if optimised() { RESIDENT_KB } else { 4 * RESIDENT_KB };
    assert!(resident <= bound, "{resident} kB are more than {bound} kB");
}

const PHASES: &[&str] = &["asleep", "waking", "ready", "stopping", "failed"];
const REASONS: &[&str] = &[
    "waking",
    "failed",
    "backing-off",
    "overloaded",
    "draining",
    "disabled",
    "engine-unavailable",
    "prefetch",
    "hold-timeout",
    "upstream-timeout",
    "upstream-error",
    "unknown-host",
    "not-found",
    "bad-request",
    "too-large",
    "internal",
    "ignored",
];
const CAUSES: &[&str] = &["idle", "manual", "failed_wake", "shutdown", "external", "schedule", "pressure"];
const OPERATIONS: &[&str] =
    &["inspect", "start", "stop", "pause", "unpause", "logs", "usage", "events", "version"];

/// Name, kind, and the labels of which every combination is there from the start, beside `service`.
type Family = (&'static str, &'static str, bool, &'static [(&'static str, &'static [&'static str])]);

/// What the interface names.
const FAMILIES: &[Family] = &[
    (
        "wakedock_requests_total",
        "counter",
        true,
        &[("code", &["1xx", "2xx", "3xx", "4xx", "5xx"]), ("by", &["upstream", "wakedock"])],
    ),
    ("wakedock_request_duration_seconds", "histogram", true, &[]),
    ("wakedock_leases", "gauge", true, &[]),
    ("wakedock_held_requests", "gauge", true, &[]),
    ("wakedock_service_phase", "gauge", true, &[("phase", PHASES)]),
    (
        "wakedock_wakes_total",
        "counter",
        true,
        &[("cause", &["request"]), ("outcome", &["ready", "failed", "timeout", "cancelled"])],
    ),
    ("wakedock_wake_duration_seconds", "histogram", true, &[]),
    ("wakedock_wake_overhead_seconds", "histogram", true, &[]),
    ("wakedock_stops_total", "counter", true, &[("cause", CAUSES)]),
    ("wakedock_refusals_total", "counter", true, &[("reason", REASONS)]),
    ("wakedock_awake_seconds_total", "counter", true, &[]),
    ("wakedock_asleep_seconds_total", "counter", true, &[]),
    ("wakedock_memory_saved_byte_seconds_total", "counter", true, &[]),
    ("wakedock_engine_request_duration_seconds", "histogram", false, &[("operation", OPERATIONS)]),
    ("wakedock_engine_errors_total", "counter", false, &[("operation", OPERATIONS)]),
    ("wakedock_engine_connected", "gauge", false, &[]),
    (
        "wakedock_publish_total",
        "counter",
        false,
        &[("outcome", &["published", "unchanged", "rejected", "unreachable"])],
    ),
    ("wakedock_config_reloads_total", "counter", false, &[("outcome", &["applied", "rejected"])]),
    (
        "wakedock_cuts_total",
        "counter",
        false,
        &[(
            "limit",
            &["connections", "connections_per_address", "streams", "flood", "head", "body", "write"],
        )],
    ),
    ("wakedock_build_info", "gauge", false, &[]),
    ("process_cpu_seconds_total", "counter", false, &[]),
    ("process_resident_memory_bytes", "gauge", false, &[]),
    ("process_virtual_memory_bytes", "gauge", false, &[]),
    ("process_start_time_seconds", "gauge", false, &[]),
    ("process_open_fds", "gauge", false, &[]),
    ("process_max_fds", "gauge", false, &[]),
];

/// Every combination of these labels.
fn combinations(
    labels: &[(&'static str, &'static [&'static str])],
) -> Vec<Vec<(&'static str, &'static str)>> {
    labels.iter().fold(vec![Vec::new()], |all, (key, values)| {
        let with = |start: &Vec<_>, value| [start.as_slice(), &[(*key, value)]].concat();
        all.iter().flat_map(|start| values.iter().map(move |value| with(start, *value))).collect()
    })
}

#[test]
fn every_family_stands_there_from_the_start() {
    let _turn = shared();
    let app = App::builder("counted").create();
    let dock = WakeDock::builder()
        .service(json!({ "name": "counted", "hosts": ["counted.test"], "container": app.name(), "port": app.port() }))
        .start();
    let text = dock.metrics();
    let mut samples = 0;
    for (name, kind, per_service, labels) in FAMILIES {
        assert_eq!(
            text.matches(&format!("# TYPE {name} {kind}\n")).count(),
            1,
            "{name} is a {kind}, said once"
        );
        assert_eq!(
            text.matches(&format!("# HELP {name} ")).count(),
            if name.starts_with("wakedock_") || name.starts_with("process_") { 1 } else { 0 }
        );
        for mut labels in combinations(labels) {
            if *per_service {
                labels.push(("service", "counted"));
            }
            let names = match *kind {
                "histogram" => vec![format!("{name}_count"), format!("{name}_sum"), format!("{name}_bucket")],
                _ => vec![(*name).to_owned()],
            };
            for name in names {
                let value = dock_value(&text, &name, &labels);
                let value = value.unwrap_or_else(|| panic!("{name}{labels:?} is missing"));
                samples += 1;
                let moves = [
                    "_seconds_total",
                    "process_",
                    "_connected",
                    "_build_info",
                    "_engine_request",
                    "phase\", \"asleep",
                ];
                if *per_service && !moves.iter().any(|part| format!("{name}{labels:?}").contains(part)) {
                    assert!(
                        value.abs() < f64::EPSILON,
                        "{name}{labels:?} is {value} before anything happened"
                    );
                }
            }
        }
    }
    assert_eq!(dock_value(&text, "wakedock_service_phase", &[("phase", "asleep")]), Some(1.0));
    let unknown = dock_value(
        &text,
        "wakedock_requests_total",
        &[("service", "_unknown"), ("code", "4xx"), ("by", "wakedock")],
    );
    assert_eq!(unknown, Some(0.0));
    eprintln!("figure: {} families, {samples} samples checked", FAMILIES.len());
}

/// Reads with the harness's own reader, from one scrape.
fn dock_value(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    crate::harness::metric_value(text, name, labels)
}

#[test]
fn labels_never_hold_what_the_network_says() {
    let _turn = shared();
    let app = App::builder("junk").create();
    let dock = WakeDock::builder()
        .service(json!({
            "name": "junk", "hosts": ["*.junk.test"], "container": app.name(), "port": app.port(),
            "readiness": { "type": "tcp" },
        }))
        .start();
    assert_eq!(dock.get("first.junk.test", "/").status(), 200);
    let series = |text: &str| {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        // A histogram that nothing was counted in says no more than that.
        let mut keys: Vec<String> = lines
            .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
            .map(|key| key.split_once("le=\"").map_or(key.clone(), |(name, _)| name.to_owned()))
            .collect();
        keys.sort();
        keys.dedup();
        keys
    };
    let before = series(&dock.metrics());
    for number in 0..50 {
        for host in [
            format!("marker{number}.stranger.test"),
            format!("marker{number}.junk.test"),
            format!("marker{number}\"}}"),
        ] {
            let request = Request::new("MARKER", &host, &format!("/marker{number}"));
            let request = request.header("User-Agent", "marker").header("X-Request-ID", "marker\"} 1");
            let _ = request.send(&dock.proxy());
        }
        assert_eq!(dock.get("any.junk.test", &format!("/status/{}", 200 + number)).status(), 200 + number);
    }
    let text = dock.metrics();
    assert!(!text.to_lowercase().contains("marker") && !text.contains("stranger"), "text from the network");
    assert_eq!(series(&text), before, "no series was added by what strangers sent");
    assert!(
        dock_value(&text, "wakedock_requests_total", &[("service", "_unknown"), ("code", "4xx")]).unwrap()
            >= 50.0
    );
    assert!(dock_value(&text, "wakedock_refusals_total", &[("reason", "unknown-host")]).unwrap() >= 50.0);
}

/// The id that the application was given for a request.
fn forwarded(answer: &crate::harness::Answer) -> Vec<String> {
    let described = answer.json();
    let fields = described["headers"].as_array().unwrap().iter();
    fields
        .filter(|field| field[0].as_str().is_some_and(|name| name.eq_ignore_ascii_case("x-request-id")))
        .map(|field| field[1].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn one_id_leads_through_answer_log_and_application() {
    let _turn = shared();
    let app = App::builder("ids").create();
    let service =
        json!({ "name": "ids", "hosts": ["ids.test"], "container": app.name(), "port": app.port() });
    let dock = WakeDock::builder()
        .set("log.access", true)
        .set("proxy.trusted_proxies", json!([]))
        .service(service)
        .start();
    let logged = |id: &str, status: u16| {
        eventually(Duration::from_secs(5), &format!("a log line of {id}"), || {
            let mut lines = dock.logged("request").into_iter();
            lines.find(|line| line["request_id"] == id && line["status"] == status)
        })
    };
    let well_formed = "from.Caddy_1-2";
    let (long, longest) = ("x".repeat(129), "x".repeat(128));
    for (target, given, believed) in [
        (dock.proxy_unix(), Some(well_formed), true),
        (dock.proxy_unix(), Some(longest.as_str()), true),
        (dock.proxy_unix(), Some(long.as_str()), false),
        (dock.proxy_unix(), Some("two words"), false),
        (dock.proxy_unix(), Some("a\"b"), false),
        (dock.proxy_unix(), Some(""), false),
        (dock.proxy_unix(), None, false),
        // A stranger's connection: nothing it says of this is believed.
        (dock.proxy(), Some(well_formed), false),
        (dock.proxy(), None, false),
    ] {
        for (host, status) in [("ids.test", 200), ("stranger.test", 404)] {
            let mut request = Request::get(host, "/echo-headers");
            if let Some(given) = given {
                request = request.header("X-Request-ID", given);
            }
            let answer = request.send(&target).unwrap();
            assert_eq!(answer.status(), status, "{}", answer.text());
            let id = match status {
                200 => {
                    let ids = forwarded(&answer);
                    assert_eq!(ids.len(), 1, "{given:?}: the application got {ids:?}");
                    ids[0].clone()
                }
                _ => answer.header("x-request-id").expect("an id on an answer of WakeDock's own").to_owned(),
            };
            assert_eq!(answer.header("x-request-id"), Some(id.as_str()), "{given:?}: the answer names it");
            assert_eq!(given == Some(id.as_str()), believed, "{given:?} became {id}");
            let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            assert!((1..=128).contains(&id.len()) && id.chars().all(fits), "{id:?}");
            assert_eq!(logged(&id, status)["service"], if status == 200 { "ids" } else { "_unknown" });
        }
    }
    let two =
        Request::get("ids.test", "/echo-headers").header("X-Request-ID", "a").header("X-Request-ID", "b");
    let ids = forwarded(&two.send(&dock.proxy_unix()).unwrap());
    assert!(ids.len() == 1 && ids[0] != "a" && ids[0] != "b", "two are none: {ids:?}");

    let log = dock.log();
    assert!(log.lines().count() > 20);
    for line in log.lines() {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        for key in ["time", "level", "message"] {
            assert!(parsed[key].as_str().is_some_and(|text| !text.is_empty()), "{key} is missing in {line}");
        }
        assert!(["error", "warn", "info"].contains(&parsed["level"].as_str().unwrap()), "{line}");
        let time = parsed["time"].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
    }
}
