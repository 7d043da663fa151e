//! Orders to one service: wake, stop, restart. Each may be given again without doing more, and its
//! answer may wait for the end: `?wait=30s`, or `Prefer: wait=30` (RFC 7240).

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa::IntoParams;

use crate::admin::AdminState;
use crate::admin::api::query::{FromQuery, Given, Query};
use crate::admin::api::services::wire::Service;
use crate::admin::api::services::{Known, Named, unknown_service};
use crate::admin::audit::{self, Entry};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::clock;
use crate::domain::time::Moment;
use crate::domain::words::{Phase, WakeOutcome};
use crate::store::Wake;
use crate::supervisor::handle::{ServiceHandle, Snapshot};

/// A client waits this long at most.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// An answer that does not wait for the end still shows that it began.
const BEGINNING: Duration = Duration::from_millis(250);

/// How long the answer may wait.
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Waiting {
    /// Answer when it is done, or after this long at the latest: `30s`; at most `5m`.
    /// The field `Prefer: wait=30` says the same in seconds.
    #[param(value_type = String, required = false, example = "30s", max_length = 40,
        pattern = "^([0-9]{1,9}(m|s|ms) ?){1,3}$")]
    wait: Option<Duration>,
}

impl FromQuery for Waiting {
    const KNOWN: &'static [&'static str] = &["wait"];

    fn read(given: &mut Given) -> Self {
        Self { wait: given.duration("wait", LONGEST_WAIT) }
    }
}

/// The patience of a request, and whether it was a preference that the answer has to own up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Patience {
    time: Duration,
    preferred: Option<u64>,
}

impl Patience {
    fn new(waiting: Waiting, headers: &HeaderMap) -> Self {
        if let Some(time) = waiting.wait {
            return Self { time, preferred: None };
        }
        // What cannot be understood is not honoured, as the RFC has it.
        let preferred = headers
            .get_all("prefer")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .find_map(|preference| {
                let (name, value) = preference.split(';').next()?.split_once('=')?;
                name.trim()
                    .eq_ignore_ascii_case("wait")
                    .then(|| value.trim().trim_matches('"').parse().ok())?
            })
            .map(|seconds: u64| seconds.min(LONGEST_WAIT.as_secs()));
        Self { time: Duration::from_secs(preferred.unwrap_or(0)), preferred }
    }

    fn applied(self, mut response: Response) -> Response {
        if let Some(seconds) = self.preferred
            && let Ok(value) = HeaderValue::from_str(&format!("wait={seconds}"))
        {
            response.headers_mut().insert(HeaderName::from_static("preference-applied"), value);
        }
        response
    }
}

/// Where an order has led so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum So {
    /// It goes on.
    Far,
    Done,
    /// It ended in another way than was ordered.
    Failed,
}

/// Waits until an order is done, as far as the client's patience goes, and answers.
async fn answer(
    state: &AdminState,
    handle: &ServiceHandle,
    patience: Patience,
    so: impl Fn(&Snapshot) -> So + Copy,
) -> Response {
    let shown = || {
        let known = Known::find(state, &handle.name());
        Json(Service::new(&state.fleet, known.entry.as_deref(), Some(handle)))
    };
    let mut snapshots = handle.watch();
    let first = snapshots.borrow().clone();
    let began = |snapshot: &Snapshot| *snapshot != first || so(snapshot) != So::Far;
    let _ = tokio::time::timeout(BEGINNING, snapshots.wait_for(began)).await;
    let ended = snapshots.wait_for(|snapshot| so(snapshot) != So::Far);
    let ended = async {
        tokio::select! {
            ended = ended => ended.ok().map(|snapshot| so(&snapshot)),
            () = let_go(state, handle) => None,
        }
    };
    let end = match tokio::time::timeout(patience.time, ended).await {
        Ok(Some(end)) => end,
        Ok(None) => return unknown_service().into_response(),
        Err(_) => So::Far,
    };
    let response = match end {
        So::Done => shown().into_response(),
        So::Failed => failed(state, handle).into_response(),
        So::Far => {
            let location = format!("/api/v1/services/{}", handle.name());
            (StatusCode::ACCEPTED, [(header::LOCATION, location)], shown()).into_response()
        }
    };
    patience.applied(response)
}

/// Returns when the service is no more, or another one of its name is there: nothing comes of an order
/// to this one.
async fn let_go(state: &AdminState, handle: &ServiceHandle) {
    let mut catalogs = state.catalog.watch();
    while state.fleet.get(handle.name().as_str()).is_some_and(|now| now.is_same(handle)) {
        if catalogs.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn failed(state: &AdminState, handle: &ServiceHandle) -> Problem {
    let snapshot = handle.snapshot();
    let failed = |reason: &str, wait: u64| {
        Problem::new(StatusCode::BAD_GATEWAY, "wake-failed", "The service could not be woken")
            .detail(reason)
            .field(header::RETRY_AFTER, HeaderValue::from(wait.max(1)))
    };
    if let Some(failure) = &snapshot.failure {
        let wait = clock::wall_at(failure.retry_at).since(clock::wall()).as_secs();
        return failed(&failure.reason, wait);
    }
    if !state.fleet.engine_status().borrow().connected {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "engine-unavailable", "Docker does not answer")
            .detail("Nothing is woken or stopped until it does: give the order again then.")
            .field(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    match snapshot.session.as_deref().map(|session| &session.wake) {
        Some(Wake::Failed { reason, outcome, .. }) if *outcome != WakeOutcome::Cancelled => failed(reason, 1),
        _ => Problem::new(StatusCode::CONFLICT, "overtaken", "Somebody else ordered otherwise meanwhile")
            .detail(format!("The service is {} now.", snapshot.phase)),
    }
}

/// Whether a wake that was ordered at `since` was given up without a back-off: Docker was away.
fn gave_up(snapshot: &Snapshot, since: Moment) -> bool {
    let wake = snapshot.session.as_deref().map(|session| &session.wake);
    matches!(wake, Some(Wake::Failed { at, .. }) if *at >= clock::wall_at(since))
}

/// How far a wake is that was ordered at `since`.
fn woken(snapshot: &Snapshot, since: Moment) -> So {
    match snapshot.phase {
        Phase::Ready => So::Done,
        Phase::Failed if snapshot.since >= since => So::Failed,
        // Stopped by somebody else on the way.
        Phase::Asleep if snapshot.since >= since => So::Failed,
        Phase::Asleep | Phase::Waking | Phase::Stopping | Phase::Failed => So::Far,
    }
}

fn stopped(snapshot: &Snapshot) -> So {
    match snapshot.phase {
        Phase::Asleep | Phase::Failed => So::Done,
        Phase::Waking | Phase::Ready | Phase::Stopping => So::Far,
    }
}

/// Wake a service
///
/// Does nothing where it is ready, and no more where it wakes already. A wake by hand ends the
/// back-off after one that failed.
#[utoipa::path(
    post, path = "/api/v1/services/{name}/wake", tag = "services", operation_id = "wakeService",
    params(("name" = String, Path, description = "The service's name"), Waiting),
    responses(
        (status = 200, description = "It is ready", body = Service),
        (status = 202, description = "It wakes", body = Service),
        (status = 502, description = "The wake failed", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn wake_service(
    State(state): State<AdminState>,
    Named(handle): Named,
    caller: Caller,
    Query(waiting): Query<Waiting>,
    headers: HeaderMap,
) -> Response {
    let since = clock::now();
    handle.wake_by(&caller.name);
    audit::note(&state.store, Entry::by(&caller, "wake", handle.name().as_str()));
    answer(&state, &handle, Patience::new(waiting, &headers), |snapshot| woken(snapshot, since)).await
}

/// Stop a service
///
/// Also where somebody uses it. Does nothing where it sleeps.
#[utoipa::path(
    post, path = "/api/v1/services/{name}/stop", tag = "services", operation_id = "stopService",
    params(("name" = String, Path, description = "The service's name"), Waiting),
    responses(
        (status = 200, description = "It sleeps", body = Service),
        (status = 202, description = "It is stopping", body = Service),
    ),
)]
pub(super) async fn stop_service(
    State(state): State<AdminState>,
    Named(handle): Named,
    caller: Caller,
    Query(waiting): Query<Waiting>,
    headers: HeaderMap,
) -> Response {
    handle.stop_by(&caller.name);
    audit::note(&state.store, Entry::by(&caller, "stop", handle.name().as_str()));
    answer(&state, &handle, Patience::new(waiting, &headers), stopped).await
}

/// Restart a service
///
/// Stops it, and wakes it when it is off. One that sleeps is woken.
#[utoipa::path(
    post, path = "/api/v1/services/{name}/restart", tag = "services", operation_id = "restartService",
    params(("name" = String, Path, description = "The service's name"), Waiting),
    responses(
        (status = 200, description = "It is ready again", body = Service),
        (status = 202, description = "It is on its way", body = Service),
        (status = 502, description = "The wake failed", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn restart_service(
    State(state): State<AdminState>,
    Named(handle): Named,
    caller: Caller,
    Query(waiting): Query<Waiting>,
    headers: HeaderMap,
) -> Response {
    let since = clock::now();
    handle.restart_by(&caller.name);
    audit::note(&state.store, Entry::by(&caller, "restart", handle.name().as_str()));
    let so = |snapshot: &Snapshot| match snapshot.phase {
        Phase::Ready if snapshot.ready_since >= since => So::Done,
        Phase::Failed if snapshot.since >= since => So::Failed,
        Phase::Asleep if gave_up(snapshot, since) => So::Failed,
        // On its way, also where it sleeps for a moment in between.
        Phase::Ready | Phase::Failed | Phase::Asleep | Phase::Waking | Phase::Stopping => So::Far,
    };
    answer(&state, &handle, Patience::new(waiting, &headers), so).await
}
