//! What stands on every answer of the control plane.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::admin::secret;

pub(super) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Nothing inline, nothing from elsewhere, nowhere in a frame.
const CONTENT: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

const FIXED: [(HeaderName, HeaderValue); 6] = [
    (CONTENT_SECURITY_POLICY, CONTENT),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // With `no-referrer` browsers would say `Origin: null` with our own forms.
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Puts them on. Where a handler says nothing about caches, nothing is kept.
pub(super) fn harden(headers: &mut HeaderMap, request_id: &HeaderValue) {
    for (name, value) in FIXED {
        headers.insert(name, value);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_REQUEST_ID.clone(), request_id.clone());
}

/// The id of a request: the caller's own where its word counts and it is one, else a new one.
pub(super) fn request_id(headers: &HeaderMap, believed: bool) -> HeaderValue {
    let mut said = headers.get_all(&X_REQUEST_ID).iter();
    if believed
        && let (Some(id), None) = (said.next(), said.next())
        && (1..=128).contains(&id.len())
        && id.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
    {
        return id.clone();
    }
    HeaderValue::from_str(&secret::hex(&secret::random::<16>())).unwrap_or(HeaderValue::from_static("none"))
}
