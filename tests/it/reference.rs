//! `docs/reference` says what the program says. `WAKEDOCK_BLESS=1` writes it anew.

use std::collections::BTreeMap;

use wakedock::admin::access::{Access, ROUTES};
use wakedock::clock;
use wakedock::domain::name::ServiceName;
use wakedock::domain::words::{Phase, Role};
use wakedock::metrics::{self, Live, ProcessMetrics, ServiceMetrics};

use crate::support::committed::committed;

#[test]
fn the_command_line_is_documented() {
    let reference = wakedock::cli::reference();
    assert!(reference.contains("## `wakedock config check`"), "{reference}");
    committed("docs/reference/cli.md", &reference);
}

#[test]
fn the_labels_are_documented() {
    let reference = wakedock::config::sources::labels_reference();
    assert!(reference.contains("| `wakedock.stop-after` |"), "{reference}");
    committed("docs/reference/labels.md", &reference);
}

#[test]
fn the_metrics_are_documented() {
    let reference = families();
    assert!(reference.contains("`wakedock_wake_overhead_seconds`"), "{reference}");
    committed("docs/reference/metrics.md", &reference);
}

/// A row that lets in more than before is seen here by whoever reads the change.
#[test]
fn who_may_use_which_route_is_documented() {
    let mut reference = String::from(
        "# Who may use which route\n\nThe one table that every request to WakeDock's own side is held against. \
         What does not stand here is refused, whoever asks. `HEAD` is as `GET`.\n\n\
         A token may be for some services alone: it reaches `/api/v1/services/{name}` of these, and what is \
         below. A `user` changes the services it owns, an `admin` all.\n\n\
         | method | route | for whom |\n|---|---|---|\n",
    );
    for route in ROUTES {
        let whom = match route.access {
            Access::Open => "everybody".to_owned(),
            Access::Metrics => "everybody; `viewer` and up where `admin.metrics_auth` is on".to_owned(),
            Access::SignedIn => "whoever is logged in".to_owned(),
            Access::Role(role) => format!("`{role}`{}", if role == Role::Admin { "" } else { " and up" }),
        };
        reference.push_str(&format!("| {} | `{}` | {whom} |\n", route.method, route.path));
    }
    assert!(ROUTES.len() > 80, "found only {} routes", ROUTES.len());
    committed("docs/reference/access.md", &reference);
}

/// One row a family, read from the text that a scraper gets.
fn families() -> String {
    let service = ServiceMetrics::new(ServiceName::parse("cloud").unwrap(), 1, clock::now());
    let live = Live { phase: Phase::Asleep, leases: 0, held: 0 };
    let text = metrics::render(&[(&service, Some(live))], clock::now());
    let process = ProcessMetrics::new().unwrap();
    let text = text + &metrics::FeedCounts::default().render() + &process.render();
    let mut labels: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let own = labels.entry(family).or_default();
        for pair in rest.split('}').next().unwrap_or("").split(',') {
            let label = pair.split('=').next().unwrap_or("");
            if label != "le" && !own.contains(&label) {
                own.push(label);
            }
        }
    }
    let page = String::from(
        "# Metrics\n\n`GET /metrics` on the admin listener, in the Prometheus text format. Made from what the \
         program serves.\n\nA label is a configured name or one of a closed list of words, never text from the \
         network. Requests for hosts that are nobody's count under the service `_unknown`.\n\n\
         | family | type | labels | what |\n|---|---|---|---|\n",
    );
    // The exporter has no order of its own.
    let mut rows = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, help) = line.split_once(' ').unwrap();
        let kind = text.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).unwrap();
        let own: Vec<_> = labels.get(name).into_iter().flatten().map(|label| format!("`{label}`")).collect();
        rows.push(format!("| `{name}` | {kind} | {} | {help} |\n", own.join(", ")));
    }
    assert!(rows.len() > 20, "found only {} families", rows.len());
    rows.sort();
    page + &rows.concat()
}
