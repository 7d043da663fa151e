//! What happened to one service.

use axum::Json;
use axum::extract::State;

use crate::admin::AdminState;
use crate::admin::api::events::Backwards;
use crate::admin::api::events::wire::EventRecord;
use crate::admin::api::page::{Page, Paging};
use crate::admin::api::query::Query;
use crate::admin::api::services::Past;
use crate::admin::problem::Problem;

/// List what happened to a service
///
/// The newest first. `GET /api/v1/events?service=…` follows what comes.
#[utoipa::path(
    get, path = "/api/v1/services/{name}/events", tag = "services", operation_id = "listServiceEvents",
    params(("name" = String, Path, description = "The service's name"), Paging),
    responses(
        (status = 200, description = "One page of events", body = Page<EventRecord>),
        (status = 503, description = "The store is away", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list_service_events(
    State(state): State<AdminState>,
    Past(name): Past,
    Query(paging): Query<Backwards>,
) -> Result<Json<Page<EventRecord>>, Problem> {
    Ok(Json(paging.page(state.fleet.journal(), Some(&name)).await?))
}
