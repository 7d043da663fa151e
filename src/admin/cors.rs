//! Scripts of other sites: none, unless `admin.cors_origins` names them. Those come with a token;
//! cookies are never theirs to use.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::config::AdminConfig;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const FIELDS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, if-match, if-none-match, last-event-id, prefer");
const SHOWN: HeaderValue =
    HeaderValue::from_static("etag, location, ratelimit, ratelimit-policy, retry-after, x-request-id");
/// Seconds for which a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// What the answer says to another site's script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cors {
    /// No site may, and none is told so.
    Off,
    /// This one may not; another one may.
    No,
    Yes(HeaderValue),
}

/// Whether the site that asks is one of those that may.
pub(super) fn allowed(headers: &HeaderMap, config: &AdminConfig) -> Cors {
    if config.cors_origins.is_empty() {
        return Cors::Off;
    }
    match headers.get(ORIGIN) {
        Some(origin) if config.cors_origins.iter().any(|own| origin == own.as_str()) => {
            Cors::Yes(origin.clone())
        }
        _ => Cors::No,
    }
}

/// The answer to a browser that asks before it asks.
pub(super) fn preflight(parts: &Parts, config: &AdminConfig) -> Option<Response> {
    let asks = parts.method == Method::OPTIONS && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let may = matches!(allowed(&parts.headers, config), Cors::Yes(_));
    (asks && may && parts.uri.path().starts_with("/api/")).then(|| {
        let fields = [
            (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (ACCESS_CONTROL_ALLOW_HEADERS, FIELDS),
            (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ];
        (StatusCode::NO_CONTENT, fields).into_response()
    })
}

impl Cors {
    pub(super) fn apply(self, headers: &mut HeaderMap) {
        match self {
            Self::Off => return,
            Self::No => {}
            Self::Yes(origin) => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
            }
        }
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
}
