//! Routes, and what Caddy says to them.

use axum::response::Response;

use crate::admin::pages::answer;
use crate::admin::pages::row::links;
use crate::admin::pages::visit::Visit;
use crate::config::CaddyMode;
use crate::domain::words::{PublishOutcome, Role};
use crate::html::dashboard::pages::{Caddy, Route};
use crate::html::dashboard::{Place, pages};

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
    let draft = if visit.role() == Role::Admin { visit.state.publisher.draft().await.ok() } else { None };
    let mut routes = Vec::new();
    for handle in visit.state.fleet.services().iter() {
        let spec = handle.spec();
        let links = links(&spec);
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
        target: String::new(),
        message: state.message,
        routes,
        caddyfile: draft.map(|draft| draft.caddyfile),
    };
    answer::page(pages::caddy(&visit.frame(Place::Caddy), &view))
}
