//! `/readyz`: 503 only while WakeDock cannot serve. What is merely away is `degraded`, and named.

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::admin::AdminState;
use crate::store::StoreHealth;

/// How far WakeDock is in its own life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Starting,
    Serving,
    Draining,
}

/// Whether the configuration that runs is the one in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigStatus {
    Current,
    /// The last edit was refused; the one before runs on.
    Stale,
    /// Applied, but some of it waits for a restart.
    WaitsForRestart,
}

pub(super) async fn readyz(State(state): State<AdminState>, RawQuery(query): RawQuery) -> Response {
    let strict = query
        .is_some_and(|query| query.split('&').any(|pair| pair == "strict" || pair.starts_with("strict=")));
    let checks = [
        ("config", *state.config.borrow() != ConfigStatus::Stale),
        ("engine", state.fleet.engine_status().borrow().connected),
        ("caddy", state.publish.borrow().is_fine()),
        ("store", state.store.health() == StoreHealth::Ok),
    ];
    let all_fine = checks.iter().all(|(_, fine)| *fine);
    let (word, serves) = match *state.stage.borrow() {
        Stage::Starting => ("starting", false),
        Stage::Draining => ("draining", false),
        Stage::Serving if all_fine => ("ready", true),
        Stage::Serving => ("degraded", !strict),
    };
    let verdicts: serde_json::Map<String, serde_json::Value> = checks
        .iter()
        .map(|(name, fine)| ((*name).to_owned(), if *fine { "ok" } else { "degraded" }.into()))
        .collect();
    let status = if serves { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({ "status": word, "checks": verdicts });
    let fields = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, fields, format!("{body}\n")).into_response()
}
