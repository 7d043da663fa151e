//! Errors of the API as RFC 9457 has them.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::html::{Language, message};

/// An error of the API (RFC 9457, `application/problem+json`). Texts follow `Accept-Language`; `type`,
/// `pointer` and what stands between backquotes never do.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Stable, and names the problem: `/problems/not-found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The problem in a few words; the same for every occurrence.
    pub title: String,
    /// The HTTP status of this answer.
    pub status: u16,
    /// This occurrence, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What is wrong with each part of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    #[serde(skip)]
    #[schema(ignore)]
    /// Boxed, so that a problem is small as the error of a function.
    fields: Option<Box<HeaderMap>>,
}

/// What is wrong with one part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where it stands in the body (RFC 6901): `/idle/stop_after`; `?limit` for a parameter.
    pub pointer: String,
    /// What is wrong, as a sentence that begins with the key.
    pub detail: String,
    /// What to write instead.
    pub mend: String,
}

impl Problem {
    #[must_use]
    pub fn new(status: StatusCode, kind: &str, title: impl Into<String>) -> Self {
        Self {
            kind: format!("/problems/{kind}"),
            title: title.into(),
            status: status.as_u16(),
            detail: None,
            errors: Vec::new(),
            fields: None,
        }
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// The same in a language, as JSON; `None`: it is there in that language already.
    #[must_use]
    pub fn said_in(&self, language: Language) -> Option<String> {
        if language == Language::ENGLISH {
            return None;
        }
        let say = |text: &String| message::say(language, text);
        let errors = self.errors.iter().map(|error| FieldError {
            pointer: error.pointer.clone(),
            detail: say(&error.detail),
            mend: say(&error.mend),
        });
        let said = Self {
            title: say(&self.title),
            detail: self.detail.as_ref().map(say),
            errors: errors.collect(),
            ..Self::new(self.status(), "", "")
        };
        serde_json::to_string(&Self { kind: self.kind.clone(), ..said }).ok()
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// A header field of the answer.
    #[must_use]
    pub fn field(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.fields.get_or_insert_default().insert(name, value);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        // A struct of texts has a JSON form.
        let body = serde_json::to_string(&self).unwrap_or_default();
        let fields =
            [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
        let own = self.fields.as_deref().cloned().unwrap_or_default();
        let mut response = (status, own, fields, body).into_response();
        // The door says it in the reader's language.
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
