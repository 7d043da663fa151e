//! What happened, the newest first.

use axum::response::Response;

use crate::admin::pages::answer;
use crate::admin::pages::row::millis;
use crate::admin::pages::visit::Visit;
use crate::domain::words::Phase;
use crate::html::dashboard::pages::{Activity, Event};
use crate::html::dashboard::{Place, pages};
use crate::supervisor::journal::{self, What};

const SHOWN: usize = 100;

pub(super) async fn page(visit: Visit) -> Response {
    // While the store is away, what memory holds is shown.
    let events = visit.state.fleet.journal().before(None, None, SHOWN).await.unwrap_or_default();
    let view = Activity { events: events.iter().map(|event| show(event)).collect() };
    answer::page(pages::activity(&visit.frame(Place::Activity), &view))
}

fn show(event: &journal::Event) -> Event {
    let plain = Event {
        id: event.id,
        at: event.at.as_millis(),
        service: event.service.as_ref().map(ToString::to_string),
        kind: event.what.kind().to_owned(),
        ..Event::default()
    };
    let kind = |kind: &str| kind.to_owned();
    match &event.what {
        What::Phase { phase, cause } => Event {
            phase: Some(phase.as_str()),
            // The cause of a stop is none of a wake: each phase has its own.
            cause: cause.filter(|_| *phase != Phase::Failed),
            ..plain
        },
        What::WakeStarted { cause, by } => {
            let asked = by.method.iter().chain(&by.path).map(AsRef::as_ref).collect::<Vec<&str>>().join(" ");
            let who = by.user.as_deref().map(ToOwned::to_owned);
            Event {
                cause: Some(cause.as_str()),
                detail: who.or((!asked.is_empty()).then_some(asked)),
                ..plain
            }
        }
        What::WakeEnded { took, reason, .. } => {
            Event { took: took.map(millis), detail: reason.as_deref().map(ToOwned::to_owned), ..plain }
        }
        What::Stopped { took, by, .. } => {
            Event { took: took.map(millis), detail: by.as_deref().map(ToOwned::to_owned), ..plain }
        }
        What::KeptAwake { until, by } => {
            let name = if until.is_some() { "kept-awake" } else { "let-sleep" };
            Event { kind: kind(name), detail: Some(by.to_string()), ..plain }
        }
        What::Problem { key, reason, .. } => Event { detail: Some(format!("{key} {reason}")), ..plain },
        What::Published { outcome, message, .. } => {
            use crate::domain::words::PublishOutcome::{Published, Rejected, Unchanged, Unreachable};
            let name = match outcome {
                Published | Unchanged => "published",
                Rejected | Unreachable => "not-published",
            };
            Event { kind: kind(name), detail: message.clone(), ..plain }
        }
        What::ConfigRejected { reason } => Event { detail: Some(reason.clone()), ..plain },
        What::Engine { connected, version } => {
            let name = if *connected { "engine" } else { "engine-away" };
            Event { kind: kind(name), detail: version.clone(), ..plain }
        }
        What::Store { writable, reason, .. } => {
            let name = if *writable { "store" } else { "store-away" };
            Event { kind: kind(name), detail: reason.clone(), ..plain }
        }
        What::Started { version } => Event { detail: Some(version.clone()), ..plain },
        What::Added | What::Changed | What::Removed | What::ConfigApplied { .. } | What::Draining => plain,
    }
}
