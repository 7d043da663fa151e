//! A service's past: when it was awake, why, and how that began and ended.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::api::events::wire::By;
use crate::admin::api::page::{PARAMETERS, Page, Paging, cursor};
use crate::admin::api::query::{FromQuery, Given, Query};
use crate::admin::api::services::Past;
use crate::admin::api::services::wire::{stop_causes, wake_causes, wake_outcomes};
use crate::admin::api::wire::{Time, millis};
use crate::admin::problem::Problem;
use crate::domain::words::WakeOutcome;
use crate::store::{self, Wake};

/// A period of being awake.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Session {
    /// What woke it.
    #[schema(schema_with = wake_causes)]
    pub cause: &'static str,
    /// When the wake was ordered.
    pub ordered_at: Time,
    /// How the wake ended; null while it goes on.
    #[schema(schema_with = wake_outcomes)]
    pub outcome: Option<&'static str>,
    /// When the application answered, or the wake failed.
    pub decided_at: Option<Time>,
    /// From the demand to ready. Null also where nothing was started: found running, or unpaused.
    pub took_ms: Option<u64>,
    /// The engine's part of that.
    pub engine_ms: Option<u64>,
    /// Who asked.
    pub by: Option<By>,
    /// Why the wake failed; for the operator.
    pub reason: Option<String>,
    /// How it ended; null while it is awake.
    pub stop: Option<Stop>,
}

/// The end of a session.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Stop {
    #[schema(schema_with = stop_causes)]
    pub cause: &'static str,
    pub at: Time,
    /// From the order to the end of the stop; null where nobody ordered it.
    pub took_ms: Option<u64>,
}

impl From<store::Session> for Session {
    fn from(session: store::Session) -> Self {
        let (outcome, decided_at, took, engine, reason) = match session.wake {
            Wake::Pending => (None, None, None, None, None),
            Wake::Ready { at, took, engine } => (Some(WakeOutcome::Ready), Some(at), took, engine, None),
            Wake::Failed { at, outcome, reason } => (Some(outcome), Some(at), None, None, Some(reason)),
        };
        Self {
            cause: session.cause.as_str(),
            ordered_at: session.ordered_at.into(),
            outcome: outcome.map(WakeOutcome::as_str),
            decided_at: decided_at.map(Time),
            took_ms: took.map(millis),
            engine_ms: engine.map(millis),
            by: By::new(&session.by),
            reason,
            stop: session.stop.map(|stop| Stop {
                cause: stop.cause.as_str(),
                at: stop.at.into(),
                took_ms: stop.took.map(millis),
            }),
        }
    }
}

/// A page of a history, which is read backwards: its cursor is the number of a session.
pub(super) struct Backwards(Paging, Option<u64>);

impl FromQuery for Backwards {
    const KNOWN: &'static [&'static str] = &PARAMETERS;

    fn read(given: &mut Given) -> Self {
        let paging = Paging::read(given);
        let before = paging.cursor.as_deref().map(str::parse);
        if let Some(Err(_)) = before {
            given.wrong("cursor", "is none of ours", "take `next` of the page before, or leave it out");
        }
        Self(paging, before.and_then(Result::ok))
    }
}

/// List a service's sessions
///
/// The newest first; one that is not over leads. The newest thousand are kept.
#[utoipa::path(
    get, path = "/api/v1/services/{name}/sessions", tag = "services", operation_id = "listServiceSessions",
    params(("name" = String, Path, description = "The service's name"), Paging),
    responses(
        (status = 200, description = "One page of sessions", body = Page<Session>),
        (status = 503, description = "The store is away", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list_service_sessions(
    State(state): State<AdminState>,
    Past(name): Past,
    Query(Backwards(paging, before)): Query<Backwards>,
) -> Result<Json<Page<Session>>, Problem> {
    let read = state.store.sessions_before(name, before, paging.limit() + 1).await;
    let mut found = read.map_err(|_| store_away())?;
    let more = found.len() > paging.limit();
    found.truncate(paging.limit());
    let next = found.last().filter(|_| more).map(|(number, _)| cursor(&number.to_string()));
    Ok(Json(Page { items: found.into_iter().map(|(_, session)| session.into()).collect(), next }))
}

pub(in crate::admin) fn store_away() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", "The store does not answer")
        .detail("History and settings wait for the disk; services go on.")
        .field(header::RETRY_AFTER, HeaderValue::from_static("5"))
}
