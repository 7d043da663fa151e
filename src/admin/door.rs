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
use axum::http::header::{ACCEPT, ALLOW, CONTENT_LENGTH, LOCATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use http_body_util::Limited;

use crate::admin::access::{self, Access, Found};
use crate::admin::auth::{By, Identified};
use crate::admin::caller::Caller;
use crate::admin::peer::{Origin, Peer};
use crate::admin::problem::Problem;
use crate::admin::{AdminState, auth, cors, headers, names, streams};
use crate::clock;
use crate::domain::words::Role;

/// Bytes of a request's body; over them 413.
const BODY: usize = 1024 * 1024;
/// A form is no longer than a page.
const FORM: usize = 256 * 1024;
/// For a whole body to come.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Lets a request in, or says why not, and hardens the answer.
pub(super) async fn door(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    // Whoever is served without a peer came through no listener of ours: a stranger.
    let nobody = || Peer::Tcp { from: Ipv4Addr::UNSPECIFIED.into(), to: Ipv4Addr::UNSPECIFIED.into() };
    let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_else(nobody);
    let settings = state.settings.load_full();
    let origin = Origin::of(&peer, &parts.headers, &settings);
    let request_id = headers::request_id(&parts.headers, origin.believed);
    let cors = cors::allowed(&parts.headers, &settings);
    let mut response = match admit(&state, &mut parts, body, &peer, &origin).await {
        Ok((caller, body)) => {
            parts.extensions.insert(origin);
            let response = next.run(Request::from_parts(parts, body)).await;
            bounded(&state, caller, response)
        }
        Err(refusal) => *refusal,
    };
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
    parts: &mut Parts,
    body: Body,
    peer: &Peer,
    origin: &Origin,
) -> Result<(Option<Caller>, Body), Refusal> {
    if let Peer::Socket { uid } = peer
        && !is_ours(*uid)
    {
        let detail = "Ask as root or as WakeDock's own user, or over the network with an API token.";
        return Err(forbidden("This socket is not for this user").detail(detail).into());
    }
    let settings = state.settings.load_full();
    names::check(parts, peer, &settings)?;
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > BODY as u64) {
        return Err(too_large().into());
    }
    if let Some(answer) = cors::preflight(parts, &settings) {
        return Err(Box::new(answer));
    }
    let body = Body::new(Limited::new(Timed::new(body), BODY));
    // Where nothing matched the router says so, to whoever asks.
    let Some(path) = parts.extensions.get::<MatchedPath>().cloned() else { return Ok((None, body)) };
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
        Access::Metrics => settings.metrics_auth.then_some(Role::Viewer),
        Access::SignedIn => Some(Role::Viewer),
        Access::Role(role) => Some(role),
    };
    let somebody = match (state.auth.identify(parts, peer, origin, &settings, clock::wall()), wanted) {
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
    let caller = somebody.map(|(caller, _)| caller);
    if let (Some(wanted), Some(caller)) = (wanted, &caller) {
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
    if let Some(caller) = &caller {
        parts.extensions.insert(caller.clone());
    }
    Ok((caller, body))
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

/// A body that has to be whole within [`BODY_TIME`] of its first look.
struct Timed {
    body: Body,
    over: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Timed {
    fn new(body: Body) -> Self {
        Self { body, over: None }
    }
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let over = self.over.get_or_insert_with(|| Box::pin(tokio::time::sleep(BODY_TIME)));
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

/// Gives an answer that goes on a place and an end.
fn bounded(state: &AdminState, caller: Option<Caller>, response: Response) -> Response {
    let Some(caller) = caller.filter(|_| streams::goes_on(response.body())) else { return response };
    let (parts, body) = response.into_parts();
    let bounded = streams::bound(body, &state.streams, Arc::clone(&state.auth), caller, state.stage.clone());
    match bounded {
        Some(body) => Response::from_parts(parts, body),
        None => Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", "Too many streams are open")
            .detail("Close some of the pages or programs that follow events or logs.")
            .field(axum::http::header::RETRY_AFTER, HeaderValue::from_static("10"))
            .into_response(),
    }
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
    if parts.method == Method::GET && !path.starts_with("/api/") && accepts("text/html") {
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
