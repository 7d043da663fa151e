//! Which WakeDock this is, and what it works with.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::admin::AdminState;
use crate::admin::api::query::Query;
use crate::admin::api::wire::{Time, millis, one_of};
use crate::clock;
use crate::config::CaddyMode;
use crate::domain::time::Moment;

fn modes() -> Object {
    one_of([CaddyMode::Managed, CaddyMode::File, CaddyMode::Off].into_iter().map(mode_word))
}

pub(in crate::admin::api) const fn mode_word(mode: CaddyMode) -> &'static str {
    match mode {
        CaddyMode::Managed => "managed",
        CaddyMode::File => "file",
        CaddyMode::Off => "off",
    }
}

/// This WakeDock.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Info {
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    pub started_at: Time,
    pub uptime_ms: u64,
    /// The machine's name.
    pub host: String,
    pub engine: EngineInfo,
    /// How Caddy is told of the hosts.
    #[schema(schema_with = modes)]
    pub caddy: &'static str,
}

/// The container engine.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EngineInfo {
    pub connected: bool,
    pub since: Time,
    /// Of the engine and its API, while it answers.
    pub version: Option<String>,
}

/// Show which WakeDock this is
#[utoipa::path(
    get, path = "/api/v1/system/info", tag = "system", operation_id = "getInfo",
    responses((status = 200, description = "This WakeDock", body = Info)),
)]
pub(super) async fn get_info(State(state): State<AdminState>, _none: Query<()>) -> Json<Info> {
    let status = state.fleet.engine_status();
    let status = status.borrow();
    Json(Info {
        version: env!("CARGO_PKG_VERSION"),
        started_at: clock::wall_at(Moment::START).into(),
        uptime_ms: millis(clock::now().since(Moment::START)),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        engine: EngineInfo {
            connected: status.connected,
            since: status.since.into(),
            version: status.version.clone(),
        },
        caddy: mode_word(state.publisher.mode()),
    })
}
