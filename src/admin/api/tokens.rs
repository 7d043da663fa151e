//! `/api/v1/tokens`: API tokens, for programs.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::api::answers::{StoreAway, Unusable};
use crate::admin::api::page::{Page, Paging};
use crate::admin::api::query::Query;
use crate::admin::api::router::{ApiRouter, Use, at};
use crate::admin::api::sent::{InPath, Sent, store_away, unusable};
use crate::admin::api::users::{Only, SentRole};
use crate::admin::api::wire::Time;
use crate::admin::auth::{self, TokenError};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::config::parse_duration;
use crate::domain::name::ServiceName;

/// Services of one token at most.
const MOST_SERVICES: usize = 100;

pub(super) fn routes<U: Use>() -> ApiRouter<U> {
    ApiRouter::new()
        .json(at!("/api/v1/tokens": get list_tokens, post create_token))
        .json(at!("/api/v1/tokens/{id}": delete revoke_token))
}

/// A token, without itself.
#[derive(Serialize, ToSchema)]
pub(super) struct Token {
    id: String,
    name: String,
    /// `viewer`, `user` or `admin`; never more than its user's.
    role: &'static str,
    /// Whose it is. Null: it was made on the local socket.
    username: Option<String>,
    created_by: String,
    created_at: Time,
    /// Null: it does not end by itself.
    expires_at: Option<Time>,
    /// To the minute. Null: never.
    used_at: Option<Time>,
    /// The services it is for. Null: all, and all the rest.
    services: Option<Vec<String>>,
}

/// A token, with itself: this once.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeToken {
    #[serde(flatten)]
    made: Token,
    /// For `Authorization: Bearer …`. It is shown this once, and kept nowhere.
    token: String,
}

/// A token to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    role: SentRole,
    /// `90d`, `12h`; at most `365d`. Left out: it does not end by itself.
    #[serde(default)]
    expires_in: Option<String>,
    /// The services it is for, by name. Left out: all, and all the rest.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 100)]
    services: Option<Vec<String>>,
}

impl From<&auth::Token> for Token {
    fn from(token: &auth::Token) -> Self {
        Self {
            id: token.id.as_ref().to_owned(),
            name: token.name.clone(),
            role: token.role.as_str(),
            username: token.user.as_deref().map(ToOwned::to_owned),
            created_by: token.made_by.clone(),
            created_at: token.made.into(),
            expires_at: token.expires.map(Time),
            used_at: token.used().map(Time),
            services: token.services.as_deref().map(<[String]>::to_vec),
        }
    }
}

/// List the tokens
///
/// One's own, or, as an admin, all. A token that is no admin's sees itself alone.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "tokens", operation_id = "listTokens", params(Paging),
    responses((status = 200, description = "One page of tokens", body = Page<Token>)),
)]
pub(super) async fn list_tokens(
    State(state): State<AdminState>,
    caller: Caller,
    Query(Only(paging)): Query<Only>,
) -> Json<Page<Token>> {
    let mut all = state.auth.tokens_for(&caller);
    all.sort_by(|one, other| one.id.cmp(&other.id));
    let page = paging.cut(all, |token| token.id.as_ref().to_owned());
    Json(Page { items: page.items.iter().map(|token| Token::from(&**token)).collect(), next: page.next })
}

/// Make a token
///
/// With no more than one's own role. The token itself is shown this once.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens", operation_id = "createToken", request_body = NewToken,
    responses(
        (status = 201, description = "The token", body = MadeToken),
        (status = 403, description = "More than one's own role, or made by a token", body = Problem, content_type = "application/problem+json"),
        Unusable, StoreAway,
    ),
)]
pub(super) async fn create_token(
    State(state): State<AdminState>,
    caller: Caller,
    _none: Query<()>,
    Sent(sent): Sent<NewToken>,
) -> Result<Response, Problem> {
    let expires_in = sent.expires_in.as_deref().map(lifetime).transpose()?;
    if let Some(services) = &sent.services {
        check_services(services)?;
    }
    let new = auth::NewToken { name: sent.name, role: sent.role.into(), expires_in, services: sent.services };
    let (token, made) = state.auth.add_token(&caller, new).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(MadeToken { made: Token::from(&*made), token })).into_response())
}

fn lifetime(text: &str) -> Result<Duration, Problem> {
    let fault = |reason: String, mend: &str| unusable("/expires_in", format!("expires_in {reason}"), mend);
    match parse_duration(text) {
        Ok(time) if time.is_zero() => Err(fault("is nothing".to_owned(), "write a time such as `90d`")),
        Ok(time) => Ok(time),
        Err(error) => Err(fault(error.reason.clone(), &error.mend)),
    }
}

fn check_services(services: &[String]) -> Result<(), Problem> {
    if services.is_empty() || services.len() > MOST_SERVICES {
        let detail = format!("services is not a list of 1 to {MOST_SERVICES} names");
        return Err(unusable("/services", detail, "name some services, or leave it out for all"));
    }
    for (index, name) in services.iter().enumerate() {
        if let Err(error) = ServiceName::parse(name) {
            let detail = format!("services[{index}] {error}");
            return Err(unusable(&format!("/services/{index}"), detail, "write the name of a service"));
        }
    }
    Ok(())
}

/// Revoke a token
///
/// One's own, or, as an admin, any; a token that is no admin's, itself alone. It is worth nothing from this moment on.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{id}", tag = "tokens", operation_id = "revokeToken",
    params(("id" = String, Path, description = "The token's id")),
    responses(
        (status = 204, description = "It is revoked"),
        (status = 404, description = "There is no such token", body = Problem, content_type = "application/problem+json"),
        StoreAway,
    ),
)]
pub(super) async fn revoke_token(
    State(state): State<AdminState>,
    caller: Caller,
    InPath(id): InPath<String>,
    _none: Query<()>,
) -> Result<StatusCode, Problem> {
    state.auth.remove_token(&caller, &id).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

fn refused(error: TokenError) -> Problem {
    match error {
        TokenError::Name => unusable("/name", format!("name {error}"), "say what the token is for"),
        TokenError::Role => {
            Problem::new(StatusCode::FORBIDDEN, "forbidden", "That is more than your own role")
                .detail("Give the token your own role, or less.")
        }
        TokenError::Token => Problem::new(StatusCode::FORBIDDEN, "forbidden", "A token cannot make tokens")
            .detail("Log in with a name and a password, or use the command line on the machine itself."),
        TokenError::Absent => Problem::new(StatusCode::NOT_FOUND, "unknown-token", "There is no such token"),
        TokenError::Full => Problem::new(StatusCode::CONFLICT, "too-many", "There are too many tokens")
            .detail("Revoke some that nobody uses."),
        TokenError::Store(error) => store_away(&error),
    }
}
