//! The cookie of a session.

use axum::http::header::{COOKIE, HeaderMap, HeaderValue};

use crate::admin::auth::Settings;

/// Behind TLS no other host, path or plain connection can set or see it.
pub(in crate::admin) const SECURE: &str = "__Host-wakedock";
/// Without TLS browsers take no `__Host-`.
pub(in crate::admin) const PLAIN: &str = "wakedock";

/// Two cookies of one name: whose is which nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin) struct Ambiguous;

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

/// The values of the cookies of a name, of those that are text. What others have set beside them, in
/// whatever letters, is passed over.
pub(in crate::admin) fn named<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        std::str::from_utf8(value).ok()
    })
}

/// What the session's cookie holds.
pub(in crate::admin) fn read(headers: &HeaderMap, secure: bool) -> Result<Option<&str>, Ambiguous> {
    let mut own = named(headers, name(secure));
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
        let beside = "nom=\u{e9}t\u{e9}; wakedock2=a";
        headers.append(COOKIE, HeaderValue::from_bytes(beside.as_bytes()).unwrap());
        assert_eq!(read(&headers, false), Ok(Some("x")), "what others set is theirs");
        headers.append(COOKIE, HeaderValue::from_static("wakedock=z"));
        assert_eq!(read(&headers, false), Err(Ambiguous));
    }
}
