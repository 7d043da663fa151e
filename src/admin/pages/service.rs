//! The page of one service.

use std::time::Duration;

use axum::extract::Path;
use axum::response::Response;
use tokio::time::timeout;

use crate::admin::pages::answer;
use crate::admin::pages::edit::{may_delete, may_edit};
use crate::admin::pages::form::shown;
use crate::admin::pages::row::{millis, row};
use crate::admin::pages::visit::Visit;
use crate::clock;
use crate::domain::time::Timestamp;
use crate::domain::words::{Role, StopCause, WakeOutcome};
use crate::html::dashboard::Place;
use crate::html::dashboard::chart::{self, Stay};
use crate::html::dashboard::overview::{Awake, Row};
use crate::html::dashboard::service::{self, May, Problem, Service, Session, Setting};
use crate::html::dashboard::spark::{self, Hour, Sparks};
use crate::store::{self, Wake};
use crate::supervisor::catalog::Entry;
use crate::supervisor::handle::ServiceHandle;

/// Days of the strip, wakes of the chart, rows of the table, lines of the log.
const DAYS: u32 = 7;
const BARS: usize = 48;
const ROWS: usize = 25;
const SESSIONS: usize = 400;
const LINES: usize = 100;
const DOCKER_IN_TIME: Duration = Duration::from_millis(30);

pub(super) async fn page(visit: Visit, Path(name): Path<String>) -> Response {
    let catalog = visit.state.catalog.current();
    let entry = catalog.entries.iter().find(|(own, _)| own.as_str() == name).map(|(_, entry)| entry);
    let handle = visit.state.fleet.get(&name);
    let Some(entry) = entry else { return answer::missing(&visit) };
    // What is left out has no actor: its problems are the page.
    let view = match handle {
        Some(handle) => {
            let sessions = visit.state.store.sessions(entry.name.clone(), SESSIONS).await.unwrap_or_default();
            let log = log(&visit, &handle).await;
            let mut view = whole(&visit, entry, row(&handle, &catalog, &visit.front()), &sessions);
            view.log = log;
            view.wakes_today = visit.state.fleet.rollups().wakes_today(&entry.name);
            view.cpu = cpu(&handle);
            view.sparks = sparks(&visit, entry).await;
            view
        }
        None => whole(&visit, entry, left_out(&visit, entry), &[]),
    };
    answer::page(service::service(&visit.frame(Place::Services), &view))
}

/// What its container wrote last. A Docker that takes its time does not hold up the page: the script
/// asks for the log anyway.
async fn log(visit: &Visit, handle: &ServiceHandle) -> Option<Vec<String>> {
    let lines = timeout(DOCKER_IN_TIME, visit.state.fleet.logs(handle, LINES)).await.ok()?.ok()?;
    (!lines.is_empty()).then_some(lines)
}

fn cpu(handle: &ServiceHandle) -> Option<String> {
    let share = handle.usage()?.cpu? * 100.0;
    Some(if share < 9.95 { format!("{share:.1}") } else { format!("{share:.0}") })
}

/// What it took by the hour.
async fn sparks(visit: &Visit, entry: &Entry) -> Option<Sparks> {
    let now = clock::wall();
    let from = Timestamp::from_millis(now.as_millis() - i64::from(DAYS) * 24 * 3_600_000);
    let hours = visit.state.fleet.rollups().hours(Some(&entry.name), from, now).await.ok()?;
    let hours: Vec<Hour> = hours
        .iter()
        .map(|hour| {
            let average =
                |sum: f64| (hour.awake_seconds >= 1.0 && sum > 0.0).then(|| sum / hour.awake_seconds);
            Hour {
                start: hour.start.as_millis(),
                requests: hour.requests,
                memory: average(hour.memory_byte_seconds),
                cpu: average(hour.cpu_seconds),
            }
        })
        .collect();
    spark::sparks(now.as_millis(), i64::from(DAYS), &hours)
}

fn whole(visit: &Visit, entry: &Entry, row: Row, sessions: &[store::Session]) -> Service {
    let now = clock::wall().as_millis();
    let stays: Vec<Stay> = sessions.iter().map(stay).collect();
    let mut wakes: Vec<chart::Wake> = sessions.iter().filter_map(wake).take(BARS).collect();
    wakes.reverse();
    let edits = may_edit(visit, entry);
    Service {
        container: entry.container.clone(),
        cpu: None,
        wakes_today: 0,
        days: if stays.is_empty() { Vec::new() } else { chart::days(now, visit.offset, DAYS, &stays) },
        wakes: chart::wakes(&wakes),
        sparks: None,
        sessions: sessions.iter().take(ROWS).map(session).collect(),
        log: None,
        sources: entry.sources.clone(),
        values: entry
            .values()
            .into_iter()
            .filter(|value| value.key != "name")
            .map(|value| Setting {
                key: value.key.to_owned(),
                value: shown(&value.value),
                origin: value.origin,
            })
            .collect(),
        problems: entry
            .problems
            .iter()
            .map(|problem| Problem {
                key: problem.key.clone(),
                reason: problem.reason.clone(),
                mend: problem.mend.clone(),
                origin: problem.origin,
            })
            .collect(),
        may: May {
            act: visit.role() >= Role::User && entry.spec.is_some(),
            edit: edits,
            remove: may_delete(visit, entry),
        },
        row,
    }
}

/// A service that nobody serves, as a row.
fn left_out(visit: &Visit, entry: &Entry) -> Row {
    Row {
        name: entry.name.to_string(),
        icon: None,
        group: None,
        links: entry.spec.as_deref().map(|spec| visit.front().links(spec)).unwrap_or_default(),
        phase: crate::domain::words::Phase::Failed,
        since: clock::wall().as_millis(),
        missing: None,
        paused: false,
        probing: false,
        usual: None,
        failure: None,
        awake: Awake::Unknown,
        held: 0,
        last_wake: None,
        last_stop: None,
        requests: 0,
        memory: None,
        problems: entry.problems.len(),
    }
}

fn stay(session: &store::Session) -> Stay {
    let (ready, ended) = match &session.wake {
        Wake::Ready { at, .. } => (Some(at.as_millis()), None),
        Wake::Failed { at, .. } => (None, Some(at.as_millis())),
        Wake::Pending => (Some(session.ordered_at.as_millis()), None),
    };
    let to = session.stop.as_ref().map(|stop| stop.at.as_millis()).or(ended);
    Stay { from: session.ordered_at.as_millis(), ready, to }
}

fn wake(session: &store::Session) -> Option<chart::Wake> {
    match &session.wake {
        Wake::Ready { took, engine, .. } => {
            Some(chart::Wake { took: millis((*took)?), engine: engine.map(millis), failed: false })
        }
        Wake::Failed { at, .. } => {
            Some(chart::Wake { took: millis(at.since(session.ordered_at)), engine: None, failed: true })
        }
        Wake::Pending => None,
    }
}

fn session(session: &store::Session) -> Session {
    let by = &session.by;
    let (outcome, took, engine, failed) = match &session.wake {
        Wake::Ready { took, engine, .. } => (WakeOutcome::Ready, took.map(millis), engine.map(millis), false),
        Wake::Failed { at, outcome, .. } => {
            (*outcome, Some(millis(at.since(session.ordered_at))), None, true)
        }
        Wake::Pending => (WakeOutcome::Ready, None, None, false),
    };
    let path = by.path.as_deref().map(|path| format!("{} {path}", by.method.as_deref().unwrap_or_default()));
    let client = by.client.map(|client| client.to_string());
    Session {
        at: session.ordered_at.as_millis(),
        cause: session.cause,
        outcome,
        path,
        client: by.user.as_deref().map(ToOwned::to_owned).or(client),
        took,
        engine,
        awake: session
            .stop
            .as_ref()
            .map(|stop| millis(stop.at.since(session.ordered_at)))
            .filter(|_| !failed),
        open: session.stop.is_none() && !failed,
        stop: session.stop.as_ref().map(|stop| stop.cause).or(failed.then_some(StopCause::FailedWake)),
    }
}
