//! Bodies of a fixed shape, and what a change expects of what it changes.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::admin::api::body::{JsonObject, MergePatch};
use crate::admin::api::precondition::{Condition, check};
use crate::admin::problem::{FieldError, Problem};
use crate::store::CommitError;

/// A JSON body that is a `T`, and nothing besides.
#[derive(Debug, Clone, Copy)]
pub struct Sent<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_patch = request.method() == Method::PATCH;
        let object = if is_patch {
            MergePatch::from_request(request, state).await?.0
        } else {
            JsonObject::from_request(request, state).await?.0
        };
        serde_json::from_value(Value::Object(object)).map(Self).map_err(|error| {
            // serde says what it expected, and nothing of ours.
            let detail = format!("The body cannot be read: {error}.");
            Problem::new(StatusCode::BAD_REQUEST, "bad-json", "The body cannot be read").detail(detail)
        })
    }
}

/// What stands in the path.
#[derive(Debug, Clone, Copy)]
pub struct InPath<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // What cannot be read names nothing that there is.
        let read: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, state).await;
        read.map(|Path(value)| Self(value))
            .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here"))
    }
}

/// The revision that a change expects of what is at `revision` now. `None`: whatever there is, which is
/// what whoever says nothing expects.
///
/// # Errors
/// Where it expects something else than is there.
pub fn expected(headers: &HeaderMap, revision: Option<u64>) -> Result<Option<u64>, Problem> {
    if revision.is_none() || !headers.contains_key(header::IF_MATCH) {
        return Ok(None);
    }
    Ok(match check(headers, revision)? {
        Condition::Revision(revision) => Some(revision),
        Condition::Present | Condition::Absent => None,
    })
}

/// The store does not write.
#[must_use]
pub fn store_away(error: &CommitError) -> Problem {
    tracing::warn!(%error, "a change was refused: the store is away");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", "The store does not answer")
        .detail("Nothing was changed. WakeDock tries to open its store again.")
        .field(header::RETRY_AFTER, HeaderValue::from_static("5"))
}

/// One value cannot be used.
#[must_use]
pub fn unusable(pointer: &str, detail: String, mend: &str) -> Problem {
    let error = FieldError { pointer: pointer.to_owned(), detail, mend: mend.to_owned() };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A value cannot be used").errors(vec![error])
}
