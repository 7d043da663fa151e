//! The door: every request of the control plane passes it before any handler sees it.
//!
//! In this order: the local socket's credentials, the name it came under, the size of its body, who
//! is calling, what the route asks of its caller, and whether a page of ours made the request. What
//! stands in no table gets nothing.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_LENGTH, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use http_body_util::Limited;

use crate::admin::access::{self, Access, Found};
use crate::admin::api::reference;
use crate::admin::auth::{By, Identified};
use crate::admin::caller::Caller;
use crate::admin::crowd::Crowd;
use crate::admin::peer::{Origin, Peer};
use crate::admin::problem::Problem;
use crate::admin::{AdminState, auth, cors, headers, names, speech, streams};
use crate::clock;
use crate::config::AdminConfig;
use crate::domain::words::Role;

/// Bytes of a request's body; over them 413.
const BODY: usize = 1024 * 1024;
/// A form is no longer than a page.
const FORM: usize = 256 * 1024;
/// For a whole body to come.
const BODY_TIME: Duration = Duration::from_secs(30);
/// The same of whoever has shown nothing yet: a log-in is a name and a password.
const STRANGERS_BODY: usize = 16 * 1024;
const STRANGERS_BODY_TIME: Duration = Duration::from_secs(5);
/// Requests of one client, or one /64 of IPv6, that come by a trusted proxy and are not answered yet.
/// Whoever comes directly has a number of connections.
const AT_ONCE: usize = 64;

/// What every request passes.
#[derive(Debug, Clone)]
pub(super) struct Door {
    state: AdminState,
    by_proxy: Arc<Crowd>,
}

impl Door {
    pub(super) fn new(state: AdminState) -> Self {
        Self { state, by_proxy: Crowd::new(AT_ONCE) }
    }
}

/// Lets a request in, or says why not, and hardens the answer.
pub(super) async fn door(
    State(Door { state, by_proxy }): State<Door>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    // Whoever is served without a peer came through no listener of ours: a stranger.
    let nobody = || Peer::Tcp { from: Ipv4Addr::UNSPECIFIED.into(), to: Ipv4Addr::UNSPECIFIED.into() };
    let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_else(nobody);
    let settings = state.settings.load_full();
    let origin = Origin::of(&peer, &parts.headers, &settings);
    let request_id = headers::request_id(&parts.headers, origin.believed);
    let cors = cors::allowed(&parts.headers, &settings);
    let language = speech::language(&parts);
    let response = async {
        // Given back with the head of the answer: what goes on has places of its own.
        let Some(_seat) = by_proxy.admit(origin.by_proxy()) else {
            return too_many("Wait for the answers to what you have asked.").into_response();
        };
        match admit(&state, &settings, &mut parts, body, &peer, &origin).await {
            Ok((caller, body)) => {
                parts.extensions.insert(origin);
                let response = next.run(Request::from_parts(parts, body)).await;
                bounded(&state, settings, caller, response)
            }
            Err(refusal) => *refusal,
        }
    };
    let mut response = response.await;
    speech::apply(language, &mut response);
    cors.apply(response.headers_mut());
    headers::harden(response.headers_mut(), &request_id);
    response
}

/// An answer instead of the handler's.
type Refusal = Box<Response>;

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Box::new(problem.into_response())
    }
}

async fn admit(
    state: &AdminState,
    settings: &AdminConfig,
    parts: &mut Parts,
    body: Body,
    peer: &Peer,
    origin: &Origin,
) -> Result<(Option<Admitted>, Body), Refusal> {
    if let Peer::Socket { uid } = peer
        && !is_ours(*uid)
    {
        let detail = "Ask as root or as WakeDock's own user, or over the network with an API token.";
        return Err(forbidden("This socket is not for this user").detail(detail).into());
    }
    names::check(parts, peer, settings)?;
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > BODY as u64) {
        return Err(too_large().into());
    }
    if let Some(answer) = cors::preflight(parts, settings) {
        return Err(Box::new(answer));
    }
    // Where nothing matched the router says so, to whoever asks, and reads nothing.
    let Some(path) = parts.extensions.get::<MatchedPath>().cloned() else { return Ok((None, body)) };
    // What is for machines is for those on this side: strangers come by the data plane.
    let is_outside = *peer == Peer::Proxy;
    if is_outside && path.as_str() == "/caddy/ask" {
        return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here").into());
    }
    let access = match access::find(&parts.method, path.as_str()) {
        Found::Access(access) => access,
        Found::OtherMethods => return Err(method_not_allowed(path.as_str()).into()),
        Found::Nothing => {
            tracing::error!(path = path.as_str(), "a route stands in no table of access, and is refused");
            return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here").into());
        }
    };
    let wanted = match access {
        Access::Open => None,
        Access::Metrics => (settings.metrics_auth || is_outside).then_some(Role::Viewer),
        Access::SignedIn => Some(Role::Viewer),
        Access::Role(role) => Some(role),
    };
    let (most, time) = match wanted {
        None => (STRANGERS_BODY, STRANGERS_BODY_TIME),
        Some(_) => (BODY, BODY_TIME),
    };
    let body = Body::new(Limited::new(Timed::new(body, time), most));
    let somebody = match (state.auth.identify(parts, peer, origin, settings, clock::wall()), wanted) {
        (Identified::Ambiguous(detail), _) => {
            let title = "The credentials can be read in two ways";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "ambiguous-credentials", title)
                .detail(detail)
                .into());
        }
        (Identified::Somebody(caller, by), _) => Some((caller, by)),
        (_, None) => None,
        (Identified::Nobody, Some(_)) => return Err(log_in_first(parts)),
        (Identified::BadToken, Some(_)) => {
            let title = "The token is not good, or not any more";
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "bad-token", title);
            return Err(problem.field(WWW_AUTHENTICATE, challenge).into());
        }
        (Identified::NoRole, Some(_)) => {
            let detail = "None of your groups has a role in `admin.forward_auth.roles`.";
            return Err(forbidden("You have no role here").detail(detail).into());
        }
    };
    let body = match &somebody {
        // Over the local socket and with a token in `Authorization` nobody acts unawares.
        Some((_, By::Socket | By::Bearer)) => body,
        Some((caller, By::Cookie | By::Proxy)) => {
            let wants_token = wanted.is_some();
            from_our_page(state, parts, body, origin, wants_token.then_some(caller)).await?
        }
        None => from_our_page(state, parts, body, origin, None).await?,
    };
    if let (Some(wanted), Some((caller, _))) = (wanted, &somebody) {
        if caller.role < wanted {
            let detail = format!("You are {}; this wants {wanted}.", caller.role);
            return Err(forbidden("Your role does not allow this").detail(detail).into());
        }
        if let Some(services) = &caller.services
            && !is_in_scope(path.as_str(), parts.uri.path(), services)
        {
            return Err(forbidden("The token is for other services").into());
        }
    }
    if let Some((caller, _)) = &somebody {
        parts.extensions.insert(caller.clone());
    }
    Ok((somebody.map(|(caller, by)| Admitted { caller, by }), body))
}

/// Who was let in, and what they showed.
struct Admitted {
    caller: Caller,
    by: By,
}

/// Holds an unsafe request of a browser against what only pages of ours can do: come from here, and,
/// where somebody is signed in, know the token.
async fn from_our_page(
    state: &AdminState,
    parts: &Parts,
    body: Body,
    origin: &Origin,
    caller: Option<&Caller>,
) -> Result<Body, Refusal> {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        // A link on another site's page may show a page of ours; what is for programs it must not fetch
        // in somebody's name.
        if parts.uri.path().starts_with("/api/")
            && caller.is_some()
            && auth::is_from_elsewhere(&parts.headers)
        {
            let problem = Problem::new(StatusCode::FORBIDDEN, "cross-origin", "Another site asked for this");
            return Err(problem.detail("Programs show a token instead of a cookie.").into());
        }
        return Ok(body);
    }
    if !auth::check_origin(&parts.headers, origin) {
        let problem = Problem::new(StatusCode::FORBIDDEN, "cross-origin", "Another site asked for this");
        return Err(problem.detail("Do it on a page of WakeDock's own.").into());
    }
    let Some(caller) = caller else { return Ok(body) };
    let said = auth::csrf_token_in_header(&parts.headers);
    let (said, body) = match said {
        None if auth::is_form(&parts.headers) => {
            let reading = tokio::time::timeout(BODY_TIME, to_bytes(body, FORM));
            let bytes = match reading.await {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(_)) => return Err(too_large().into()),
                Err(_) => {
                    return Err(Problem::new(
                        StatusCode::REQUEST_TIMEOUT,
                        "too-slow",
                        "The body was too slow",
                    )
                    .into());
                }
            };
            (auth::csrf_token_in_form(&bytes), Body::from(bytes))
        }
        said => (said, body),
    };
    if said.is_some_and(|token| state.auth.is_csrf_token(caller, &token)) {
        return Ok(body);
    }
    let detail = "Send the token of this session as `X-CSRF-Token`, or as the form's field `csrf`.";
    Err(Problem::new(StatusCode::FORBIDDEN, "csrf", "The request shows no token of this session")
        .detail(detail)
        .into())
}

/// A body that has to be whole within a time of its first look.
struct Timed {
    body: Body,
    time: Duration,
    over: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Timed {
    fn new(body: Body, time: Duration) -> Self {
        Self { body, time, over: None }
    }
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let time = self.time;
        let over = self.over.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        if over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new("the body was too slow"))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Gives an answer that goes on a place and an end. `settings`: what its caller was let in under.
fn bounded(
    state: &AdminState,
    settings: Arc<AdminConfig>,
    admitted: Option<Admitted>,
    response: Response,
) -> Response {
    let Some(Admitted { caller, by }) = admitted.filter(|_| streams::goes_on(response.body())) else {
        return response;
    };
    streams::bound(response, state, settings, caller, by).unwrap_or_else(|| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", "Too many streams are open")
            .detail("Close some of the pages or programs that follow events or logs.")
            .field(RETRY_AFTER, HeaderValue::from_static("10"))
            .into_response()
    })
}

fn too_many(detail: &str) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests at once")
        .detail(detail)
        .field(RETRY_AFTER, HeaderValue::from_static("1"))
}

/// A token that is for some services sees nothing else, but who it is.
fn is_in_scope(route: &str, path: &str, services: &[String]) -> bool {
    if route == "/api/v1/auth/me" {
        return true;
    }
    // A service's name needs no percent encoding, and with one it is none of these.
    route.starts_with("/api/v1/services/{name}")
        && path.split('/').nth(4).is_some_and(|name| services.iter().any(|own| own == name))
}

/// A page that a browser wants leads to the log-in; everything else is told.
fn log_in_first(parts: &Parts) -> Refusal {
    let accepts = |kind: &str| {
        parts
            .headers
            .get(ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains(kind))
    };
    let path = parts.uri.path();
    let page = !path.starts_with("/api/") || path.starts_with(reference::PATH);
    if parts.method == Method::GET && page && accepts("text/html") {
        let wanted = parts.uri.path_and_query().map_or("/", |wanted| wanted.as_str());
        let location = if wanted == "/" {
            "/login".to_owned()
        } else {
            format!("/login?next={}", names::percent_encoded(wanted))
        };
        if let Ok(location) = HeaderValue::from_str(&location) {
            return Box::new((StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response());
        }
    }
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Log in first")
        .field(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        .into()
}

fn forbidden(title: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "forbidden", title)
}

fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
        .detail("At most 1 MiB is read.")
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
