//! What a request asks for, read from its head: the host, whether it is a navigation, an upgrade.

use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri, Version};
use hyper::body::Body;

use crate::config::ProxyLimits;
use crate::proxy::exchange::extended;
use crate::proxy::fields::has_word;
use crate::proxy::grammar::LONGEST_METHOD;
use crate::proxy::host::{Host, is_same_host};
use crate::proxy::trouble::Trouble;

/// Refuses what two readers could understand in two ways, or is over a limit.
///
/// # Errors
/// Why it is refused.
pub(in crate::proxy) fn check<B>(request: &Request<B>, limits: &ProxyLimits) -> Result<Host, Trouble> {
    let (uri, headers) = (request.uri(), request.headers());
    if request.version() == Version::HTTP_2 {
        check_http2(request, limits)?;
    }
    let mut hosts = headers.get_all(HOST).iter();
    let (named, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return Err(Trouble::BadRequest("more than one Host"));
    }
    let odd = || Trouble::BadRequest("an odd Host");
    let text = named.map(|host| host.to_str().map_err(|_| odd())).transpose()?;
    let host = text.map(|text| Host::read(text).ok_or_else(odd)).transpose()?;
    // RFC 9112, 3.2.2: an absolute target's authority goes before Host; so does HTTP/2's own, where
    // the two may not differ (RFC 9113, 8.3.1).
    let Some(authority) = uri.authority() else { return host.ok_or(Trouble::BadRequest("no Host")) };
    if request.version() == Version::HTTP_2 && !text.is_none_or(|text| is_same_host(authority.as_str(), text))
    {
        return Err(Trouble::BadRequest("a Host that is not the authority"));
    }
    Host::read(authority.as_str()).ok_or_else(odd)
}

/// What HTTP/1 has been asked by its grammar, before there was a request. h2 knows the rest of what
/// is malformed in HTTP/2.
fn check_http2<B>(request: &Request<B>, limits: &ProxyLimits) -> Result<(), Trouble> {
    let (uri, method, headers) = (request.uri(), request.method(), request.headers());
    if headers.len() > limits.fields {
        return Err(Trouble::HeadTooLarge);
    }
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() > limits.target {
        return Err(Trouble::TargetTooLong);
    }
    let malformed = if *method == Method::CONNECT && !extended::is_websocket(request) {
        "CONNECT is for forward proxies"
    } else if target == "*" && *method != Method::OPTIONS {
        "the target * is for OPTIONS alone"
    } else if !is_path(uri) {
        "a target that is no path"
    } else if uri.scheme_str().is_some_and(|scheme| !is_http(scheme)) {
        "a scheme that is not http"
    } else if method.as_str().len() > LONGEST_METHOD {
        "an endless method"
    } else if headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        "more than one Content-Length"
    } else if headers.values().any(|value| has_blank_end(value.as_bytes())) {
        // RFC 9113, 8.2.1.
        "a field with blanks around its value"
    } else {
        return Ok(());
    };
    Err(Trouble::BadRequest(malformed))
}

/// `http::Uri` takes a query or a fragment without a path for one as well, cuts the fragment off, and
/// shows what is left, nothing, as `/`.
fn is_path(uri: &Uri) -> bool {
    uri.path_and_query().is_some_and(|target| match target.as_str() {
        "/" => *target == PathAndQuery::from_static("/"),
        "*" => true,
        target => target.starts_with('/'),
    })
}

fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

fn has_blank_end(value: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    blank(value.first()) || blank(value.last())
}

/// Whether the client wants to leave HTTP on this connection (RFC 9110, 7.8). An upgrade to HTTP/2
/// is not passed on: the upstream connection is not the client's.
pub(in crate::proxy) fn wants_upgrade<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.version() == Version::HTTP_11
        && headers.contains_key(UPGRADE)
        && has_word(headers, &CONNECTION, "upgrade")
        && !has_word(headers, &UPGRADE, "h2c")
}

/// Whether this is a gRPC call: `application/grpc`, alone or with the form of its messages behind
/// it. gRPC-Web, which has a name of its own, is for HTTP/1.1.
pub(in crate::proxy) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether a person waits for this page in a browser's window. Only then a waiting page helps:
/// scripts, images, uploads, upgrades and programs want the real answer.
pub(in crate::proxy) fn is_navigation<B: Body>(request: &Request<B>) -> bool {
    let headers = request.headers();
    *request.method() == Method::GET
        && headers.get_all(ACCEPT).iter().any(|accept| contains(accept.as_bytes(), b"text/html"))
        && headers.get("sec-fetch-mode").is_none_or(|mode| mode.as_bytes() == b"navigate")
        && !headers.contains_key(UPGRADE)
        && request.body().is_end_stream()
}

/// Whether a browser only looks ahead, without anybody having asked for the page.
pub(in crate::proxy) fn is_prefetch(headers: &HeaderMap) -> bool {
    let speculative = |field: &str| {
        headers
            .get_all(field)
            .iter()
            .any(|value| contains(value.as_bytes(), b"prefetch") || contains(value.as_bytes(), b"prerender"))
    };
    speculative("sec-purpose") || speculative("purpose")
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{Empty, Full};

    use super::*;

    /// Trap 4: only a navigation may get the page; table of the real requests of browsers and
    /// programs.
    #[test]
    #[allow(clippy::type_complexity, reason = "a table is clearer than its type")]
    fn a_navigation_and_the_rest() {
        let html = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let cases: &[(&str, &[(&str, &str)], bool)] = &[
            ("GET", &[html], true),
            ("GET", &[html, ("sec-fetch-mode", "navigate")], true),
            ("GET", &[html, ("sec-fetch-mode", "cors")], false),
            ("GET", &[("accept", "*/*")], false),
            ("GET", &[("accept", "image/avif,image/webp,*/*")], false),
            ("GET", &[], false),
            ("POST", &[html], false),
            ("HEAD", &[html], false),
            ("OPTIONS", &[html], false),
            ("GET", &[html, ("upgrade", "websocket"), ("connection", "upgrade")], false),
            ("POST", &[("content-type", "application/grpc"), ("te", "trailers")], false),
        ];
        for (method, fields, expected) in cases {
            let mut request = Request::builder().method(*method).uri("/");
            for (name, value) in *fields {
                request = request.header(*name, *value);
            }
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            assert_eq!(is_navigation(&request), *expected, "{method} {fields:?}");
        }
        let with_body = Request::get("/").header(html.0, html.1).body(Full::new(Bytes::from("x"))).unwrap();
        assert!(!is_navigation(&with_body));
    }

    #[test]
    fn looking_ahead_is_not_asking() {
        let fields = |name: &'static str, value| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )])
        };
        assert!(is_prefetch(&fields("sec-purpose", "prefetch;prerender")));
        assert!(is_prefetch(&fields("purpose", "prefetch")));
        assert!(!is_prefetch(&fields("purpose", "upgrade")));
    }

    #[test]
    fn calls_of_grpc() {
        for (kind, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/json", false),
        ] {
            let fields = HeaderMap::from_iter([(CONTENT_TYPE, http::HeaderValue::from_static(kind))]);
            assert_eq!(is_grpc(&fields), expected, "{kind}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn upgrades() {
        let request = |upgrade, connection| {
            let request = Request::get("/").header(UPGRADE, upgrade).header(CONNECTION, connection);
            wants_upgrade(&request.body(()).unwrap())
        };
        assert!(request("websocket", "keep-alive, Upgrade"));
        assert!(request("anything/1", "upgrade"));
        assert!(!request("websocket", "keep-alive"));
        assert!(!request("h2c", "upgrade, http2-settings"));
    }
}
