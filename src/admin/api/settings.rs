//! `/api/v1/settings`: what is settable while WakeDock runs. Everything else stands in the
//! configuration file.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::api::answers::{Changed, StoreAway, Unusable};
use crate::admin::api::precondition::{changed, etag};
use crate::admin::api::query::Query;
use crate::admin::api::router::{ApiRouter, Use, at};
use crate::admin::api::sent::{Sent, expected, store_away, unusable};
use crate::admin::auth::{self, SettingsError};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;

pub(super) fn routes<U: Use>() -> ApiRouter<U> {
    ApiRouter::new()
        .json(at!("/api/v1/settings": get get_settings, patch change_settings))
        .json(at!("/api/v1/settings/rotate-key": post rotate_key))
}

/// What is settable while WakeDock runs.
#[derive(Serialize, ToSchema)]
pub(super) struct Settings {
    /// A session ends when nobody comes with it for this long.
    session_idle_seconds: u64,
    /// A session ends after this long in any case.
    session_absolute_seconds: u64,
}

/// What is to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedSettings {
    #[serde(default)]
    #[schema(minimum = 300, maximum = 31_536_000)]
    session_idle_seconds: Option<u64>,
    #[serde(default)]
    #[schema(minimum = 300, maximum = 31_536_000)]
    session_absolute_seconds: Option<u64>,
}

fn shown(settings: auth::Settings) -> Response {
    let body = Settings {
        session_idle_seconds: settings.session_idle.as_secs(),
        session_absolute_seconds: settings.session_absolute.as_secs(),
    };
    ([(ETAG, etag(settings.revision))], Json(body)).into_response()
}

/// Get the settings
#[utoipa::path(
    get, path = "/api/v1/settings", tag = "settings", operation_id = "getSettings",
    responses((status = 200, description = "The settings", body = Settings, headers(("ETag" = String, description = "Their revision")))),
)]
pub(super) async fn get_settings(State(state): State<AdminState>, _none: Query<()>) -> Response {
    shown(state.auth.settings())
}

/// Change the settings
#[utoipa::path(
    patch, path = "/api/v1/settings", tag = "settings", operation_id = "changeSettings",
    params(("If-Match" = Option<String>, Header, description = "The `ETag` that was read")),
    request_body = ChangedSettings,
    responses(
        (status = 200, description = "The settings", body = Settings, headers(("ETag" = String, description = "Their revision"))),
        Changed, Unusable, StoreAway,
    ),
)]
pub(super) async fn change_settings(
    State(state): State<AdminState>,
    caller: Caller,
    _none: Query<()>,
    headers: HeaderMap,
    Sent(sent): Sent<ChangedSettings>,
) -> Result<Response, Problem> {
    let expect = expected(&headers, Some(state.auth.settings().revision))?;
    let (idle, absolute) = (sent.session_idle_seconds, sent.session_absolute_seconds);
    let (idle, absolute) = (idle.map(Duration::from_secs), absolute.map(Duration::from_secs));
    let settings = state.auth.change_settings(&caller, idle, absolute, expect).await.map_err(refused)?;
    Ok(shown(settings))
}

/// Make a new key for tokens
///
/// Access and refresh tokens that were given out are worth nothing from then on. Browsers stay
/// signed in, with pages that have to be loaded again before they change something, and API tokens
/// stay good.
#[utoipa::path(
    post, path = "/api/v1/settings/rotate-key", tag = "settings", operation_id = "rotateKey",
    responses((status = 204, description = "There is a new key"), StoreAway),
)]
pub(super) async fn rotate_key(
    State(state): State<AdminState>,
    caller: Caller,
    _none: Query<()>,
) -> Result<StatusCode, Problem> {
    state.auth.rotate_key(&caller).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

fn refused(error: SettingsError) -> Problem {
    match error {
        SettingsError::Changed => changed(None),
        SettingsError::Range => unusable(
            "/session_idle_seconds",
            "session_idle_seconds is out of range, or longer than session_absolute_seconds".to_owned(),
            "write seconds from 300 to 31536000, idle no longer than absolute",
        ),
        SettingsError::Store(error) => store_away(&error),
        SettingsError::Key(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the key was not changed");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "key-unavailable", "The key was not changed")
                .detail("WakeDock cannot write `jwt.key` in its data directory; its log says why.")
        }
    }
}
