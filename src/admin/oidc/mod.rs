//! Log-in by an OpenID Connect provider: the two routes that a browser passes, and who comes of it.

mod attempt;
mod trouble;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::header::{ACCEPT, HOST, LOCATION, SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::admin::AdminState;
use crate::admin::auth::{Client, Vouched, cookies_named, session_cookie};
use crate::admin::caller::Caller;
use crate::admin::peer::Origin;
use crate::clock;
use crate::config::OidcConfig;
use crate::oidc::{Person, Provider, Standing};
use attempt::{Attempts, GOOD_FOR};
use trouble::Trouble;
pub(super) use trouble::said;

const CALLBACK: &str = "/oidc/callback";
/// Log-ins that talk to the provider at once; more are told to come back.
const AT_ONCE: usize = 8;
/// Longest path that a browser is sent to afterwards.
const LONGEST_NEXT: usize = 512;

/// Behind TLS no other host can set it.
const SECURE: &str = "__Host-wakedock-oidc";
/// Without TLS browsers take no `__Host-`.
const PLAIN: &str = "wakedock-oidc";

/// What log-ins have in common. Empty until there is one.
pub struct LogIns {
    provider: Provider,
    attempts: Attempts,
    places: Semaphore,
}

impl Default for LogIns {
    fn default() -> Self {
        Self { provider: Provider::default(), attempts: Attempts::default(), places: Semaphore::new(AT_ONCE) }
    }
}

impl std::fmt::Debug for LogIns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogIns").finish_non_exhaustive()
    }
}

/// What the log-in page offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What the provider is called.
    pub name: String,
    /// Whether it does not answer, so that the button leads nowhere at the moment.
    pub away: bool,
}

impl LogIns {
    /// The button of the log-in page; `None`: there is none. Waits for a provider that is slow only
    /// as long as nobody notices.
    pub async fn offer(&self, config: &OidcConfig) -> Option<Offer> {
        if !config.is_on() {
            return None;
        }
        let away = self.provider.standing(config).await == Standing::Away;
        Some(Offer { name: config.name().to_owned(), away })
    }
}

/// The routes.
pub fn routes() -> Router<AdminState> {
    Router::new().route("/oidc/login", get(begin)).route("/oidc/callback", get(come_back))
}

#[derive(Deserialize)]
struct Begin {
    next: Option<String>,
}

/// Sends the browser to the provider.
async fn begin(
    State(state): State<AdminState>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    query: Result<Query<Begin>, QueryRejection>,
) -> Response {
    let next = query.ok().and_then(|Query(begin)| begin.next).unwrap_or_default();
    start(&state, &origin, &headers, &next).await.unwrap_or_else(|trouble| told(trouble, &headers))
}

async fn start(
    state: &AdminState,
    origin: &Origin,
    headers: &HeaderMap,
    next: &str,
) -> Result<Response, Trouble> {
    let settings = state.settings.load_full();
    let config = &settings.oidc;
    if !config.is_on() {
        return Err(Trouble::Off);
    }
    let _place = state.oidc.places.try_acquire().map_err(|_| Trouble::Busy)?;
    let (attempt, cookie) = state.oidc.attempts.begin(safe_next(next), clock::wall());
    let back = redirect_url(config, origin, headers)?;
    let to = state.oidc.provider.log_in_at(config, &back, &attempt).await.map_err(|error| {
        tracing::warn!("a log-in with OpenID Connect could not begin: {error}");
        Trouble::from(error)
    })?;
    go(&to, [set_cookie(&cookie, GOOD_FOR.as_secs(), origin.secure)])
}

#[derive(Deserialize)]
struct Back {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    iss: Option<String>,
}

/// Lets in whom the provider has sent back.
async fn come_back(
    State(state): State<AdminState>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    query: Result<Query<Back>, QueryRejection>,
) -> Response {
    let done = match query {
        Ok(Query(back)) => finish(&state, &origin, &headers, back).await,
        Err(_) => Err(Trouble::Stale),
    };
    let mut response = done.unwrap_or_else(|trouble| told(trouble, &headers));
    // Whatever came of it, this attempt is over.
    response.headers_mut().append(SET_COOKIE, set_cookie("", 0, origin.secure));
    response
}

async fn finish(
    state: &AdminState,
    origin: &Origin,
    headers: &HeaderMap,
    back: Back,
) -> Result<Response, Trouble> {
    let settings = state.settings.load_full();
    let config = &settings.oidc;
    if !config.is_on() {
        return Err(Trouble::Off);
    }
    let cookie = read_cookie(headers, origin.secure).ok_or(Trouble::Stale)?;
    let said = back.state.as_deref().unwrap_or_default();
    let (attempt, next) = state.oidc.attempts.resume(cookie, said, clock::wall()).ok_or(Trouble::Stale)?;
    let client = Client {
        address: origin.address,
        agent: headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default().to_owned(),
    };
    if back.iss.is_some() && back.iss != config.issuer {
        tracing::warn!("a log-in with OpenID Connect came back from another provider");
        return Err(Trouble::Refused);
    }
    if let Some(error) = back.error {
        let description = back.error_description.unwrap_or_default();
        tracing::warn!(error, description, "the OpenID Connect provider let somebody not in");
        state.auth.note_vouched_failed(&client);
        return Err(Trouble::Declined);
    }
    let code = back.code.filter(|code| !code.is_empty()).ok_or(Trouble::Stale)?;
    let _place = state.oidc.places.try_acquire().map_err(|_| Trouble::Busy)?;
    let redirect_url = redirect_url(config, origin, headers)?;
    let counted = state.auth.begin_vouched(&client).map_err(Trouble::TooMany)?;
    let person = match state.oidc.provider.person(config, &redirect_url, &code, &attempt).await {
        Ok(person) => person,
        Err(error) => {
            tracing::warn!("a log-in with OpenID Connect was refused: {error}");
            let trouble = Trouble::from(error);
            if trouble == Trouble::Refused {
                state.auth.note_vouched_failed(&client);
            } else {
                state.auth.end_vouched(&counted, &client);
            }
            return Err(trouble);
        }
    };
    // Somebody whom the provider knows has guessed nothing, whatever comes of it.
    state.auth.end_vouched(&counted, &client);
    let vouched = vouched(config, person);
    let new = state.auth.sign_in_vouched(&vouched, &client).await.map_err(|error| {
        let Vouched { issuer, subject, name, .. } = &vouched;
        tracing::warn!(issuer, subject, name, "nobody was let in with OpenID Connect: {error}");
        Trouble::from(error)
    })?;
    tracing::info!(user = &*new.session.user, role = %new.role, "logged in with OpenID Connect");
    // It was checked when it went into the cookie.
    go(safe_next(&next), [session_cookie(&new.cookie, origin.secure, &state.auth.settings())])
}

/// What the provider is to be told when a caller logs out; it goes with the session. `None`: nothing.
pub(super) async fn hint(state: &AdminState, caller: &Caller) -> Option<String> {
    let settings = state.settings.load_full();
    let config = &settings.oidc;
    let issuer = config.issuer.as_deref().filter(|_| config.is_on() && config.single_logout)?;
    state.auth.id_token(caller, issuer).await
}

/// Where a browser that has logged out here logs out at the provider, too. `None`: nowhere.
pub(super) async fn log_out_at(
    state: &AdminState,
    hint: &str,
    origin: &Origin,
    headers: &HeaderMap,
) -> Option<String> {
    let settings = state.settings.load_full();
    let callback = redirect_url(&settings.oidc, origin, headers).ok()?;
    let back = format!("{}/login", callback.strip_suffix(CALLBACK)?);
    state.oidc.provider.log_out_at(&settings.oidc, hint, &back).await
}

fn vouched(config: &OidcConfig, person: Person) -> Vouched {
    let Person { issuer, subject, name, groups, id_token } = person;
    let role = config.roles.role_of(groups.iter().map(String::as_str));
    Vouched { issuer, subject, name, role, id_token }
}

/// Where the provider is to send the browser: to where it came from, unless it is configured.
fn redirect_url(config: &OidcConfig, origin: &Origin, headers: &HeaderMap) -> Result<String, Trouble> {
    if let Some(url) = &config.redirect_url {
        return Ok(url.clone());
    }
    let host = origin.host.as_deref().or_else(|| headers.get(HOST)?.to_str().ok()).ok_or(Trouble::Stale)?;
    let scheme = if origin.secure { "https" } else { "http" };
    Ok(format!("{scheme}://{host}{CALLBACK}"))
}

/// A path on this very host, or the first page: nobody is led elsewhere by a link to a log-in.
fn safe_next(next: &str) -> &str {
    let fits = next.len() <= LONGEST_NEXT
        && next.starts_with('/')
        // Browsers read a backslash as a slash, and leave out what is not to be seen.
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && !["/oidc/", "/login", "/api/"].iter().any(|own| next.starts_with(own));
    if fits { next } else { "/" }
}

fn go<const N: usize>(to: &str, cookies: [HeaderValue; N]) -> Result<Response, Trouble> {
    let to = HeaderValue::from_str(to).map_err(|_| Trouble::Away)?;
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response();
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// People are told on the log-in page, programs by a problem.
fn told(trouble: Trouble, headers: &HeaderMap) -> Response {
    let asks = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    match trouble.text().and_then(|text| text.strip_prefix("oidc.")) {
        Some(word) if asks.contains("text/html") => {
            go(&format!("/login?oidc={word}"), []).unwrap_or_else(IntoResponse::into_response)
        }
        _ => trouble.into_response(),
    }
}

fn cookie_name(secure: bool) -> &'static str {
    if secure { SECURE } else { PLAIN }
}

/// `Lax`: the provider's page is another site, and the browser comes back from there.
fn set_cookie(value: &str, seconds: u64, secure: bool) -> HeaderValue {
    let name = cookie_name(secure);
    let attribute = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{attribute}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// The one cookie of that name; with two of them nobody knows whose is which.
fn read_cookie(headers: &HeaderMap, secure: bool) -> Option<&str> {
    let mut own = cookies_named(headers, cookie_name(secure));
    let (one, another) = (own.next()?, own.next());
    another.is_none().then_some(one)
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE;

    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for own in ["/", "/services/cloud", "/services/cloud?tab=log&x=%2F", "/a//b", "/@evil.example"] {
            assert_eq!(safe_next(own), own);
        }
        for other in [
            "",
            "https://evil.example/",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: x",
            "/\u{2215}evil.example",
            "evil.example",
            "javascript:alert(1)",
            "/oidc/login",
            "/login?next=/",
            "/api/v1/auth/logout",
        ] {
            assert_eq!(safe_next(other), "/", "{other:?}");
        }
        assert_eq!(safe_next(&format!("/{}", "a".repeat(LONGEST_NEXT))), "/");
    }

    #[test]
    fn one_cookie_is_read_and_two_are_not() {
        let mut headers = HeaderMap::new();
        assert_eq!(read_cookie(&headers, true), None);
        headers.append(COOKIE, "a=b; __Host-wakedock-oidc=x.y; wakedock-oidc=z".parse().unwrap());
        assert_eq!(read_cookie(&headers, true), Some("x.y"));
        assert_eq!(read_cookie(&headers, false), Some("z"));
        headers.append(COOKIE, "__Host-wakedock-oidc=x.z".parse().unwrap());
        assert_eq!(read_cookie(&headers, true), None);
    }
}
