//! What happened, the newest first: a wake is one line, however many events it was.

use std::collections::HashMap;

use axum::response::Response;

use crate::admin::pages::answer;
use crate::admin::pages::row::millis;
use crate::admin::pages::visit::Visit;
use crate::domain::name::ServiceName;
use crate::domain::words::{Phase, PublishOutcome, StopCause, WakeOutcome};
use crate::html::dashboard::pages::{Activity, Event};
use crate::html::dashboard::{Place, encode, pages};
use crate::store::AskedBy;
use crate::supervisor::journal::{self, What};

/// Events that are looked through for one page.
const LOOKED_AT: usize = 300;

pub(super) async fn page(visit: Visit) -> Response {
    let service = ServiceName::parse(visit.asked("service")).ok();
    let only_problems = visit.asked("only") == "problems";
    let before = visit.asked("before").parse().ok();
    let journal = visit.state.fleet.journal();
    // While the store is away, what memory holds is shown.
    let events = journal.before(before, service.as_ref(), LOOKED_AT).await.unwrap_or_default();
    let mut rows = rows(events.iter().map(AsRef::as_ref));
    if only_problems {
        rows.retain(|row| row.bad);
    }
    let older = events.last().filter(|_| events.len() == LOOKED_AT);
    let view = Activity {
        next: older.map(|last| {
            let service = service.as_ref().map(|name| format!("&service={}", encode(name.as_str())));
            let only = if only_problems { "&only=problems" } else { "" };
            format!("/activity?before={}{}{only}", last.id, service.unwrap_or_default())
        }),
        events: rows,
        service: service.map(|name| name.to_string()),
        only_problems,
    };
    answer::page(pages::activity(&visit.frame(Place::Activity), &view))
}

/// Events, the newest first, as lines.
fn rows<'a>(events: impl Iterator<Item = &'a journal::Event>) -> Vec<Event> {
    let mut rows: Vec<Event> = Vec::new();
    // Wakes whose end was met and whose beginning is still to come.
    let mut ended: HashMap<&str, usize> = HashMap::new();
    for event in events {
        let service = event.service.as_ref().map_or("", ServiceName::as_str);
        match &event.what {
            // What changes a phase is told besides, but for what was found running.
            What::Phase { phase: Phase::Ready, cause: Some("startup") } => {}
            What::Phase { .. } => continue,
            What::WakeStarted { cause, by } => {
                if let Some(row) = ended.remove(service).and_then(|at| rows.get_mut(at)) {
                    row.cause = Some(cause.as_str());
                    row.by = asked_by(by);
                    continue;
                }
            }
            // The failure has its own line.
            What::Stopped { cause: StopCause::FailedWake, .. } => continue,
            What::WakeEnded { .. } => drop(ended.insert(service, rows.len())),
            _ => {}
        }
        rows.push(row(event));
    }
    rows
}

/// Who asked for what, from where.
fn asked_by(by: &AskedBy) -> Option<String> {
    let path = by.path.as_deref().map(|path| format!("{} {path}", by.method.as_deref().unwrap_or_default()));
    let who = by.user.as_deref().map(ToOwned::to_owned).or(by.client.map(|client| client.to_string()));
    let parts: Vec<String> = path.into_iter().chain(who).collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

fn row(event: &journal::Event) -> Event {
    let plain = Event {
        id: event.id,
        at: event.at.as_millis(),
        service: event.service.as_ref().map(ToString::to_string),
        kind: event.what.kind().to_owned(),
        ..Event::default()
    };
    let own = |text: &Option<Box<str>>| text.as_deref().map(ToOwned::to_owned);
    let kind = |kind: &str| kind.to_owned();
    match &event.what {
        What::Phase { phase, cause } => Event { phase: Some(phase.as_str()), cause: *cause, ..plain },
        What::WakeStarted { cause, by } => Event {
            phase: Some(Phase::Waking.as_str()),
            cause: Some(cause.as_str()),
            by: asked_by(by),
            ..plain
        },
        What::WakeEnded { outcome, took, engine, reason } => {
            let (phase, bad) = match outcome {
                WakeOutcome::Ready => (Phase::Ready, false),
                WakeOutcome::Failed | WakeOutcome::Timeout => (Phase::Failed, true),
                WakeOutcome::Cancelled => (Phase::Asleep, false),
            };
            Event {
                phase: Some(phase.as_str()),
                took: took.map(millis),
                engine: engine.map(millis),
                detail: own(reason),
                bad,
                ..plain
            }
        }
        What::Stopped { cause, by, .. } => {
            Event { phase: Some(Phase::Asleep.as_str()), stop: Some(cause.as_str()), by: own(by), ..plain }
        }
        What::KeptAwake { until, by } => {
            let name = if until.is_some() { "kept-awake" } else { "let-sleep" };
            Event {
                kind: kind(name),
                by: Some(by.to_string()),
                until: until.map(|until| until.as_millis()),
                ..plain
            }
        }
        What::Problem { key, reason, container, .. } => {
            let whose = container.as_ref().map(|container| format!("{container}: ")).unwrap_or_default();
            Event { detail: Some(format!("{whose}{key} {reason}")), bad: true, ..plain }
        }
        What::ProblemMended { key, container, .. } => {
            let whose = container.as_ref().map(|container| format!("{container}: ")).unwrap_or_default();
            Event { detail: Some(format!("{whose}{key}")), ..plain }
        }
        What::Published { outcome, message, .. } => {
            let bad = matches!(outcome, PublishOutcome::Rejected | PublishOutcome::Unreachable);
            let name = if bad { "not-published" } else { "published" };
            Event { kind: kind(name), detail: message.clone(), bad, ..plain }
        }
        What::ConfigRejected { reason } => Event { detail: Some(reason.clone()), bad: true, ..plain },
        What::ConfigApplied { waiting, .. } => {
            Event { detail: (!waiting.is_empty()).then(|| waiting.join(", ")), ..plain }
        }
        What::Engine { connected, version } => {
            let name = if *connected { "engine" } else { "engine-away" };
            Event { kind: kind(name), detail: version.clone(), bad: !connected, ..plain }
        }
        What::Store { writable, reason, .. } => {
            let name = if *writable { "store" } else { "store-away" };
            Event { kind: kind(name), detail: reason.clone(), bad: !writable, ..plain }
        }
        What::Started { version } => Event { detail: Some(version.clone()), ..plain },
        What::Added | What::Changed | What::Removed | What::Draining => plain,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::time::Timestamp;
    use crate::domain::words::WakeCause;

    #[test]
    fn a_wake_is_one_line() {
        let event = |id: u64, service: &str, what| journal::Event {
            id,
            at: Timestamp::from_millis(1000),
            service: ServiceName::parse(service).ok(),
            what,
        };
        let phase = |phase| What::Phase { phase, cause: Some("request") };
        let by = AskedBy { method: Some("GET".into()), path: Some("/a".into()), ..AskedBy::default() };
        let started = |by: &AskedBy| What::WakeStarted { cause: WakeCause::Request, by: by.clone() };
        let ended = What::WakeEnded {
            outcome: WakeOutcome::Ready,
            took: Some(Duration::from_millis(900)),
            engine: Some(Duration::from_millis(200)),
            reason: None,
        };
        let stopped = What::Stopped { cause: StopCause::Idle, took: None, paused: false, by: None };
        // The newest first.
        let events = [
            event(9, "b", started(&AskedBy::user("anna"))),
            event(8, "a", stopped),
            event(7, "a", phase(Phase::Asleep)),
            event(6, "a", phase(Phase::Ready)),
            event(5, "a", ended),
            event(4, "b", started(&AskedBy::default())),
            event(3, "a", phase(Phase::Waking)),
            event(2, "a", started(&by)),
            event(1, "c", What::Phase { phase: Phase::Ready, cause: Some("startup") }),
        ];
        let rows = rows(events.iter());
        let seen: Vec<_> = rows.iter().map(|row| (row.id, row.phase, row.by.as_deref())).collect();
        assert_eq!(
            seen,
            [
                (9, Some("waking"), Some("anna")),
                (8, Some("asleep"), None),
                (5, Some("ready"), Some("GET /a")),
                (4, Some("waking"), None),
                (1, Some("ready"), None),
            ]
        );
        assert_eq!((rows[2].cause, rows[2].took, rows[2].engine), (Some("request"), Some(900), Some(200)));
    }
}
