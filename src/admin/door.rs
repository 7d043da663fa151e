//! The door: every request of the control plane passes it before any handler sees it.
//!
//! In this order: the local socket's credentials, the name it came under, the size of its body, who
//! is calling, and what the route asks of its caller. What stands in no table gets nothing.

use std::net::Ipv4Addr;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ALLOW, CONTENT_LENGTH};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::Limited;

use crate::admin::access::{self, Access, Found};
use crate::admin::caller::{Caller, Via};
use crate::admin::peer::{Origin, Peer};
use crate::admin::problem::Problem;
use crate::admin::{AdminState, headers, names};
use crate::domain::words::Role;

/// Bytes of a request's body; over them 413.
const BODY: usize = 1024 * 1024;

/// Lets a request in, or says why not, and hardens the answer.
pub(super) async fn door(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    // Whoever is served without a peer came through no listener of ours: a stranger.
    let nobody = || Peer::Tcp { from: Ipv4Addr::UNSPECIFIED.into(), to: Ipv4Addr::UNSPECIFIED.into() };
    let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_else(nobody);
    let settings = state.settings.load_full();
    let origin = Origin::of(&peer, &parts.headers, &settings);
    let believed =
        origin.address.is_none() || origin.proxy.is_some_and(|proxy| origin.address != Some(proxy));
    let request_id = headers::request_id(&parts.headers, believed);
    let mut response = match admit(&state, &mut parts, &peer, &origin) {
        Ok(()) => {
            parts.extensions.insert(origin);
            let body = Body::new(Limited::new(body, BODY));
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    };
    headers::harden(response.headers_mut(), &request_id);
    response
}

fn admit(state: &AdminState, parts: &mut Parts, peer: &Peer, origin: &Origin) -> Result<(), Problem> {
    if let Peer::Socket { uid } = peer
        && !is_ours(*uid)
    {
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "This socket is not for this user")
            .detail("Ask as root or as WakeDock's own user, or over the network with an API token."));
    }
    let settings = state.settings.load();
    names::check(parts, peer, &settings)?;
    let length =
        parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY as u64) {
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
            .detail("At most 1 MiB is read."));
    }
    let Some(path) = parts.extensions.get::<MatchedPath>().cloned() else {
        // Nothing is there; the router says so.
        return Ok(());
    };
    let access = match access::find(&parts.method, path.as_str()) {
        Found::Access(access) => access,
        Found::OtherMethods => return Err(method_not_allowed(path.as_str())),
        Found::Nothing => {
            tracing::error!(path = path.as_str(), "a route stands in no table of access, and is refused");
            return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here"));
        }
    };
    let caller = identify(peer, origin);
    let wanted = match access {
        Access::Open => None,
        Access::Metrics => settings.metrics_auth.then_some(Role::Viewer),
        Access::SignedIn => Some(Role::Viewer),
        Access::Role(role) => Some(role),
    };
    match (wanted, &caller) {
        (None, _) => {}
        (Some(_), None) => {
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Log in first"));
        }
        (Some(wanted), Some(caller)) if caller.role < wanted => {
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "Your role does not allow this")
                .detail(format!("You are {}; this wants {wanted}.", caller.role)));
        }
        (Some(_), Some(_)) => {}
    }
    if let Some(caller) = caller {
        parts.extensions.insert(caller);
    }
    Ok(())
}

fn method_not_allowed(path: &str) -> Problem {
    let problem =
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This cannot be done here");
    match HeaderValue::from_str(&access::methods(path)) {
        Ok(methods) => problem.field(ALLOW, methods),
        Err(_) => problem,
    }
}

/// Root and WakeDock's own user.
fn is_ours(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

fn identify(peer: &Peer, origin: &Origin) -> Option<Caller> {
    let Peer::Socket { uid } = peer else { return None };
    let name = if *uid == 0 { "root".into() } else { format!("uid {uid}").into() };
    Some(Caller { name, role: Role::Admin, via: Via::Socket { uid: *uid }, address: origin.address })
}
