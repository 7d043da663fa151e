//! The keys of programs: an admin sees all, everybody else their own.

use std::time::Duration;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

use crate::admin::auth::{NewToken, TokenError};
use crate::admin::pages::answer;
use crate::admin::pages::form::Sent;
use crate::admin::pages::users::sentence_of;
use crate::admin::pages::visit::Visit;
use crate::clock;
use crate::domain::words::Role;
use crate::html::dashboard::pages::{Fresh, Token, Tokens};
use crate::html::dashboard::{Place, pages};

const LIVES: &[&str] = &["7d", "30d", "90d", "365d", "never"];
const DAY: u64 = 86_400;

pub(super) async fn page(visit: Visit) -> Response {
    show(&visit, StatusCode::OK, None, None)
}

fn show(visit: &Visit, status: StatusCode, fresh: Option<Fresh>, wrong: Option<String>) -> Response {
    let now = clock::wall();
    let own = visit.caller.as_ref().map(|caller| visit.state.auth.tokens_for(caller)).unwrap_or_default();
    let tokens = own.into_iter().map(|token| Token {
        id: token.id.to_string(),
        name: token.name.clone(),
        role: token.role.as_str(),
        owner: token.made_by.clone(),
        used_at: token.used().map(|used| used.as_millis()),
        expires_at: token.expires.map(|expires| expires.as_millis()),
        expired: token.expires.is_some_and(|expires| expires <= now),
    });
    let roles = Role::ALL.iter().filter(|role| **role <= visit.role()).map(|role| role.as_str());
    let view = Tokens { tokens: tokens.collect(), fresh, roles: roles.collect(), lives: LIVES, wrong };
    answer::page_with(status, pages::tokens(&visit.frame(Place::Tokens), &view))
}

pub(super) async fn add(visit: Visit, sent: Sent) -> Response {
    let Some(caller) = &visit.caller else { return answer::forbidden(&visit) };
    let days: Option<u64> = sent.get("expires_in").strip_suffix('d').and_then(|days| days.parse().ok());
    let new = NewToken {
        name: sent.get("name").trim().to_owned(),
        role: Role::parse(sent.get("role")).unwrap_or(Role::Viewer),
        expires_in: days.map(|days| Duration::from_secs(days * DAY)),
        services: None,
    };
    let name = new.name.clone();
    match visit.state.auth.add_token(caller, new).await {
        // Shown on the answer to the form: nothing that has it is kept.
        Ok((token, _)) => show(&visit, StatusCode::OK, Some(Fresh { name, token }), None),
        Err(error) => {
            let what = match error {
                TokenError::Name | TokenError::Role => "name or role ",
                TokenError::Token | TokenError::Absent | TokenError::Full | TokenError::Store(_) => "",
            };
            show(&visit, StatusCode::UNPROCESSABLE_ENTITY, None, Some(sentence_of(&format!("{what}{error}"))))
        }
    }
}

pub(super) async fn revoke(visit: Visit, Path(id): Path<String>) -> Response {
    let Some(caller) = &visit.caller else { return answer::forbidden(&visit) };
    match visit.state.auth.remove_token(caller, &id).await {
        Ok(()) => answer::back("/tokens", "token-revoked", &id),
        Err(TokenError::Absent) => answer::missing(&visit),
        Err(error) => {
            answer::error(&visit, StatusCode::SERVICE_UNAVAILABLE, "broken", Some(error.to_string()))
        }
    }
}
