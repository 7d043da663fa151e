//! Keeping a service awake for a while.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::api::body::JsonObject;
use crate::admin::api::query::Query;
use crate::admin::api::services::wire::Service;
use crate::admin::api::services::{Known, Named};
use crate::admin::audit::{self, Entry};
use crate::admin::caller::Caller;
use crate::admin::problem::{FieldError, Problem};
use crate::config::{format_duration, parse_duration};
use crate::supervisor::handle::ServiceHandle;

/// The shortest while, and the longest.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The answer shows what came of it: the actor takes no longer than this, unless something is
/// wrong.
const APPLIED: Duration = Duration::from_millis(250);

/// How long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeepAwake {
    /// A duration with its unit, from `1s` to `30d`.
    #[serde(rename = "for")]
    #[schema(example = "2h", max_length = 40, pattern = r"^([0-9]{1,9}(d|h|m|s|ms) ?){1,5}$")]
    #[allow(dead_code, reason = "read key by key, so that everything wrong is said at once")]
    time: String,
}

/// Keep a service awake
///
/// It is not put to sleep for want of use before that time is over, also over a restart of WakeDock.
/// Wakes nothing. A stop by hand ends it.
#[utoipa::path(
    post, path = "/api/v1/services/{name}/keep-awake", tag = "services", operation_id = "keepServiceAwake",
    params(("name" = String, Path, description = "The service's name")),
    request_body(content = KeepAwake),
    responses(
        (status = 200, description = "It is kept awake", body = Service),
        (status = 422, description = "That is no such time", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn keep_service_awake(
    State(state): State<AdminState>,
    Named(handle): Named,
    caller: Caller,
    _none: Query<()>,
    JsonObject(mut body): JsonObject,
) -> Result<Json<Service>, Problem> {
    let mut errors = Vec::new();
    let mut wrong = |key: &str, detail: String, mend: String| {
        errors.push(FieldError { pointer: format!("/{key}"), detail, mend });
    };
    let time = match body.remove("for") {
        Some(serde_json::Value::String(text)) => match parse_duration(&text) {
            Ok(time) if (SHORTEST..=LONGEST).contains(&time) => time,
            Ok(_) => {
                wrong(
                    "for",
                    "for is out of range".to_owned(),
                    "write a duration from `1s` to `30d`".to_owned(),
                );
                Duration::ZERO
            }
            Err(fault) => {
                wrong("for", format!("for {}", fault.reason), fault.mend);
                Duration::ZERO
            }
        },
        other => {
            let reason = if other.is_some() { "for is no text" } else { "for is missing" };
            wrong("for", reason.to_owned(), "write a duration such as `2h`".to_owned());
            Duration::ZERO
        }
    };
    for key in body.keys() {
        let key = key.replace('~', "~0").replace('/', "~1");
        wrong(&key, format!("{key} is not known here"), "leave it out: there is only `for`".to_owned());
    }
    if !errors.is_empty() {
        let title = "A part of the body cannot be used";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", title).errors(errors));
    }
    let before = handle.snapshot().keep_awake;
    handle.keep_awake_for(time, &caller.name);
    // At once: whoever hangs up while it is applied has ordered it all the same.
    let deed = Entry::by(&caller, "keep-awake", handle.name().as_str());
    audit::note(&state.store, deed.after(serde_json::json!({ "for": format_duration(time) })));
    applied(&handle, |kept| kept != before).await;
    Ok(Json(shown(&state, &handle)))
}

/// Let a service sleep as usual
#[utoipa::path(
    delete, path = "/api/v1/services/{name}/keep-awake", tag = "services", operation_id = "letServiceSleep",
    params(("name" = String, Path, description = "The service's name")),
    responses((status = 200, description = "It is not kept awake", body = Service)),
)]
pub(super) async fn let_service_sleep(
    State(state): State<AdminState>,
    Named(handle): Named,
    caller: Caller,
    _none: Query<()>,
) -> Json<Service> {
    handle.keep_awake_end(&caller.name);
    audit::note(&state.store, Entry::by(&caller, "let-sleep", handle.name().as_str()));
    applied(&handle, |kept| kept.is_none()).await;
    Json(shown(&state, &handle))
}

async fn applied(handle: &ServiceHandle, is: impl Fn(Option<crate::domain::time::Timestamp>) -> bool) {
    let mut snapshots = handle.watch();
    let done = snapshots.wait_for(|snapshot| is(snapshot.keep_awake));
    let _ = tokio::time::timeout(APPLIED, done).await;
}

fn shown(state: &AdminState, handle: &ServiceHandle) -> Service {
    let known = Known::find(state, &handle.name());
    Service::new(&state.fleet, known.entry.as_deref(), Some(handle))
}
