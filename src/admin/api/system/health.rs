//! What `/readyz` says, with the reasons.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::admin::api::query::Query;
use crate::admin::api::wire::{Time, one_of};
use crate::admin::{AdminState, ConfigStatus, Stage};
use crate::store::StoreHealth;

fn statuses() -> Object {
    one_of(["starting", "ready", "degraded", "draining"].into_iter())
}

fn verdicts() -> Object {
    one_of(["ok", "degraded"].into_iter())
}

fn names() -> Object {
    one_of(["config", "engine", "caddy", "store"].into_iter())
}

/// How WakeDock does.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Health {
    /// `degraded`: it serves, and something is away.
    #[schema(schema_with = statuses)]
    pub status: &'static str,
    pub checks: Vec<Check>,
}

/// One of the things that WakeDock stands on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Check {
    #[schema(schema_with = names)]
    pub name: &'static str,
    #[schema(schema_with = verdicts)]
    pub status: &'static str,
    /// What is the matter, and what still works.
    pub detail: Option<String>,
    /// Since when, where that is known.
    pub since: Option<Time>,
}

impl Check {
    fn new(name: &'static str, fine: bool, detail: Option<String>, since: Option<Time>) -> Self {
        Self { name, status: if fine { "ok" } else { "degraded" }, detail, since }
    }
}

impl Health {
    /// How it does now.
    #[must_use]
    pub fn new(state: &AdminState) -> Self {
        let config = match *state.config.borrow() {
            ConfigStatus::Current => Check::new("config", true, None, None),
            ConfigStatus::WaitsForRestart => {
                let detail = "A part of the last edit waits for a restart; the rest is applied.";
                Check::new("config", true, Some(detail.to_owned()), None)
            }
            ConfigStatus::Stale => {
                let detail = "The last edit of the configuration file was refused, and the one before goes \
                              on: `wakedock config check` says why.";
                Check::new("config", false, Some(detail.to_owned()), None)
            }
        };
        let engine = {
            let status = state.fleet.engine_status();
            let status = status.borrow();
            let detail = if status.connected {
                status.version.clone()
            } else {
                Some("Docker does not answer: what is awake goes on, nothing is woken or stopped.".to_owned())
            };
            Check::new("engine", status.connected, detail, Some(status.since.into()))
        };
        let caddy = {
            let publish = state.publish.borrow();
            let since = publish.outcome.map(|_| publish.at.into());
            Check::new("caddy", publish.is_fine(), publish.message.clone(), since)
        };
        let store = match state.store.health() {
            StoreHealth::Ok => Check::new("store", true, None, None),
            StoreHealth::ReadOnly { since, reason, dropped } => {
                let detail = format!(
                    "Nothing can be written: {reason}. Services go on; changes are refused, and {dropped} \
                     sessions were not kept."
                );
                Check::new("store", false, Some(detail), Some(since.into()))
            }
        };
        let checks = vec![config, engine, caddy, store];
        let status = match *state.stage.borrow() {
            Stage::Starting => "starting",
            Stage::Draining => "draining",
            Stage::Serving if checks.iter().all(|check| check.status == "ok") => "ready",
            Stage::Serving => "degraded",
        };
        Self { status, checks }
    }
}

/// Show how WakeDock does
#[utoipa::path(
    get, path = "/api/v1/system/health", tag = "system", operation_id = "getHealth",
    responses((status = 200, description = "How it does, whatever that is", body = Health)),
)]
pub(super) async fn get_health(State(state): State<AdminState>, _none: Query<()>) -> Json<Health> {
    Json(Health::new(&state))
}
