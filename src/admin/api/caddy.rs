//! `/api/v1/caddy`: what Caddy is to run, what it thinks of that, and how the last publish went.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::admin::AdminState;
use crate::admin::api::query::Query;
use crate::admin::api::router::{ApiRouter, Use, at};
use crate::admin::api::system::mode_word;
use crate::admin::api::wire::{Time, one_of, one_of_or_null};
use crate::admin::audit::{self, Entry};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::config::CaddyMode;
use crate::domain::words::PublishOutcome;
use crate::supervisor::publish::{AskError, PublishState};

pub(super) fn routes<U: Use>() -> ApiRouter<U> {
    ApiRouter::new()
        .json(at!("/api/v1/caddy/config": get get_caddy_config))
        .json(at!("/api/v1/caddy/validate": post validate_caddy_config))
        .json(at!("/api/v1/caddy/publish": post publish_caddy_config))
}

fn modes() -> Object {
    one_of([CaddyMode::Managed, CaddyMode::File, CaddyMode::Off].into_iter().map(mode_word))
}

fn outcomes() -> Object {
    one_of_or_null(PublishOutcome::ALL.iter().map(|outcome| outcome.as_str()))
}

/// What Caddy is to run, and how the last publish went.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct CaddyConfiguration {
    /// `managed`: published by Caddy's admin API. `file`: written, to be imported. `off`: neither.
    #[schema(schema_with = modes)]
    pub mode: &'static str,
    /// The Caddyfile, or the file to import.
    pub caddyfile: String,
    /// Options in the operator's own files that WakeDock's take the place of.
    pub notes: Vec<String>,
    pub publish: Publish,
}

/// How the last publish went.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Publish {
    /// Null: there was none yet.
    #[schema(schema_with = outcomes)]
    pub outcome: Option<&'static str>,
    pub at: Option<Time>,
    /// Why not, in Caddy's own words where it said some.
    pub message: Option<String>,
    /// Caddy runs somebody else's configuration, which is left alone.
    pub foreign: bool,
    /// How many hosts Caddy was told of last.
    pub hosts: u64,
    /// Options in the operator's own files that WakeDock's take the place of.
    pub notes: Vec<String>,
}

impl From<PublishState> for Publish {
    fn from(state: PublishState) -> Self {
        Self {
            outcome: state.outcome.map(PublishOutcome::as_str),
            at: state.outcome.map(|_| state.at.into()),
            message: state.message,
            foreign: state.foreign,
            hosts: u64::try_from(state.hosts).unwrap_or(u64::MAX),
            notes: state.notes,
        }
    }
}

/// What Caddy thinks of the Caddyfile.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct CaddyVerdict {
    pub valid: bool,
    /// Why not, in Caddy's own words, with the line where it names one.
    pub message: Option<String>,
    /// The Caddyfile that was asked about.
    pub caddyfile: String,
}

/// Show what Caddy is to run
#[utoipa::path(
    get, path = "/api/v1/caddy/config", tag = "caddy", operation_id = "getCaddyConfig",
    responses(
        (status = 200, description = "The Caddyfile, and the last publish", body = CaddyConfiguration),
        (status = 409, description = "A file of the operator's stands against it", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "WakeDock has just started", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_caddy_config(
    State(state): State<AdminState>,
    _none: Query<()>,
) -> Result<Json<CaddyConfiguration>, Problem> {
    let draft = state.publisher.draft().await.map_err(refused)?;
    Ok(Json(CaddyConfiguration {
        mode: mode_word(draft.mode),
        caddyfile: draft.caddyfile,
        notes: draft.notes,
        publish: state.publisher.state().into(),
    }))
}

/// Ask Caddy what it thinks of the Caddyfile
///
/// Caddy reads it and runs nothing.
#[utoipa::path(
    post, path = "/api/v1/caddy/validate", tag = "caddy", operation_id = "validateCaddyConfig",
    responses(
        (status = 200, description = "Caddy's verdict", body = CaddyVerdict),
        (status = 409, description = "Nothing is published, or a file of the operator's stands against it",
            body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "Caddy does not answer", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "WakeDock has just started", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn validate_caddy_config(
    State(state): State<AdminState>,
    _none: Query<()>,
) -> Result<Json<CaddyVerdict>, Problem> {
    let verdict = state.publisher.verdict().await.map_err(refused)?;
    Ok(Json(CaddyVerdict {
        valid: verdict.rejected.is_none(),
        message: verdict.rejected,
        caddyfile: verdict.draft.caddyfile,
    }))
}

/// Publish now
///
/// Does nothing to a Caddy that runs it already: a reload can close every WebSocket of every site.
#[utoipa::path(
    post, path = "/api/v1/caddy/publish", tag = "caddy", operation_id = "publishCaddyConfig",
    responses(
        (status = 200, description = "How it went, also where Caddy refused", body = Publish),
        (status = 409, description = "Nothing is published", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "WakeDock has just started", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn publish_caddy_config(
    State(state): State<AdminState>,
    caller: Caller,
    _none: Query<()>,
) -> Result<Json<Publish>, Problem> {
    // A client that goes away leaves nothing half done: what it ordered is carried out, and written down.
    let done = tokio::spawn(async move {
        let publish = state.publisher.publish().await?;
        audit::note(&state.store, Entry::by(&caller, "published", "Caddy"));
        Ok::<_, AskError>(publish)
    });
    let publish = done.await.unwrap_or(Err(AskError::Ended)).map_err(refused)?;
    Ok(Json(publish.into()))
}

fn refused(error: AskError) -> Problem {
    let soon = |kind: &str, title: &str| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, kind, title)
            .field(header::RETRY_AFTER, HeaderValue::from_static("1"))
    };
    match error {
        AskError::TooEarly => soon("starting", "WakeDock does not know every host yet"),
        AskError::Ended => soon("draining", "WakeDock is ending"),
        AskError::Off => Problem::new(StatusCode::CONFLICT, "caddy-off", "Nothing is published")
            .detail("`caddy.mode` is `off`: set `managed` or `file` in the configuration file."),
        AskError::Unusable(message) => {
            Problem::new(StatusCode::CONFLICT, "caddyfile-unusable", "The Caddyfile cannot be written")
                .detail(message)
        }
        AskError::Unreachable(message) => {
            Problem::new(StatusCode::BAD_GATEWAY, "caddy-unreachable", "Caddy does not answer")
                .detail(message)
        }
    }
}
