//! `/api/v1`: everything that programs may ask and order, and its OpenAPI document.
//!
//! A part adds its operations as an [`ApiRouter`] in [`operations`]; each handler carries
//! `#[utoipa::path]`, so that the document cannot fall behind the routes.

mod accept;
mod answers;
mod audit;
pub mod auth;
mod backup;
pub mod body;
mod caddy;
pub mod events;
mod openapi;
pub mod page;
pub mod precondition;
pub mod query;
pub mod reference;
pub mod router;
pub mod sent;
pub mod services;
mod settings;
mod sse;
pub mod system;
mod tokens;
pub mod users;
pub mod wire;

pub use openapi::document;
pub(crate) use router::at;
pub use router::{ApiRouter, Document, Serve, Use};

use axum::Router;

use crate::admin::AdminState;

/// Every operation of the API.
#[must_use]
pub fn operations<U: Use>() -> ApiRouter<U> {
    ApiRouter::new()
        .json(at!("/api/v1/openapi.json": get openapi::get_open_api))
        .merge(reference::routes())
        .merge(services::routes())
        .merge(events::routes())
        .merge(system::routes())
        .merge(backup::routes())
        .merge(caddy::routes())
        .merge(auth::routes())
        .merge(users::routes())
        .merge(tokens::routes())
        .merge(settings::routes())
        .merge(audit::routes())
}

/// The routes under `/api/v1`.
pub fn routes() -> Router<AdminState> {
    operations::<Serve>().into_router()
}
