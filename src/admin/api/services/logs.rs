//! What a service's container wrote, and what it writes.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use tokio::sync::{Semaphore, mpsc};
use utoipa::IntoParams;

use crate::admin::AdminState;
use crate::admin::api::query::{FromQuery, Given, Query};
use crate::admin::api::services::Named;
use crate::admin::api::{accept, sse};
use crate::admin::problem::Problem;
use crate::clock;
use crate::ports::{InspectError, LogLine, LogStart, ReadError};
use crate::supervisor::logs::LogError;

/// Lines at most: as many as are ever kept of a log.
const MOST: u64 = 500;
/// Each follower has a connection to Docker of its own.
static FOLLOWERS: Semaphore = Semaphore::const_new(32);

const TEXT: &str = "text/plain";
const EVENTS: &str = "text/event-stream";

/// Which lines.
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Lines {
    /// The last lines that are there already.
    #[param(required = false, minimum = 0, maximum = 500, default = 200)]
    tail: u64,
    /// Go on with each line that comes, through every restart of the container. By default for
    /// `text/event-stream` alone.
    #[param(value_type = bool, required = false)]
    follow: Option<bool>,
}

impl FromQuery for Lines {
    const KNOWN: &'static [&'static str] = &["tail", "follow"];

    fn read(given: &mut Given) -> Self {
        Self { tail: given.number("tail", 0..=MOST).unwrap_or(200), follow: given.flag("follow") }
    }
}

/// Read a service's log
///
/// Standard output and error together, without what steers a terminal. As `text/plain`, or as events
/// with one line each.
#[utoipa::path(
    get, path = "/api/v1/services/{name}/logs", tag = "services", operation_id = "getServiceLogs",
    params(
        ("name" = String, Path, description = "The service's name"),
        Lines,
        ("Last-Event-ID" = Option<String>, Header, description = "Go on after this event: every line written since, whatever `tail` says"),
    ),
    responses(
        (status = 200, description = "Lines, or events of one line each", content(
            (String = "text/plain"),
            (String = "text/event-stream"),
        )),
        (status = 409, description = "There is no container", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "Docker refuses", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Docker is away, or too many follow logs", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_service_logs(
    State(state): State<AdminState>,
    Named(handle): Named,
    Query(wanted): Query<Lines>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let kind = accept::choose(&headers, &[TEXT, EVENTS])?;
    let tail = usize::try_from(wanted.tail).unwrap_or(usize::MAX);
    let text = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    if !wanted.follow.unwrap_or(kind == EVENTS) {
        let lines = state.fleet.logs(&handle, tail).await.map_err(unreadable)?;
        return Ok(match kind {
            EVENTS => sse::answer(stream::iter(lines.into_iter().map(|line| sse::event(None, None, &line)))),
            _ => (text, lines.into_iter().map(|line| line + "\n").collect::<String>()).into_response(),
        });
    }
    let place = FOLLOWERS.try_acquire().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-followers", "Too many logs are followed")
            .detail("Close one that nobody reads, or leave out `follow`.")
            .field(header::RETRY_AFTER, HeaderValue::from_static("10"))
    })?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let from = match (last, tail) {
        (Some(last), _) => LogStart::After(last),
        (None, 0) => LogStart::after(clock::wall()),
        (None, tail) => LogStart::Last(tail),
    };
    let lines = state.fleet.follow_logs(&handle, from).await.map_err(unreadable)?;
    let lines = stream::unfold((lines, place), |(mut lines, place)| async move {
        let line: Option<LogLine> = mpsc::Receiver::recv(&mut lines).await;
        line.map(|line| (line, (lines, place)))
    });
    Ok(match kind {
        EVENTS => {
            // Whoever comes back before the first line goes on from here.
            let place = match from {
                LogStart::After(place) => Some(sse::place(place)),
                LogStart::Last(_) => None,
            };
            sse::answer(stream::iter(place).chain(lines.map(|line| event(&line))))
        }
        _ => {
            let lines = lines.map(|line| Ok::<_, std::convert::Infallible>(Bytes::from(line.text + "\n")));
            (text, Body::from_stream(lines)).into_response()
        }
    })
}

/// Its id is when it was written, so that a client that comes back misses nothing.
fn event(line: &LogLine) -> Bytes {
    sse::event(Some(&line.written.to_string()), None, &line.text)
}

fn unreadable(error: LogError) -> Problem {
    let no_container = |detail: String| {
        Problem::new(StatusCode::CONFLICT, "no-container", "The service has no container")
            .detail(format!("{detail}: make one of that name."))
    };
    match error {
        LogError::Inspect(error @ InspectError::Missing { .. }) => no_container(error.to_string()),
        LogError::Read(ReadError::Refused { status: 404, message }) => no_container(message),
        LogError::Inspect(InspectError::Away(_))
        | LogError::Read(ReadError::Away(_) | ReadError::TimedOut(_)) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "engine-unavailable", "Docker does not answer")
                .field(header::RETRY_AFTER, HeaderValue::from_static("5"))
        }
        LogError::Inspect(InspectError::Refused { message, .. })
        | LogError::Read(ReadError::Refused { message, .. }) => {
            Problem::new(StatusCode::BAD_GATEWAY, "engine-refused", "Docker refuses").detail(message)
        }
    }
}
