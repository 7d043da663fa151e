//! Routes, and what Caddy says to them.

use std::time::Duration;

use axum::response::Response;

use crate::admin::pages::answer;
use crate::admin::pages::visit::Visit;
use crate::config::CaddyMode;
use crate::domain::words::{PublishOutcome, Role};
use crate::html::dashboard::pages::{Caddy, Route};
use crate::html::dashboard::{Place, pages};
use crate::supervisor::publish::PublisherHandle;

/// A page does not wait for a Caddy that hangs.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn page(visit: Visit) -> Response {
    let state = visit.state.publish.borrow().clone();
    let mode = match visit.state.publisher.mode() {
        CaddyMode::Managed => "managed",
        CaddyMode::File => "file",
        CaddyMode::Off => "off",
    };
    let verdict = match state.outcome {
        _ if mode == "off" => "off",
        _ if state.foreign => "foreign",
        None => "waiting",
        Some(PublishOutcome::Published | PublishOutcome::Unchanged) => "published",
        Some(PublishOutcome::Rejected) => "rejected",
        Some(PublishOutcome::Unreachable) => "unreachable",
    };
    // The operator's own files are part of it: for whoever may read those.
    let file = if visit.role() == Role::Admin { file(&visit.state.publisher).await } else { File::default() };
    let front = visit.front();
    let mut routes = Vec::new();
    for handle in visit.state.fleet.services().iter() {
        let spec = handle.spec();
        let links = front.links(&spec);
        let phase = handle.snapshot().phase;
        for host in &spec.hosts {
            let host = host.to_string();
            let path = spec.path.as_deref().unwrap_or_default();
            let own = links.iter().find(|link| link.text == format!("{host}{path}"));
            let href = own.map(|link| link.href.clone());
            routes.push(Route::new(&host, path, href, spec.name.as_str(), spec.container.as_str(), phase));
        }
    }
    let view = Caddy {
        verdict,
        sign: match verdict {
            "off" | "waiting" => "asleep",
            _ if state.is_fine() => "ready",
            _ => "failed",
        },
        since: state.outcome.map(|_| state.at.as_millis()),
        mode,
        target: target(&visit, mode),
        message: state.message,
        routes,
        caddyfile: file.text,
        opinion: file.opinion,
        objection: file.objection,
        notes: state.notes,
    };
    answer::page(pages::caddy(&visit.frame(Place::Caddy), &view))
}

/// The Caddyfile as it would be published now, and what Caddy thinks of it.
#[derive(Default)]
struct File {
    text: Option<String>,
    opinion: &'static str,
    objection: Option<String>,
}

async fn file(publisher: &PublisherHandle) -> File {
    let asked = async {
        if let Ok(verdict) = publisher.verdict().await {
            let opinion = if verdict.rejected.is_some() { "refused" } else { "accepted" };
            return File { text: Some(verdict.draft.caddyfile), opinion, objection: verdict.rejected };
        }
        let off = publisher.mode() == CaddyMode::Off;
        let text = publisher.draft().await.ok().map(|draft| draft.caddyfile);
        File { text, opinion: if off { "" } else { "unknown" }, objection: None }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or(File { opinion: "unknown", ..File::default() })
}

/// Where Caddy is told, as the configuration says it.
fn target(visit: &Visit, mode: &str) -> String {
    let key = if mode == "file" { "caddy.file" } else { "caddy.admin" };
    let running = visit.state.running.load();
    let value = running.values().find(|value| value.key == key).and_then(|value| value.value);
    value.unwrap_or_default().trim_matches('"').to_owned()
}
