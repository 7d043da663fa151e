//! The overview, and the rows that the script puts in place.

use axum::response::Response;

use crate::admin::pages::answer;
use crate::admin::pages::front::Front;
use crate::admin::pages::row::{row, totals};
use crate::admin::pages::visit::Visit;
use crate::config::Config;
use crate::html::dashboard::Place;
use crate::html::dashboard::overview::{self, Overview, Row, Sort, Start, Trouble};
use crate::supervisor::catalog::Catalog;

/// Rows of one answer at most.
const MOST: usize = 100;
/// Problems that are shown at once.
const TROUBLES: usize = 50;

pub(super) async fn page(visit: Visit) -> Response {
    let catalog = visit.state.catalog.current();
    let front = visit.front();
    let rows: Vec<Row> =
        visit.state.fleet.services().iter().map(|handle| row(handle, &catalog, &front)).collect();
    let troubles = troubles(&catalog, &rows);
    let view = Overview {
        rows,
        totals: totals(&visit.state),
        sort: Sort::parse(visit.asked("sort")),
        filter: visit.asked("q").chars().take(100).collect(),
        troubles,
        start: start(visit.state.running.load().settings(), &front),
    };
    answer::page(overview::overview(&visit.frame(Place::Services), &view))
}

pub(super) async fn fragment(visit: Visit) -> Response {
    let catalog = visit.state.catalog.current();
    let front = visit.front();
    let names = visit.query.iter().filter(|(key, _)| key == "name").map(|(_, name)| name).take(MOST);
    let handles = names.filter_map(|name| visit.state.fleet.get(name));
    let rows: Vec<_> = handles.map(|handle| row(&handle, &catalog, &front)).collect();
    answer::page(overview::rows(&visit.frame(Place::Services), &rows, &totals(&visit.state)))
}

fn troubles(catalog: &Catalog, rows: &[Row]) -> Vec<Trouble> {
    let of_services = catalog.entries.iter().flat_map(|(name, entry)| {
        entry.problems.iter().map(|problem| Trouble::new(Some(name.to_string()), problem))
    });
    let of_none = catalog.problems.iter().map(|problem| Trouble::new(None, problem));
    rows.iter().filter_map(Trouble::failed).chain(of_services).chain(of_none).take(TROUBLES).collect()
}

/// A first service: its host is beside the dashboard's own, where that has one.
fn start(config: &Config, front: &Front) -> Start {
    let beside = || {
        let (_, parent) = config.admin.host.as_ref()?.as_str().split_once('.')?;
        (parent == "localhost" || parent.contains('.')).then(|| parent.to_owned())
    };
    let domain = config.domain.clone().or_else(beside).unwrap_or_else(|| "localhost".to_owned());
    let host = format!("hi.{domain}");
    Start {
        labels: config.docker.labels,
        href: front.address(&host, ""),
        command: front.command(&host),
        host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CaddyTls;
    use crate::domain::host::Hostname;

    #[test]
    fn a_first_service_has_a_host_that_leads_here() {
        let said = |change: &dyn Fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            start(&config, &Front::of(&config.caddy, None, None))
        };
        let plain = said(&|config| {
            config.caddy.tls = CaddyTls::Off;
            config.caddy.http_port = 8080;
        });
        assert_eq!((plain.host.as_str(), plain.labels), ("hi.localhost", true));
        assert_eq!(plain.href, "http://hi.localhost:8080/");
        assert_eq!(plain.command, "curl http://hi.localhost:8080/");
        let own =
            |name: &'static str| move |config: &mut Config| config.admin.host = Hostname::parse(name).ok();
        assert_eq!(said(&own("dash.home.example")).host, "hi.home.example");
        assert_eq!(said(&own("dash.localhost")).host, "hi.localhost");
        assert_eq!(said(&own("dash.example")).host, "hi.localhost", "nobody's whole top level domain");
        let named = said(&|config| {
            config.domain = Some("apps.example.com".into());
            config.admin.host = Hostname::parse("dash.home.example").ok();
            config.docker.labels = false;
        });
        assert_eq!((named.host.as_str(), named.labels), ("hi.apps.example.com", false));
    }
}
