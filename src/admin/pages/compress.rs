//! Pages, rows, style and script go over the wire compressed, to whoever takes that.

use std::io::Write as _;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::Body as _;

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

pub(in crate::admin) fn packed(plain: &[u8]) -> Option<Bytes> {
    // Templates repeat themselves: the fastest level finds nearly all of it.
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 6), Compression::fast());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok().map(Bytes::from)
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

/// Whether a client takes gzip (RFC 9110, 12.5.3).
pub(in crate::admin) fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let mut best = None;
    for coding in lines.flat_map(|line| line.split(',')) {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let zero = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => return !zero,
            "*" => best = Some(!zero),
            _ => {}
        }
    }
    best.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn only_who_takes_it_gets_it() {
        let takes = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.append(ACCEPT_ENCODING, value.parse().unwrap());
            takes_gzip(&headers)
        };
        for yes in ["gzip", "br, GZIP;q=0.5", "gzip, deflate, br, zstd", "*", "deflate, *;q=0.1"] {
            assert!(takes(yes), "{yes}");
        }
        for no in ["", "identity", "br", "gzip;q=0", "*;q=0", "*, gzip;q=0.0"] {
            assert!(!takes(no), "{no}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

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

    #[test]
    fn what_is_packed_comes_out_again() {
        let page = "<tr><td>a row</td></tr>\n".repeat(1000);
        let packed = packed(page.as_bytes()).unwrap();
        assert!(packed.len() < page.len() / 20, "{}", packed.len());
        let mut plain = String::new();
        flate2::read::GzDecoder::new(&*packed).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, page);
    }
}
