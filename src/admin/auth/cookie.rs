//! The cookie of a session.

use axum::http::header::{COOKIE, HeaderMap, HeaderValue};

use crate::admin::auth::Settings;

/// Behind TLS no other host, path or plain connection can set or see it.
const SECURE: &str = "__Host-wakedock";
/// Without TLS browsers take no `__Host-`.
const PLAIN: &str = "wakedock";

/// Two cookies of one name: whose is which nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ambiguous;

fn name(secure: bool) -> &'static str {
    if secure { SECURE } else { PLAIN }
}

/// `Set-Cookie` for a session. `secure`: the browser came by TLS.
#[must_use]
pub fn session_cookie(value: &str, secure: bool, settings: &Settings) -> HeaderValue {
    set(value, secure, settings.session_absolute.as_secs())
}

/// `Set-Cookie` that ends it.
#[must_use]
pub fn end_cookie(secure: bool) -> HeaderValue {
    set("", secure, 0)
}

fn set(value: &str, secure: bool, max_age: u64) -> HeaderValue {
    let name = name(secure);
    let attribute = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{attribute}");
    // Letters and figures, all of it.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// What the session's cookie holds.
pub(super) fn read(headers: &HeaderMap, secure: bool) -> Result<Option<&str>, Ambiguous> {
    let name = name(secure);
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut own = lines.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (own, value) = pair.trim().split_once('=')?;
        (own == name).then_some(value)
    });
    match (own.next(), own.next()) {
        (Some(_), Some(_)) => Err(Ambiguous),
        (value, _) => Ok(value.filter(|value| !value.is_empty())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_over_tls_and_plain() {
        let settings = Settings::default();
        assert_eq!(
            session_cookie("abc", true, &settings),
            "__Host-wakedock=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000; Secure"
        );
        assert_eq!(
            session_cookie("abc", false, &settings),
            "wakedock=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000"
        );
        assert_eq!(end_cookie(false), "wakedock=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }

    #[test]
    fn one_cookie_is_read_and_two_are_not() {
        let mut headers = HeaderMap::new();
        assert_eq!(read(&headers, false), Ok(None));
        headers.append(COOKIE, HeaderValue::from_static("a=b; wakedock=x; __Host-wakedock=y"));
        assert_eq!(read(&headers, false), Ok(Some("x")));
        assert_eq!(read(&headers, true), Ok(Some("y")));
        headers.append(COOKIE, HeaderValue::from_static("wakedock=z"));
        assert_eq!(read(&headers, false), Err(Ambiguous));
    }
}
