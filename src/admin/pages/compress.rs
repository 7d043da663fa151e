//! Pages, rows, style and script go over the wire compressed, to whoever takes that.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use http_body::Body as _;

use crate::admin::gzip::{packed, takes_gzip};

/// Below it, compressing costs more than it saves.
const SMALLEST: u64 = 1024;

/// Compresses what the routes below answer.
pub(super) async fn compress(request: Request, next: Next) -> Response {
    let wanted =
        *request.method() == Method::GET && takes_gzip(request.headers()) && is_asked_here(request.headers());
    let mut response = next.run(request).await;
    if !is_text(response.headers()) {
        return response;
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    if !wanted || response.body().size_hint().exact().is_none_or(|size| size < SMALLEST) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Whole already: nothing is waited for.
    let Ok(plain) = to_bytes(body, usize::MAX).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let Some(packed) = packed(&plain) else { return Response::from_parts(parts, plain.into()) };
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, packed.into())
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("text/") || kind == "image/svg+xml"
}

/// Whether a page of ours, or the person, asks. How long a compressed page is tells something about
/// what stands in it: other sites, which see that, get nothing compressed.
fn is_asked_here(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sites_learn_nothing_from_the_length() {
        for (site, here) in
            [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false)]
        {
            let mut headers = HeaderMap::new();
            headers.append("sec-fetch-site", site.parse().unwrap());
            assert_eq!(is_asked_here(&headers), here, "{site}");
        }
        assert!(is_asked_here(&HeaderMap::new()), "no browser, or no TLS");
    }
}
