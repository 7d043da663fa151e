//! The ways in and out: log-in, log-out, first run, and how pages are shown.

use axum::Extension;
use axum::http::header::{HeaderValue, REFRESH, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::admin::auth::{self, SetUpError, SignInError};
use crate::admin::oidc::{self, Offer};
use crate::admin::pages::answer::{self, own_address};
use crate::admin::pages::form::Sent;
use crate::admin::pages::users::sentence;
use crate::admin::pages::visit::{self, Visit};
use crate::admin::peer::Origin;
use crate::admin::speech;
use crate::html::Language;
use crate::html::dashboard::pages::{Login, Provider, Setup};
use crate::html::dashboard::{Frame, Place, how_long, pages, say};

/// Nobody is logged in on these pages, whatever the browser brought along.
fn outside(visit: &Visit) -> Frame {
    Frame { person: None, banners: Vec::new(), ..visit.frame(Place::Elsewhere) }
}

pub(super) async fn login(visit: Visit) -> Response {
    let next = own_address(visit.asked("next")).to_owned();
    if visit.caller.is_some() {
        return answer::go(&next);
    }
    let wrong =
        oidc::said(visit.asked("oidc")).map(|text| say(visit.language, text, &[]).unwrap_or_default());
    let view = Login { next, wrong, provider: provider(&visit).await, ..Login::default() };
    answer::page(pages::login(&outside(&visit), &view))
}

/// The button of the log-in provider, where there is one.
async fn provider(visit: &Visit) -> Option<Provider> {
    let settings = visit.state.settings.load_full();
    let Offer { name, away } = visit.state.oidc.offer(&settings.oidc).await?;
    Some(Provider { name, away })
}

pub(super) async fn sign_in(visit: Visit, sent: Sent) -> Response {
    let next = own_address(sent.get("next")).to_owned();
    let username = sent.get("username").trim();
    match visit.state.auth.sign_in(username, sent.get("password").to_owned(), &visit.client).await {
        Ok(new) => with_session(&visit, &new.cookie, &next),
        Err(error) => {
            let (status, wrong) = refused(&visit, &error, "login.wrong");
            let view = Login {
                next,
                username: username.chars().take(64).collect(),
                wrong: Some(wrong),
                provider: provider(&visit).await,
            };
            later(answer::page_with(status, pages::login(&outside(&visit), &view)), &error)
        }
    }
}

/// When to come back, for programs that fill in forms.
pub(super) fn later(mut response: Response, error: &SignInError) -> Response {
    let seconds = match error {
        SignInError::TooMany(many) => u64::try_from(many.retry_after.as_millis().div_ceil(1000)).unwrap_or(1),
        SignInError::Busy | SignInError::Store(_) => 3,
        SignInError::Wrong(_) => return response,
    };
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

/// Status and words for a password that was not taken; `wrong`: the text where it is not right.
pub(super) fn refused(visit: &Visit, error: &SignInError, wrong: &str) -> (StatusCode, String) {
    let text = |key, places: &[(&str, &str)]| say(visit.language, key, places).unwrap_or_default();
    match error {
        SignInError::Wrong(_) => (StatusCode::UNAUTHORIZED, text(wrong, &[])),
        SignInError::TooMany(many) => {
            let time = how_long(visit.language, many.retry_after);
            (StatusCode::TOO_MANY_REQUESTS, text("login.later", &[("time", &time)]))
        }
        SignInError::Busy => (StatusCode::SERVICE_UNAVAILABLE, text("login.busy", &[])),
        SignInError::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, text("login.store", &[])),
    }
}

fn with_session(visit: &Visit, cookie: &str, next: &str) -> Response {
    let mut response = answer::go(next);
    let cookie = auth::session_cookie(cookie, visit.secure, &visit.state.auth.settings());
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

pub(super) async fn sign_out(
    visit: Visit,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
) -> Response {
    let mut response = answer::go("/login");
    if let Some(caller) = &visit.caller {
        let hint = oidc::hint(&visit.state, caller).await;
        if visit.state.auth.sign_out(caller).await.is_err() {
            return answer::error(&visit, StatusCode::SERVICE_UNAVAILABLE, "broken", None);
        }
        // Whatever the provider does: nobody is logged in here any more.
        let to = match hint {
            Some(hint) => oidc::log_out_at(&visit.state, &hint, &origin, &headers).await,
            None => None,
        };
        if let Some(to) = to.and_then(|to| HeaderValue::from_str(&format!("0; url={to}")).ok()) {
            let view = Login { provider: provider(&visit).await, ..Login::default() };
            response = answer::page(pages::login(&outside(&visit), &view));
            // Not a redirect: our pages say that their forms lead nowhere else, and browsers hold
            // where a form is led on to against that.
            response.headers_mut().insert(REFRESH, to);
        }
    }
    response.headers_mut().append(SET_COOKIE, auth::end_cookie(visit.secure));
    response
}

pub(super) async fn setup(visit: Visit) -> Response {
    let token = visit.asked("token").to_owned();
    show_setup(&visit, StatusCode::OK, token, "", None)
}

fn show_setup(
    visit: &Visit,
    status: StatusCode,
    token: String,
    username: &str,
    wrong: Option<String>,
) -> Response {
    let token = Some(token).filter(|token| visit.state.auth.is_set_up(token));
    let view = Setup { token, username: username.to_owned(), wrong };
    answer::page_with(status, pages::setup(&outside(visit), &view))
}

pub(super) async fn set_up(visit: Visit, sent: Sent) -> Response {
    let (token, username) = (sent.get("token"), sent.get("username").trim());
    let made = visit.state.auth.set_up(token, username, sent.get("password").to_owned(), &visit.client).await;
    let (status, wrong) = match made {
        Ok(new) => return with_session(&visit, &new.cookie, "/"),
        Err(SetUpError::Link) => (StatusCode::NOT_FOUND, None),
        Err(SetUpError::TooMany(many)) => {
            let (status, wrong) = refused(&visit, &SignInError::TooMany(many), "login.wrong");
            (status, Some(wrong))
        }
        Err(SetUpError::User(error)) => (StatusCode::UNPROCESSABLE_ENTITY, Some(sentence(&error))),
        Err(SetUpError::SignIn(error)) => {
            let (status, wrong) = refused(&visit, &error, "login.wrong");
            (status, Some(wrong))
        }
    };
    show_setup(&visit, status, token.to_owned(), username, wrong)
}

/// Theme and language, in cookies: they are the browser's and not the person's.
pub(super) async fn display(sent: Sent) -> Response {
    let mut response = answer::go(own_address(sent.get("back")));
    let mut keep = |name: &str, value: &str| {
        let age = if value.is_empty() { 0 } else { 31_536_000 };
        let cookie = format!("{name}={value}; Path=/; Max-Age={age}; SameSite=Lax");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    };
    if let Some(theme) = ["auto", "light", "dark"].iter().find(|theme| **theme == sent.get("theme")) {
        keep(visit::THEME, if *theme == "auto" { "" } else { theme });
    }
    if sent.has("language") {
        keep(speech::CHOSEN, Language::from_code(sent.get("language")).map_or("", Language::code));
    }
    response
}
