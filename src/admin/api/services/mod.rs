//! `/api/v1/services`: what there is, one by one, and orders to them.

mod list;
mod orders;
pub mod wire;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::admin::AdminState;
use crate::admin::api::router::{ApiRouter, at};
use crate::admin::problem::Problem;
use crate::supervisor::handle::ServiceHandle;

pub(super) fn routes() -> ApiRouter {
    ApiRouter::new()
        .json(at!("/api/v1/services": get list::list_services))
        .json(at!("/api/v1/services/{name}": get list::get_service))
        .json(at!("/api/v1/services/{name}/wake": post orders::wake_service))
        .json(at!("/api/v1/services/{name}/stop": post orders::stop_service))
        .json(at!("/api/v1/services/{name}/restart": post orders::restart_service))
}

/// The service that a path names.
pub(super) struct Named(pub(super) ServiceHandle);

impl FromRequestParts<AdminState> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Problem> {
        let name: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        let found = name.ok().and_then(|Path(name)| state.fleet.get(&name));
        found.map(Self).ok_or_else(unknown_service)
    }
}

pub(super) fn unknown_service() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-service", "No service has this name")
        .detail("`GET /api/v1/services` lists the services there are.")
}
