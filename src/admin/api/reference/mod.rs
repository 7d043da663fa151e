//! The reference of the API as pages: made of the committed document when somebody looks, and let go
//! when it is sent. One page lists all operations, and each part has one of its own.

mod chapter;
mod schema;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::{ACCEPT_LANGUAGE, VARY};
use axum::response::Response;
use serde_json::Value;

use crate::admin::AdminState;
use crate::admin::api::query::Query;
use crate::admin::api::router::{ApiRouter, Use, at};
use crate::admin::api::{accept, openapi};
use crate::admin::pages::answer;
use crate::admin::pages::visit::Visit;
use crate::admin::problem::Problem;
use crate::html::dashboard::Place;
use crate::html::dashboard::reference::{self, Reference};

/// Where the pages are.
pub(in crate::admin) const PATH: &str = "/api/v1/reference";
const HTML: &str = "text/html";

pub(super) fn routes<U: Use>() -> ApiRouter<U> {
    ApiRouter::new()
        .any(at!("/api/v1/reference": get get_reference))
        .any(at!("/api/v1/reference/{part}": get get_reference_part))
}

/// Read about the API
///
/// This document as pages for people: all operations, by their parts.
#[utoipa::path(
    get, path = "/api/v1/reference", tag = "system", operation_id = "getReference",
    responses((status = 200, description = "A page of HTML", body = String, content_type = "text/html")),
)]
async fn get_reference(
    State(state): State<AdminState>,
    _none: Query<()>,
    request: Request,
) -> Result<Response, Problem> {
    page(&state, request, None)
}

/// Read about a part of the API
///
/// Its operations in full: parameters, bodies, answers, and a command for each.
#[utoipa::path(
    get, path = "/api/v1/reference/{part}", tag = "system", operation_id = "getReferencePart",
    params(("part" = String, Path, description = "A tag of this document", example = "services",
        pattern = "^[a-z]{1,20}$")),
    responses(
        (status = 200, description = "A page of HTML", body = String, content_type = "text/html"),
        (status = 404, description = "The API has no such part", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
async fn get_reference_part(
    State(state): State<AdminState>,
    part: Result<Path<String>, PathRejection>,
    _none: Query<()>,
    request: Request,
) -> Result<Response, Problem> {
    let Ok(Path(part)) = part else { return Err(unknown_part()) };
    page(&state, request, Some(&part))
}

fn page(state: &AdminState, request: Request, part: Option<&str>) -> Result<Response, Problem> {
    accept::choose(request.headers(), &[HTML])?;
    let document: Value = serde_json::from_str(openapi::COMMITTED).unwrap_or_default();
    let view = view(&document, part).ok_or_else(unknown_part)?;
    drop(document);
    let (parts, _) = request.into_parts();
    let frame = Visit::new(&parts, state).frame(Place::Elsewhere);
    let mut response = answer::page(reference::reference(&frame, &view));
    response.headers_mut().insert(VARY, HeaderValue::from(ACCEPT_LANGUAGE));
    Ok(response)
}

/// The pages of a document: with one part of it in full, or with none. `None`: it has no such part.
#[must_use]
pub fn view(document: &Value, part: Option<&str>) -> Option<Reference> {
    let parts = chapter::parts(document, part);
    let chapter = match part {
        Some(part) if parts.iter().any(|known| known.name == part) => Some(chapter::read(document, part)),
        Some(_) => return None,
        None => None,
    };
    Some(Reference { parts, chapter })
}

fn unknown_part() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-part", "The API has no such part")
        .detail(format!("`GET {PATH}` lists the parts there are."))
}
