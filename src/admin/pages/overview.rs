//! The overview, and the rows that the script puts in place.

use axum::response::Response;

use crate::admin::pages::answer;
use crate::admin::pages::row::{row, totals};
use crate::admin::pages::visit::Visit;
use crate::html::dashboard::Place;
use crate::html::dashboard::overview::{self, Overview, Sort};

/// Rows of one answer at most.
const MOST: usize = 100;

pub(super) async fn page(visit: Visit) -> Response {
    let catalog = visit.state.catalog.current();
    let rows = visit.state.fleet.services().iter().map(|handle| row(handle, &catalog)).collect();
    let view = Overview {
        rows,
        totals: totals(&visit.state),
        sort: Sort::parse(visit.asked("sort")),
        filter: visit.asked("q").chars().take(100).collect(),
        domain: "localhost".to_owned(),
    };
    answer::page(overview::overview(&visit.frame(Place::Services), &view))
}

pub(super) async fn fragment(visit: Visit) -> Response {
    let catalog = visit.state.catalog.current();
    let names = visit.query.iter().filter(|(key, _)| key == "name").map(|(_, name)| name).take(MOST);
    let handles = names.filter_map(|name| visit.state.fleet.get(name));
    let rows: Vec<_> = handles.map(|handle| row(&handle, &catalog)).collect();
    answer::page(overview::rows(&visit.frame(Place::Services), &rows, &totals(&visit.state)))
}
