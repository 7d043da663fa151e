//! The control plane's HTTP surface: the dashboard, the API, health, metrics, and Caddy's question
//! whether a host is ours.
//!
//! It has listeners and a runtime of its own, so that a saturated data plane still answers here.
//! Every request passes the door, which holds it against the one table in [`access`].

pub mod access;
pub mod api;
mod ask;
pub mod audit;
pub mod auth;
#[doc(hidden)]
pub mod bench;
pub mod caller;
mod cors;
mod crowd;
mod door;
mod figures;
mod gzip;
mod headers;
mod health;
mod names;
pub mod oidc;
mod owners;
pub mod pages;
mod patience;
pub mod peer;
pub mod problem;
mod secret;
mod serve;
mod speech;
pub mod streams;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::sync::watch;

pub use health::{ConfigStatus, Stage};
pub use serve::{HandOver, Listeners, LocalSocket, Server, serve};

use crate::admin::auth::Auth;
use crate::admin::problem::Problem;
use crate::admin::streams::Streams;
use crate::config::{AdminConfig, Running};
use crate::metrics::ProcessMetrics;
use crate::store::Store;
use crate::supervisor::catalog::CatalogHandle;
use crate::supervisor::fleet::Fleet;
use crate::supervisor::publish::{PublishState, PublisherHandle};

/// What the surface shows.
#[derive(Clone, Debug)]
pub struct AdminState {
    pub fleet: Arc<Fleet>,
    pub catalog: CatalogHandle,
    pub process: ProcessMetrics,
    pub store: Store,
    pub stage: watch::Receiver<Stage>,
    pub config: watch::Receiver<ConfigStatus>,
    /// The configuration that runs, and how its last reading went.
    pub running: Arc<ArcSwap<Running>>,
    /// Where the proxy answers over TCP, as it was bound.
    pub proxy_address: Option<SocketAddr>,
    pub publish: watch::Receiver<PublishState>,
    pub publisher: PublisherHandle,
    /// The part of the configuration that is read anew for each request.
    pub settings: Arc<ArcSwap<AdminConfig>>,
    pub auth: Arc<Auth>,
    /// Answers that go on.
    pub streams: Arc<Streams>,
    /// Log-ins by an OpenID Connect provider.
    pub oidc: Arc<oidc::LogIns>,
}

/// Every route of the surface.
pub fn router(state: AdminState) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(figures::metrics))
        .route("/caddy/ask", get(ask::ask))
        .merge(api::routes())
        .merge(pages::routes())
        .merge(oidc::routes())
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "not-found", "There is nothing here") })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This cannot be done here")
        })
        .layer(from_fn_with_state(door::Door::new(state.clone()), door::door))
        .layer(from_fn_with_state(state.clone(), pages::errors_as_pages))
        .with_state(state)
}

/// An error in a few words.
fn problem(status: StatusCode, kind: &str, title: &str) -> Problem {
    Problem::new(status, kind, title)
}
