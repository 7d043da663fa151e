//! `/metrics`: the text that Prometheus reads, packed for who takes it packed.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::admin::AdminState;
use crate::admin::gzip::{packed, takes_gzip};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// The text of so many services is made beside the threads that answer: it takes milliseconds.
const MANY: usize = 100;

pub(super) async fn metrics(State(state): State<AdminState>, headers: HeaderMap) -> Response {
    let packs = takes_gzip(&headers);
    let many = state.fleet.services().len() > MANY;
    let make = move || {
        let text = state.fleet.metrics_text() + &state.process.render();
        match packs.then(|| packed(text.as_bytes())).flatten() {
            Some(packed) => (Some(HeaderValue::from_static("gzip")), packed),
            None => (None, Bytes::from(text)),
        }
    };
    let made = if many { tokio::task::spawn_blocking(make).await } else { Ok(make()) };
    // Who makes it doesn't panic; should it, this scrape is empty and the next one is not.
    let (encoding, body) = made.unwrap_or_default();
    let mut response = ([(CONTENT_TYPE, TEXT)], body).into_response();
    response.headers_mut().insert(VARY, HeaderValue::from(ACCEPT_ENCODING));
    if let Some(encoding) = encoding {
        response.headers_mut().insert(CONTENT_ENCODING, encoding);
    }
    response
}
