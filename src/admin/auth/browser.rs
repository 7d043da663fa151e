//! What keeps other people's pages from acting in a browser that is signed in here: every unsafe
//! request shows where it comes from, and a token that only pages of ours know.

use axum::http::header::{CONTENT_TYPE, HOST, HeaderMap, ORIGIN};

use crate::admin::auth::Auth;
use crate::admin::caller::{Caller, Via};
use crate::admin::{peer, secret};

/// The form field with the token.
const FIELD: &str = "csrf";
/// Its header field.
pub(in crate::admin) const HEADER: &str = "X-CSRF-Token";

/// Whether a request comes from a page of ours, or from no page at all.
#[must_use]
pub(in crate::admin) fn check_origin(headers: &HeaderMap, origin: &peer::Origin) -> bool {
    // Scripts cannot set this one. `none` is somebody who typed the address.
    let mut sites = headers.get_all("sec-fetch-site").iter();
    if let Some(site) = sites.next() {
        return sites.next().is_none() && (site == "same-origin" || site == "none");
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(said) = origins.next() else { return true };
    if origins.next().is_some() {
        return false;
    }
    let own = origin.host.as_deref().or_else(|| headers.get(HOST)?.to_str().ok());
    let (Some(own), Ok(said)) = (own, said.to_str()) else { return false };
    let Some((scheme, authority)) = said.split_once("://") else { return false };
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let plain = |authority: &str| authority.strip_suffix(default).unwrap_or(authority).to_ascii_lowercase();
    plain(authority) == plain(own)
}

/// Whether a browser says that a page of another site asks, be it by a link.
#[must_use]
pub(in crate::admin) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get_all("sec-fetch-site").iter().any(|site| site == "cross-site" || site == "same-site")
}

/// The token in the body of a form, where it is one.
#[must_use]
pub(in crate::admin) fn csrf_token_in_form(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let mut own = body.split('&').filter_map(|pair| pair.split_once('=')).filter(|(name, _)| *name == FIELD);
    let (_, value) = own.next()?;
    // The token's own letters need no encoding.
    own.next().is_none().then(|| value.to_owned())
}

/// Whether the body is a form.
pub(in crate::admin) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// The token in the header.
pub(in crate::admin) fn csrf_token_in_header(headers: &HeaderMap) -> Option<String> {
    headers.get(HEADER)?.to_str().ok().map(ToOwned::to_owned)
}

impl Auth {
    /// The token that pages of ours send along with what they change. `None`: the caller is no
    /// browser.
    #[must_use]
    pub fn csrf_token(&self, caller: &Caller) -> Option<String> {
        let token = |key: &[u8; 32], of: &[&[u8]]| Some(secret::hex(&secret::hmac(key, of)[..16]));
        match &caller.via {
            // Of the session's own secret: another key for access tokens leaves open pages alone.
            Via::Session { id } => {
                token(&self.people().sessions.get(id)?.secret, &[b"wakedock csrf token 2"])
            }
            Via::Proxy => token(&self.keys.load().csrf, &[b"proxy:", caller.name.as_bytes()]),
            Via::Socket { .. } | Via::Token { .. } => None,
        }
    }

    /// Whether a token is the one of a caller.
    #[must_use]
    pub fn is_csrf_token(&self, caller: &Caller, token: &str) -> bool {
        self.csrf_token(caller).is_some_and(|right| secret::same(right.as_bytes(), token.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(fields: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "dash.example.com".parse().unwrap());
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let origin = peer::Origin { address: None, secure: false, host: None, proxy: None, believed: false };
        check_origin(&headers, &origin)
    }

    #[test]
    fn pages_of_others_are_told_apart() {
        assert!(from(&[]), "no page at all");
        for own in ["https://dash.example.com", "http://dash.example.com:80", "https://DASH.example.com:443"]
        {
            assert!(from(&[("origin", own)]), "{own}");
        }
        for other in
            ["null", "https://evil.example", "https://dash.example.com:8443", "https://x.dash.example.com"]
        {
            assert!(!from(&[("origin", other)]), "{other}");
        }
        assert!(from(&[("sec-fetch-site", "same-origin"), ("origin", "https://renamed.example")]));
        for site in ["cross-site", "same-site"] {
            assert!(!from(&[("sec-fetch-site", site), ("origin", "https://dash.example.com")]), "{site}");
        }
        assert!(!from(&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn the_token_of_a_form_is_found() {
        assert_eq!(csrf_token_in_form(b"a=b&csrf=abc&c=d").as_deref(), Some("abc"));
        assert_eq!(csrf_token_in_form(b"csrf=abc&csrf=d"), None);
        assert_eq!(csrf_token_in_form(b"a=csrf"), None);
        assert_eq!(csrf_token_in_form(b"\xff"), None);
    }
}
