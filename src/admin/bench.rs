//! What the fuzz targets reach of what strangers show at the door. No part of the interface: it
//! follows the code behind it.

use axum::http::HeaderMap;

use crate::admin::api::page::Paging;
use crate::admin::api::query::{FromQuery, Given, read};
use crate::admin::auth;
use crate::admin::secret;
use crate::domain::time::Timestamp;

/// Whether an access token is good; what it says where it is.
#[must_use]
pub fn access_token(key: &[u8; 32], token: &str, now: Timestamp) -> Option<String> {
    auth::read_access_token(key, token, now).map(|claims| format!("{claims:?}"))
}

/// What a token would be signed with, so that a target gets behind the signature.
#[must_use]
pub fn signature(key: &[u8; 32], text: &str) -> [u8; 32] {
    secret::hmac(key, &[text.as_bytes()])
}

/// The session's secret in the cookies; `Err` where there are two.
///
/// # Errors
/// There are two.
#[allow(clippy::result_unit_err, reason = "there is nothing else to say of it")]
pub fn cookie(headers: &HeaderMap, secure: bool) -> Result<Option<&str>, ()> {
    auth::read_cookie(headers, secure).map_err(drop)
}

/// The token of a form against forgery.
#[must_use]
pub fn csrf_token(form: &[u8]) -> Option<String> {
    auth::csrf_token_in_form(form)
}

struct Listed(Paging);

impl FromQuery for Listed {
    const KNOWN: &'static [&'static str] = &["limit", "cursor"];

    fn read(given: &mut Given) -> Self {
        Self(Paging::read(given))
    }
}

/// The names of the page that a query asks for, and the cursor of the next one.
#[must_use]
pub fn page(query: &str, names: &[String]) -> Option<(Vec<String>, Option<String>)> {
    let Listed(paging) = read(query).ok()?;
    let page = paging.cut(names.iter().cloned(), Clone::clone);
    Some((page.items, page.next))
}
