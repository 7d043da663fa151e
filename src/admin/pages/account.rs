//! The reader's own account: display, password, sessions.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::Response;

use crate::admin::auth::{PasswordChangeError, User, session_cookie};
use crate::admin::caller::Via;
use crate::admin::pages::form::Sent;
use crate::admin::pages::users::sentence;
use crate::admin::pages::visit::Visit;
use crate::admin::pages::{answer, entry};
use crate::clock;
use crate::html::dashboard::pages::{Account, LogIn};
use crate::html::dashboard::{Place, pages};

pub(super) async fn page(visit: Visit) -> Response {
    show(&visit, StatusCode::OK, None)
}

fn show(visit: &Visit, status: StatusCode, wrong: Option<String>) -> Response {
    let auth = &visit.state.auth;
    let this = match visit.caller.as_ref().map(|caller| &caller.via) {
        Some(Via::Session { id }) => Some(id.as_ref()),
        _ => None,
    };
    let own = visit.caller.as_ref().filter(|caller| caller.is_user(&caller.name));
    let own = own.map(|caller| auth.sessions_of(&caller.name, clock::wall())).unwrap_or_default();
    let sessions = own.into_iter().map(|(session, _)| LogIn {
        id: session.id.to_string(),
        agent: agent(&session.agent),
        address: session.address.map(|address| address.to_string()).unwrap_or_default(),
        made_at: session.made.as_millis(),
        seen_at: session.seen().as_millis(),
        this: this == Some(session.id.as_ref()),
    });
    let has_password = this.is_some() && auth.user(visit.name()).is_some();
    let mut view =
        Account::new(visit.name().to_owned(), visit.role(), has_password, sessions.collect(), visit.chosen);
    view.wrong = wrong;
    answer::page_with(status, pages::account(&visit.frame(Place::Account), &view))
}

/// The browser and the system in a `User-Agent`, in words that people know.
fn agent(text: &str) -> String {
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(sign, _)| text.contains(sign)).map(|(_, name)| *name)
    };
    let browser = find(&[
        ("Firefox/", "Firefox"),
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = find(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) if text.is_empty() => "–".to_owned(),
        (None, None) => text.chars().take(60).collect(),
    }
}

pub(super) async fn password(visit: Visit, sent: Sent) -> Response {
    let Some(caller) = visit.caller.clone() else { return answer::forbidden(&visit) };
    let (current, new) = (sent.get("current").to_owned(), sent.get("password").to_owned());
    let (status, wrong) = match visit.state.auth.change_own_password(&caller, current, new).await {
        Ok(user) => return signed_in_again(&visit, &user).await,
        Err(PasswordChangeError::NotYours) => return answer::forbidden(&visit),
        Err(PasswordChangeError::Current(error)) => entry::refused(&visit, &error, "account.wrong"),
        Err(PasswordChangeError::User(error)) => (StatusCode::UNPROCESSABLE_ENTITY, sentence(&error)),
    };
    // Logged in is this person all the same.
    let status = if status == StatusCode::UNAUTHORIZED { StatusCode::UNPROCESSABLE_ENTITY } else { status };
    show(&visit, status, Some(wrong))
}

/// With the password every session has ended; this one, of whoever has just shown it, begins anew.
async fn signed_in_again(visit: &Visit, user: &User) -> Response {
    let mut response = answer::back("/account", "password", &user.name);
    // Where that fails the log-in page is next.
    if let Ok(new) = visit.state.auth.begin_again(user, &visit.client).await {
        let cookie = session_cookie(&new.cookie, visit.secure, &visit.state.auth.settings());
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

pub(super) async fn end_session(visit: Visit, Path(id): Path<String>) -> Response {
    let Some(caller) = visit.caller.clone().filter(|caller| caller.is_user(&caller.name)) else {
        return answer::forbidden(&visit);
    };
    match visit.state.auth.end_sessions(&caller, &caller.name, Some(&id)).await {
        Ok(_) => answer::back("/account", "session-ended", &caller.name),
        Err(_) => answer::error(&visit, StatusCode::SERVICE_UNAVAILABLE, "broken", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_named_as_people_know_them() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
        assert_eq!(agent(firefox), "Firefox, Linux");
        let safari =
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605 Version/19 Safari/604.1";
        assert_eq!(agent(safari), "Safari, iPhone");
        assert_eq!(agent("thing"), "thing");
        assert_eq!(agent(""), "–");
    }
}
