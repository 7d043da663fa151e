//! `/api/v1/services`: what there is, one by one, and orders to them.

mod awake;
mod edit;
mod events;
mod list;
mod logs;
pub mod metrics;
mod orders;
pub mod sessions;
pub mod wire;

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::admin::AdminState;
use crate::admin::api::router::{ApiRouter, Use, at};
use crate::admin::problem::Problem;
use crate::domain::name::ServiceName;
use crate::supervisor::catalog::Entry;
use crate::supervisor::handle::ServiceHandle;

pub(super) fn routes<U: Use>() -> ApiRouter<U> {
    ApiRouter::new()
        .json(at!("/api/v1/services": get list::list_services, post edit::create_service))
        .json(at!("/api/v1/services/{name}":
            get list::get_service,
            put edit::replace_service,
            patch edit::change_service,
            delete edit::delete_service))
        .any(at!("/api/v1/services/{name}/logs": get logs::get_service_logs))
        .json(at!("/api/v1/services/{name}/events": get events::list_service_events))
        .json(at!("/api/v1/services/{name}/metrics": get metrics::get_service_metrics))
        .json(at!("/api/v1/services/{name}/sessions": get sessions::list_service_sessions))
        .json(at!("/api/v1/services/{name}/wake": post orders::wake_service))
        .json(at!("/api/v1/services/{name}/stop": post orders::stop_service))
        .json(at!("/api/v1/services/{name}/restart": post orders::restart_service))
        .json(at!("/api/v1/services/{name}/keep-awake":
            post awake::keep_service_awake,
            delete awake::let_service_sleep))
}

/// The service that a path names: what is said about it, and the way to talk to it, where it is
/// not left out.
pub(super) struct Known {
    pub(super) entry: Option<Arc<Entry>>,
    pub(super) handle: Option<ServiceHandle>,
}

impl Known {
    pub(super) fn find(state: &AdminState, name: &ServiceName) -> Self {
        let entry = state.catalog.current().entries.get(name).cloned();
        Self { entry, handle: state.fleet.get(name.as_str()) }
    }

    /// The name that both of them have.
    pub(super) fn name(&self) -> Option<ServiceName> {
        let said = self.entry.as_ref().map(|entry| entry.name.clone());
        said.or_else(|| self.handle.as_ref().map(ServiceHandle::name))
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.entry.is_none() && self.handle.is_none()
    }
}

impl FromRequestParts<AdminState> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Problem> {
        let Some(Ok(name)) = path_name(parts, state).await else { return Err(unknown_service()) };
        let known = Self::find(state, &name);
        if known.is_nothing() { Err(unknown_service()) } else { Ok(known) }
    }
}

/// The name in a path. `None`: it is no text.
async fn path_name(
    parts: &mut Parts,
    state: &AdminState,
) -> Option<Result<ServiceName, crate::domain::name::NameError>> {
    let name: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
    name.ok().map(|Path(name)| ServiceName::parse(&name))
}

/// The name of a service that there is, also where it is left out: it has a past all the same.
pub(super) struct Past(pub(super) ServiceName);

impl FromRequestParts<AdminState> for Past {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Problem> {
        let known = Known::from_request_parts(parts, state).await?;
        known.name().map(Self).ok_or_else(unknown_service)
    }
}

/// The service that a path names, which can be talked to.
pub(super) struct Named(pub(super) ServiceHandle);

impl FromRequestParts<AdminState> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Problem> {
        let known = Known::from_request_parts(parts, state).await?;
        known.handle.map(Self).ok_or_else(|| {
            Problem::new(StatusCode::CONFLICT, "left-out", "The service is left out")
                .detail("Its `problems` say why: mend them first.")
        })
    }
}

pub(super) fn unknown_service() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-service", "No service has this name")
        .detail("`GET /api/v1/services` lists the services there are.")
}
