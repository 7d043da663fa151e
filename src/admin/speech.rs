//! The language of an answer: problems are said in the reader's, and what is in one says in which.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

use crate::admin::auth::cookies_named;
use crate::admin::problem::Problem;
use crate::html::Language;

/// The cookie with the language that somebody chose.
pub(super) const CHOSEN: &str = "wakedock_language";

/// The language of a request's answer. For pages a choice that was made there goes before what the
/// browser says.
pub(super) fn language(parts: &Parts) -> Language {
    let chosen = if parts.uri.path().starts_with("/api/") { None } else { chosen(&parts.headers) };
    chosen.unwrap_or_else(|| Language::accepted(&parts.headers))
}

/// The language that was chosen on a page.
pub(super) fn chosen(headers: &HeaderMap) -> Option<Language> {
    cookie(headers, CHOSEN).and_then(Language::from_code)
}

pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &'a str) -> Option<&'a str> {
    cookies_named(headers, name).next()
}

/// Says a problem in the language, and of problems and pages in which one they are.
pub(super) fn apply(language: Language, response: &mut Response) {
    let problem = response.extensions_mut().remove::<Arc<Problem>>();
    let page =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if problem.is_none() && !page {
        return;
    }
    if let Some(said) = problem.and_then(|problem| problem.said_in(language)) {
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = Body::from(said);
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.code()));
    headers.append(VARY, HeaderValue::from_static("Accept-Language"));
}
