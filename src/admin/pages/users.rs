//! Who may log in.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

use crate::admin::auth::{self, NewUser, UserChange, UserError};
use crate::admin::pages::answer;
use crate::admin::pages::form::Sent;
use crate::admin::pages::visit::Visit;
use crate::clock;
use crate::domain::words::Role;
use crate::html::dashboard::pages::{OneUser, User, Users};
use crate::html::dashboard::{Place, pages};

pub(super) async fn page(visit: Visit) -> Response {
    list(&visit, StatusCode::OK, None, "")
}

fn list(visit: &Visit, status: StatusCode, wrong: Option<String>, username: &str) -> Response {
    let users = visit.state.auth.users().into_iter().map(|user| show(visit, user)).collect();
    let view = Users { users, wrong, username: username.to_owned() };
    answer::page_with(status, pages::users(&visit.frame(Place::Users), &view))
}

fn show(visit: &Visit, user: auth::User) -> User {
    let sessions = visit.state.auth.sessions_of(&user.name, clock::wall());
    let seen = sessions.iter().map(|(session, _)| session.seen().as_millis()).max();
    User::new(user.name.to_string(), user.role, user.disabled, user.created.as_millis(), seen)
}

pub(super) async fn add(visit: Visit, sent: Sent) -> Response {
    let Some(caller) = &visit.caller else { return answer::forbidden(&visit) };
    let new = NewUser {
        name: sent.get("username").trim().to_owned(),
        role: Role::parse(sent.get("role")).unwrap_or(Role::Viewer),
        password: sent.get("password").to_owned(),
    };
    match visit.state.auth.add_user(caller, new).await {
        Ok(user) => answer::back("/users", "user-made", &user.name),
        Err(error) => {
            list(&visit, StatusCode::UNPROCESSABLE_ENTITY, Some(sentence(&error)), sent.get("username"))
        }
    }
}

pub(super) async fn one(visit: Visit, Path(name): Path<String>) -> Response {
    one_with(&visit, &name, StatusCode::OK, None)
}

fn one_with(visit: &Visit, name: &str, status: StatusCode, wrong: Option<String>) -> Response {
    let Some(user) = visit.state.auth.user(name) else { return answer::missing(visit) };
    let view = OneUser { user: show(visit, user), wrong };
    answer::page_with(status, pages::user(&visit.frame(Place::Users), &view))
}

pub(super) async fn change(visit: Visit, Path(name): Path<String>, sent: Sent) -> Response {
    let Some(caller) = &visit.caller else { return answer::forbidden(&visit) };
    let password = Some(sent.get("password")).filter(|password| !password.is_empty());
    let change = UserChange {
        role: Role::parse(sent.get("role")),
        disabled: match sent.get("disabled") {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        },
        password: password.map(ToOwned::to_owned),
    };
    match visit.state.auth.change_user(caller, &name, change, None).await {
        Ok(_) => answer::back(&format!("/users/{name}"), "user-saved", &name),
        Err(error) => one_with(&visit, &name, StatusCode::UNPROCESSABLE_ENTITY, Some(sentence(&error))),
    }
}

pub(super) async fn delete(visit: Visit, Path(name): Path<String>) -> Response {
    let Some(caller) = &visit.caller else { return answer::forbidden(&visit) };
    match visit.state.auth.remove_user(caller, &name, None).await {
        Ok(()) => answer::back("/users", "user-deleted", &name),
        Err(error) => one_with(&visit, &name, StatusCode::UNPROCESSABLE_ENTITY, Some(sentence(&error))),
    }
}

/// What is wrong, as a sentence.
pub(super) fn sentence(error: &UserError) -> String {
    // Of the two that complete a sentence, its beginning.
    let text = match error {
        UserError::Name(name) => format!("the user name {name}"),
        UserError::Password(password) => format!("the password {password}"),
        other => other.to_string(),
    };
    sentence_of(&text)
}

pub(super) fn sentence_of(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
