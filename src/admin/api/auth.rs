//! `/api/v1/auth`: log-in, refresh, log-out, and who one is.

use std::time::Duration;

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::header::{RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::api::answers::{StoreAway, TooManyTries};
use crate::admin::api::query::Query;
use crate::admin::api::router::{ApiRouter, Use, at};
use crate::admin::api::sent::{Sent, store_away};
use crate::admin::api::users;
use crate::admin::api::wire::Time;
use crate::admin::auth::{Client, Left, PasswordChangeError, SignInError, Tokens, TooMany, UserError};
use crate::admin::caller::{Caller, Via};
use crate::admin::peer::Origin;
use crate::admin::problem::Problem;
use crate::clock;

pub(super) fn routes<U: Use>() -> ApiRouter<U> {
    ApiRouter::new()
        .json(at!("/api/v1/auth/login": post log_in))
        .json(at!("/api/v1/auth/refresh": post refresh))
        .json(at!("/api/v1/auth/logout": post log_out))
        .json(at!("/api/v1/auth/me": get get_me))
        .json(at!("/api/v1/auth/password": post change_password))
}

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    #[schema(max_length = 64)]
    username: String,
    #[schema(max_length = 256)]
    password: String,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    refresh_token: String,
}

/// The old password and the new one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    current_password: String,
    #[schema(min_length = 8, max_length = 256)]
    new_password: String,
}

/// Tokens of a session (RFC 6749, 5.1).
#[derive(Serialize, ToSchema)]
pub(super) struct TokenPair {
    /// For `Authorization: Bearer …`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds for which the access token is good.
    expires_in: u64,
    /// Good once; another one comes with the next access token.
    refresh_token: String,
}

impl From<Tokens> for TokenPair {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access,
            token_type: "Bearer",
            expires_in: tokens.expires_in,
            refresh_token: tokens.refresh,
        }
    }
}

/// Who is asking.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    username: String,
    /// `viewer`, `user` or `admin`.
    role: &'static str,
    /// `socket`, `session`, `token` or `proxy`.
    via: &'static str,
    /// When the session or token ends by itself. Null: it does not.
    expires_at: Option<Time>,
    /// The services that the token is for. Null: all.
    services: Option<Vec<String>>,
    /// What a browser sends as `X-CSRF-Token` with every change. Null: none is needed.
    csrf_token: Option<String>,
}

/// Who is at the other end, for a log-in.
#[must_use]
pub fn client(origin: &Origin, headers: &HeaderMap) -> Client {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    Client { address: origin.address, agent: agent.to_owned() }
}

/// Log in
///
/// Begins a session, and gives a short access token and a refresh token for it. Browsers log in on
/// the dashboard instead, which gives them a cookie.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "auth", operation_id = "logIn", request_body = Credentials,
    responses(
        (status = 200, description = "Tokens", body = TokenPair),
        (status = 401, description = "The name or the password is wrong", body = Problem, content_type = "application/problem+json"),
        TooManyTries, StoreAway,
    ),
)]
pub(super) async fn log_in(
    State(state): State<AdminState>,
    Extension(origin): Extension<Origin>,
    _none: Query<()>,
    headers: HeaderMap,
    Sent(sent): Sent<Credentials>,
) -> Result<Response, Problem> {
    let client = client(&origin, &headers);
    let new =
        state.auth.sign_in(&sent.username, sent.password, &client).await.map_err(|error| refused(&error))?;
    let left = new.left;
    let tokens = state.auth.tokens(&new).await.map_err(|error| store_away(&error))?;
    let mut response = Json(TokenPair::from(tokens)).into_response();
    response.headers_mut().extend(limits(left));
    Ok(response)
}

/// Get new tokens
///
/// Each refresh token is good once. One that comes a second time ends the whole session.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", tag = "auth", operation_id = "refreshTokens", request_body = Refresh,
    responses(
        (status = 200, description = "Tokens", body = TokenPair),
        (status = 401, description = "The token is not good, or not any more", body = Problem, content_type = "application/problem+json"),
        StoreAway,
    ),
)]
pub(super) async fn refresh(
    State(state): State<AdminState>,
    Extension(origin): Extension<Origin>,
    _none: Query<()>,
    headers: HeaderMap,
    Sent(sent): Sent<Refresh>,
) -> Result<Json<TokenPair>, Problem> {
    let client = client(&origin, &headers);
    match state.auth.refresh(&sent.refresh_token, &client).await {
        Ok(tokens) => Ok(Json(tokens.into())),
        Err(SignInError::Wrong(_)) => {
            let title = "The token is not good, or not any more";
            Err(Problem::new(StatusCode::UNAUTHORIZED, "bad-token", title).detail("Log in again."))
        }
        Err(other) => Err(refused(&other)),
    }
}

/// Log out
///
/// Ends the session, with every token that hangs on it.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "auth", operation_id = "logOut",
    responses((status = 204, description = "It is over"), StoreAway),
)]
pub(super) async fn log_out(
    State(state): State<AdminState>,
    caller: Caller,
    _none: Query<()>,
) -> Result<StatusCode, Problem> {
    state.auth.sign_out(&caller).await.map_err(|error| store_away(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who am I
#[utoipa::path(
    get, path = "/api/v1/auth/me", tag = "auth", operation_id = "getMe",
    responses((status = 200, description = "The caller", body = Me)),
)]
pub(super) async fn get_me(State(state): State<AdminState>, caller: Caller, _none: Query<()>) -> Json<Me> {
    let via = match caller.via {
        Via::Socket { .. } => "socket",
        Via::Session { .. } => "session",
        Via::Token { .. } => "token",
        Via::Proxy => "proxy",
    };
    Json(Me {
        username: caller.name.as_ref().to_owned(),
        role: caller.role.as_str(),
        via,
        expires_at: state.auth.expires(&caller).map(Time),
        services: caller.services.as_deref().map(<[String]>::to_vec),
        csrf_token: state.auth.csrf_token(&caller),
    })
}

/// Change one's password
///
/// Ends every session of the user, the one of this request too: log in with the new one.
#[utoipa::path(
    post, path = "/api/v1/auth/password", tag = "auth", operation_id = "changePassword",
    request_body = NewPassword,
    responses(
        (status = 204, description = "It is changed"),
        (status = 403, description = "The current password is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The caller has no password here", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It cannot be a password", body = Problem, content_type = "application/problem+json"),
        TooManyTries, StoreAway,
    ),
)]
pub(super) async fn change_password(
    State(state): State<AdminState>,
    caller: Caller,
    _none: Query<()>,
    Sent(sent): Sent<NewPassword>,
) -> Result<StatusCode, Problem> {
    let changed = state.auth.change_own_password(&caller, sent.current_password, sent.new_password).await;
    changed.map_err(|error| match error {
        PasswordChangeError::NotYours => {
            Problem::new(StatusCode::CONFLICT, "no-password", "You have no password here")
                .detail("Log in with a name and a password to change it.")
        }
        PasswordChangeError::Current(SignInError::Wrong(left)) => with_limits(
            Problem::new(StatusCode::FORBIDDEN, "wrong-password", "The current password is wrong"),
            left,
        ),
        PasswordChangeError::Current(other) => refused(&other),
        PasswordChangeError::User(UserError::Password(error)) => {
            users::bad_password("/new_password", "new_password", error)
        }
        PasswordChangeError::User(other) => users::refused(other),
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// The answer to a log-in that was refused: the same for unknown names and wrong passwords.
#[must_use]
pub fn refused(error: &SignInError) -> Problem {
    match error {
        SignInError::Wrong(left) => {
            let title = "The name or the password is wrong";
            with_limits(Problem::new(StatusCode::UNAUTHORIZED, "wrong-credentials", title), *left)
        }
        SignInError::TooMany(too_many) => slow_down(*too_many),
        SignInError::Busy => busy(),
        SignInError::Store(error) => store_away(error),
    }
}

/// Passwords are worked on one at a time.
#[must_use]
pub(super) fn busy() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many log-ins wait already")
        .detail("Try again in a few seconds.")
        .field(RETRY_AFTER, HeaderValue::from_static("3"))
}

/// There were too many tries.
#[must_use]
pub fn slow_down(too_many: TooMany) -> Problem {
    let seconds = whole_seconds(too_many.retry_after);
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-tries", "There were too many tries")
        .detail(format!("Try again in {seconds} s."))
        .field(RETRY_AFTER, HeaderValue::from(seconds));
    with_limits(problem, Left { tries: 0, reset: too_many.retry_after })
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn with_limits(problem: Problem, left: Left) -> Problem {
    limits(left).into_iter().fold(problem, |problem, (name, value)| problem.field(name, value))
}

/// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
fn limits(left: Left) -> [(HeaderName, HeaderValue); 2] {
    let text = format!("\"log-in\";r={};t={}", left.tries, whole_seconds(left.reset));
    let policy = HeaderValue::from_str(&Left::policy()).unwrap_or(HeaderValue::from_static(""));
    [
        (
            HeaderName::from_static("ratelimit"),
            HeaderValue::from_str(&text).unwrap_or_else(|_| policy.clone()),
        ),
        (HeaderName::from_static("ratelimit-policy"), policy),
    ]
}

pub(super) fn now() -> crate::domain::time::Timestamp {
    clock::wall()
}
