//! Caddy asks before it obtains a certificate on demand: is this host anybody's? Answered from
//! memory, and it wakes nobody.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::admin::{AdminState, problem};
use crate::domain::host::Hostname;

#[derive(Debug, Deserialize)]
pub(super) struct Question {
    domain: String,
}

pub(super) async fn ask(
    State(state): State<AdminState>,
    question: Result<Query<Question>, QueryRejection>,
) -> Response {
    let Ok(Query(question)) = question else {
        return problem(StatusCode::BAD_REQUEST, "bad-request", "Ask for one `domain`").into_response();
    };
    // No pattern is a host; every name below a wildcard is (docs/caddy.md says what that costs).
    let is_known = |host: &Hostname| {
        state.fleet.knows(host.as_str()) || state.settings.load().host.as_ref() == Some(host)
    };
    if Hostname::parse(&question.domain).is_ok_and(|host| is_known(&host)) {
        "yes\n".into_response()
    } else {
        problem(StatusCode::NOT_FOUND, "unknown-host", "No service has this host").into_response()
    }
}
