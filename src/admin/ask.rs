//! Caddy asks before it obtains a certificate on demand: is this host anybody's? Answered from
//! memory, and it wakes nobody.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::admin::{AdminState, problem};

#[derive(Debug, Deserialize)]
pub(super) struct Question {
    domain: Option<String>,
}

pub(super) async fn ask(State(state): State<AdminState>, Query(question): Query<Question>) -> Response {
    let Some(domain) = question.domain else {
        return problem(StatusCode::BAD_REQUEST, "bad-request", "`domain` is missing").into_response();
    };
    let host = domain.trim_end_matches('.').to_ascii_lowercase();
    if state.fleet.knows(&host) {
        "yes\n".into_response()
    } else {
        problem(StatusCode::NOT_FOUND, "unknown-host", "No service has this host").into_response()
    }
}
