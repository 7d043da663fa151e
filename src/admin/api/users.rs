//! `/api/v1/users`: who can log in, and their sessions.

use axum::Json;
use axum::extract::State;
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::api::answers::{Changed, StoreAway, Unusable};
use crate::admin::api::auth::{busy, now};
use crate::admin::api::page::{PARAMETERS, Page, Paging};
use crate::admin::api::precondition::{changed, etag};
use crate::admin::api::query::{FromQuery, Given, Query};
use crate::admin::api::router::{ApiRouter, Use, at};
use crate::admin::api::sent::{InPath, Sent, expected, store_away, unusable};
use crate::admin::api::wire::Time;
use crate::admin::auth::{self, PasswordError, UserChange, UserError};
use crate::admin::caller::{Caller, Via};
use crate::admin::problem::Problem;
use crate::domain::words::Role;

pub(super) fn routes<U: Use>() -> ApiRouter<U> {
    ApiRouter::new()
        .json(at!("/api/v1/users": get list_users, post create_user))
        .json(at!("/api/v1/users/{name}": get get_user, patch change_user, delete delete_user))
        .json(at!("/api/v1/users/{name}/sessions": get list_user_sessions, delete end_user_sessions))
        .json(at!("/api/v1/users/{name}/sessions/{id}": delete end_user_session))
}

/// A list without parameters of its own.
pub(super) struct Only(pub(super) Paging);

impl FromQuery for Only {
    const KNOWN: &'static [&'static str] = &PARAMETERS;

    fn read(given: &mut Given) -> Self {
        Self(Paging::read(given))
    }
}

/// Somebody who can log in.
#[derive(Serialize, ToSchema)]
pub(super) struct User {
    username: String,
    /// `viewer`, `user` or `admin`.
    role: &'static str,
    disabled: bool,
    created_at: Time,
    password_changed_at: Time,
}

impl From<&auth::User> for User {
    fn from(user: &auth::User) -> Self {
        Self {
            username: user.name.as_ref().to_owned(),
            role: user.role.as_str(),
            disabled: user.disabled,
            created_at: user.created.into(),
            password_changed_at: user.password_changed.into(),
        }
    }
}

/// A role, as it is sent.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SentRole {
    Viewer,
    User,
    Admin,
}

impl From<SentRole> for Role {
    fn from(role: SentRole) -> Self {
        match role {
            SentRole::Viewer => Self::Viewer,
            SentRole::User => Self::User,
            SentRole::Admin => Self::Admin,
        }
    }
}

/// A user to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    /// Kept in lower case.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._@-]*$")]
    username: String,
    #[schema(min_length = 8, max_length = 256)]
    password: String,
    role: SentRole,
}

/// What is to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedUser {
    #[serde(default)]
    role: Option<SentRole>,
    #[serde(default)]
    disabled: Option<bool>,
    #[serde(default)]
    #[schema(min_length = 8, max_length = 256)]
    password: Option<String>,
}

/// One log-in that goes on.
#[derive(Serialize, ToSchema)]
#[schema(as = UserSession)]
pub(super) struct Session {
    id: String,
    created_at: Time,
    seen_at: Time,
    /// When it ends if nobody comes any more.
    expires_at: Time,
    /// Where it was begun.
    address: Option<String>,
    /// The program it was begun with, in its own words.
    user_agent: String,
    /// Whether it is the one of this request.
    current: bool,
}

fn with_tag(status: StatusCode, user: &auth::User) -> Response {
    (status, [(ETAG, etag(user.revision))], Json(User::from(user))).into_response()
}

/// List the users
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users", operation_id = "listUsers", params(Paging),
    responses((status = 200, description = "One page of users, by name", body = Page<User>)),
)]
pub(super) async fn list_users(
    State(state): State<AdminState>,
    Query(Only(paging)): Query<Only>,
) -> Json<Page<User>> {
    let page = paging.cut(state.auth.users(), |user| user.name.as_ref().to_owned());
    Json(Page { items: page.items.iter().map(User::from).collect(), next: page.next })
}

/// Make a user
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", operation_id = "createUser", request_body = NewUser,
    responses(
        (status = 201, description = "The user", body = User),
        (status = 409, description = "There is one of this name", body = Problem, content_type = "application/problem+json"),
        Unusable, StoreAway,
    ),
)]
pub(super) async fn create_user(
    State(state): State<AdminState>,
    caller: Caller,
    _none: Query<()>,
    Sent(sent): Sent<NewUser>,
) -> Result<Response, Problem> {
    let new = auth::NewUser { name: sent.username, role: sent.role.into(), password: sent.password };
    let user = state.auth.add_user(&caller, new).await.map_err(refused)?;
    let mut response = with_tag(StatusCode::CREATED, &user);
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/users/{}", user.name)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Get a user
#[utoipa::path(
    get, path = "/api/v1/users/{name}", tag = "users", operation_id = "getUser",
    params(("name" = String, Path, description = "The user's name")),
    responses(
        (status = 200, description = "The user", body = User, headers(("ETag" = String, description = "Its revision"))),
        (status = 404, description = "There is none of this name", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_user(
    State(state): State<AdminState>,
    InPath(name): InPath<String>,
    _none: Query<()>,
) -> Result<Response, Problem> {
    let user = state.auth.user(&name).ok_or_else(|| refused(UserError::Absent))?;
    Ok(with_tag(StatusCode::OK, &user))
}

/// Change a user
///
/// Another role, another password and being disabled end every session of the user at once. The last
/// admin who can log in stays one.
#[utoipa::path(
    patch, path = "/api/v1/users/{name}", tag = "users", operation_id = "changeUser",
    params(
        ("name" = String, Path, description = "The user's name"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    request_body = ChangedUser,
    responses(
        (status = 200, description = "The user", body = User, headers(("ETag" = String, description = "Its revision"))),
        (status = 404, description = "There is none of this name", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is the last admin", body = Problem, content_type = "application/problem+json"),
        Changed, Unusable, StoreAway,
    ),
)]
pub(super) async fn change_user(
    State(state): State<AdminState>,
    caller: Caller,
    InPath(name): InPath<String>,
    _none: Query<()>,
    headers: HeaderMap,
    Sent(sent): Sent<ChangedUser>,
) -> Result<Response, Problem> {
    let change =
        UserChange { role: sent.role.map(Role::from), disabled: sent.disabled, password: sent.password };
    let expect = expected(&headers, state.auth.user(&name).map(|user| user.revision))?;
    let user = state.auth.change_user(&caller, &name, change, expect).await.map_err(refused)?;
    Ok(with_tag(StatusCode::OK, &user))
}

/// Remove a user
///
/// With every session and token. The last admin who can log in cannot be removed.
#[utoipa::path(
    delete, path = "/api/v1/users/{name}", tag = "users", operation_id = "deleteUser",
    params(
        ("name" = String, Path, description = "The user's name"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    responses(
        (status = 204, description = "There is no such user any more"),
        (status = 404, description = "There is none of this name", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is the last admin", body = Problem, content_type = "application/problem+json"),
        Changed, StoreAway,
    ),
)]
pub(super) async fn delete_user(
    State(state): State<AdminState>,
    caller: Caller,
    InPath(name): InPath<String>,
    _none: Query<()>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expect = expected(&headers, state.auth.user(&name).map(|user| user.revision))?;
    state.auth.remove_user(&caller, &name, expect).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whose sessions somebody may see: one's own, or as an admin everybody's. Users that are not there
/// look like users that are not one's own.
fn whose(state: &AdminState, caller: &Caller, name: &str) -> Result<String, Problem> {
    let name = name.to_ascii_lowercase();
    if caller.role < Role::Admin && !caller.is_user(&name) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "Your role does not allow this")
            .detail("You may see and end your own sessions, logged in with a name and a password."));
    }
    state.auth.user(&name).map(|_| name).ok_or_else(|| refused(UserError::Absent))
}

/// List the sessions of a user
///
/// One's own, or, as an admin, everybody's.
#[utoipa::path(
    get, path = "/api/v1/users/{name}/sessions", tag = "users", operation_id = "listUserSessions",
    params(("name" = String, Path, description = "The user's name"), Paging),
    responses(
        (status = 200, description = "One page of sessions", body = Page<Session>),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list_user_sessions(
    State(state): State<AdminState>,
    caller: Caller,
    InPath(name): InPath<String>,
    Query(Only(paging)): Query<Only>,
) -> Result<Json<Page<Session>>, Problem> {
    let name = whose(&state, &caller, &name)?;
    let mut all = state.auth.sessions_of(&name, now());
    all.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
    let page = paging.cut(all, |(session, _)| session.id.as_ref().to_owned());
    let items = page.items.iter().map(|(session, ends)| Session {
        id: session.id.as_ref().to_owned(),
        created_at: session.made.into(),
        seen_at: session.seen().into(),
        expires_at: (*ends).into(),
        address: session.address.map(|address| address.to_string()),
        user_agent: session.agent.clone(),
        current: matches!(&caller.via, Via::Session { id } if *id == session.id),
    });
    Ok(Json(Page { items: items.collect(), next: page.next }))
}

/// End all sessions of a user
#[utoipa::path(
    delete, path = "/api/v1/users/{name}/sessions", tag = "users", operation_id = "endUserSessions",
    params(("name" = String, Path, description = "The user's name")),
    responses(
        (status = 204, description = "There is none any more"),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
        StoreAway,
    ),
)]
pub(super) async fn end_user_sessions(
    State(state): State<AdminState>,
    caller: Caller,
    InPath(name): InPath<String>,
    _none: Query<()>,
) -> Result<StatusCode, Problem> {
    let name = whose(&state, &caller, &name)?;
    state.auth.end_sessions(&caller, &name, None).await.map_err(|error| store_away(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// End a session
#[utoipa::path(
    delete, path = "/api/v1/users/{name}/sessions/{id}", tag = "users", operation_id = "endUserSession",
    params(
        ("name" = String, Path, description = "The user's name"),
        ("id" = String, Path, description = "The session's id"),
    ),
    responses(
        (status = 204, description = "It is over"),
        (status = 404, description = "There is no such session", body = Problem, content_type = "application/problem+json"),
        StoreAway,
    ),
)]
pub(super) async fn end_user_session(
    State(state): State<AdminState>,
    caller: Caller,
    InPath((name, id)): InPath<(String, String)>,
    _none: Query<()>,
) -> Result<StatusCode, Problem> {
    let name = whose(&state, &caller, &name)?;
    let ended = state.auth.end_sessions(&caller, &name, Some(&id)).await;
    match ended.map_err(|error| store_away(&error))? {
        0 => Err(Problem::new(StatusCode::NOT_FOUND, "unknown-session", "There is no such session")),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// What is wrong with a password.
#[must_use]
pub(super) fn bad_password(pointer: &str, key: &str, error: PasswordError) -> Problem {
    unusable(pointer, format!("{key} {error}"), "write 8 characters or more, and 256 bytes or fewer")
}

/// The answer to a change of users that was refused.
#[must_use]
pub fn refused(error: UserError) -> Problem {
    match error {
        UserError::Name(error) => {
            unusable("/username", format!("username {error}"), "write a name such as `ann`")
        }
        UserError::Password(error) => bad_password("/password", "password", error),
        UserError::Exists => {
            Problem::new(StatusCode::CONFLICT, "user-exists", "There is a user of this name")
                .detail("Take another name, or change that user.")
        }
        UserError::Absent => {
            Problem::new(StatusCode::NOT_FOUND, "unknown-user", "There is no user of this name")
        }
        UserError::LastAdmin => Problem::new(StatusCode::CONFLICT, "last-admin", "It is the last admin")
            .detail("There must be an admin who can log in: make another one first."),
        UserError::Full => Problem::new(StatusCode::CONFLICT, "too-many", "There are too many users"),
        UserError::Changed => changed(None),
        UserError::Busy => busy(),
        UserError::Store(error) => store_away(&error),
    }
}
