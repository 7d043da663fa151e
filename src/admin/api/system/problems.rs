//! What cannot be used of what the sources say, in one list.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::api::page::{PARAMETERS, Page, Paging};
use crate::admin::api::query::{FromQuery, Given, Query};
use crate::admin::api::services::wire::ServiceProblem;
use crate::config::SourceProblem;

/// A problem, and whose it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SourceProblem)]
pub struct SourceProblemRecord {
    /// Null: of a container that makes no service, or of all services.
    pub service: Option<String>,
    /// The container that it is about, where that makes no service.
    pub container: Option<String>,
    #[serde(flatten)]
    pub problem: ServiceProblem,
}

impl SourceProblemRecord {
    fn new(service: Option<String>, problem: &SourceProblem) -> Self {
        Self { service, container: problem.container.clone(), problem: problem.into() }
    }
}

/// One page of them.
pub(super) struct Problems(Paging);

impl FromQuery for Problems {
    const KNOWN: &'static [&'static str] = &PARAMETERS;

    fn read(given: &mut Given) -> Self {
        Self(Paging::read(given))
    }
}

/// List the problems
///
/// All that file, API and labels say and that cannot be used: first of containers that make no
/// service, then of the services, by their names.
#[utoipa::path(
    get, path = "/api/v1/system/problems", tag = "system", operation_id = "listProblems",
    params(Paging),
    responses((status = 200, description = "One page of problems", body = Page<SourceProblemRecord>)),
)]
pub(super) async fn list_problems(
    State(state): State<AdminState>,
    Query(Problems(paging)): Query<Problems>,
) -> Json<Page<SourceProblemRecord>> {
    let catalog = state.catalog.current();
    let general = catalog.problems.iter().map(|problem| SourceProblemRecord::new(None, problem));
    let own = catalog.entries.values().flat_map(|entry| {
        let name = entry.name.to_string();
        entry.problems.iter().map(move |problem| SourceProblemRecord::new(Some(name.clone()), problem))
    });
    // Their place in the list is their key: nothing else tells two of them apart.
    let all = general.chain(own).enumerate().map(|(place, problem)| (format!("{place:09}"), problem));
    let page = paging.cut(all, |(place, _)| place.clone());
    Json(Page { items: page.items.into_iter().map(|(_, problem)| problem).collect(), next: page.next })
}
