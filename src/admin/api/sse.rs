//! Server-sent events: one at a time as it comes, and a comment where none comes, so that whoever
//! stands between sees life.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};

/// After so much silence a comment is sent.
const COMMENT: Duration = Duration::from_secs(15);
/// How soon a client comes back whose stream broke.
const BEGINNING: &[u8] = b"retry: 2000\n\n";

/// An answer of events that are encoded already. It ends when they do.
pub(super) fn answer(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let beginning = stream::once(async { Bytes::from_static(BEGINNING) });
    let events = stream::unfold(Box::pin(events), |mut events| async move {
        match tokio::time::timeout(COMMENT, events.next()).await {
            Ok(event) => event.map(|event| (event, events)),
            Err(_) => Some((Bytes::from_static(b":\n\n"), events)),
        }
    });
    let body = Body::from_stream(beginning.chain(events).map(Ok::<_, std::convert::Infallible>));
    let fields = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx would collect them.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (fields, body).into_response()
}

/// No event, but the place in the stream that a client names when it comes back.
pub(super) fn place(id: u64) -> Bytes {
    Bytes::from(format!("id: {id}\n\n"))
}

/// One event. What is in `data` begins a new `data:` at each of its line ends.
pub(super) fn event(id: Option<&str>, kind: Option<&str>, data: &str) -> Bytes {
    let mut text = String::with_capacity(data.len() + 48);
    for (name, value) in [("id", id), ("event", kind)] {
        if let Some(value) = value {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push('\n');
        }
    }
    for line in data.split(['\n', '\r']) {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_written_as_the_standard_has_them() {
        assert_eq!(event(Some("7"), Some("phase"), "{}"), "id: 7\nevent: phase\ndata: {}\n\n");
        assert_eq!(place(7), "id: 7\n\n");
        assert_eq!(event(None, None, "a\nid: 9\rb"), "data: a\ndata: id: 9\ndata: b\n\n");
    }
}
