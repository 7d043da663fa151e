//! What a request asks for, read from its head: the host, whether it is a navigation, an upgrade.

use std::net::Ipv6Addr;

use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri, Version};
use hyper::body::Body;

use crate::config::ProxyLimits;
use crate::proxy::extended;
use crate::proxy::grammar::LONGEST_METHOD;
use crate::proxy::respond::Trouble;

/// A host as it is routed: lower case, no port, no trailing dot. On the stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host {
    bytes: [u8; 256],
    len: u8,
}

impl Host {
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// Reads an authority (RFC 3986, 3.2) without user information: `host`, `host:port`,
    /// `[v6]:port`. `None` where it is none.
    pub(super) fn read(authority: &str) -> Option<Self> {
        let (name, port) = split_port(authority)?;
        let port_is_fine = port.len() <= 5
            && port.bytes().all(|digit| digit.is_ascii_digit())
            && (port.is_empty() || port.parse::<u16>().is_ok());
        if !port_is_fine {
            return None;
        }
        if let Some(inner) = name.strip_prefix('[') {
            let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
            return Self::copy(&format!("[{address}]"));
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        // Between two dots, and on both sides of each, there is something.
        let mut before = b'.';
        let fits = name.bytes().all(|byte| {
            let apart = byte != b'.' || before != b'.';
            before = byte;
            apart && (byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        });
        if before == b'.' || !fits { None } else { Self::copy(name) }
    }

    fn copy(name: &str) -> Option<Self> {
        let len = u8::try_from(name.len()).ok().filter(|len| *len <= 253)?;
        let mut bytes = [0; 256];
        for (to, from) in bytes.iter_mut().zip(name.bytes()) {
            *to = from.to_ascii_lowercase();
        }
        Some(Self { bytes, len })
    }
}

fn split_port(authority: &str) -> Option<(&str, &str)> {
    if authority.starts_with('[') {
        let (name, rest) = authority.split_at(authority.find(']')? + 1);
        return if rest.is_empty() { Some((name, "")) } else { Some((name, rest.strip_prefix(':')?)) };
    }
    Some(authority.split_once(':').unwrap_or((authority, "")))
}

/// Refuses what two readers could understand in two ways, or is over a limit.
///
/// # Errors
/// Why it is refused.
pub(super) fn check<B>(request: &Request<B>, limits: &ProxyLimits) -> Result<Host, Trouble> {
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

/// Whether both name the same host. A port that only one of them has is no difference.
fn is_same_host(authority: &str, host: &str) -> bool {
    let parts = |text| Some((Host::read(text)?, split_port(text)?.1));
    let (Some((one, port)), Some((other, other_port))) = (parts(authority), parts(host)) else {
        return false;
    };
    one.as_str() == other.as_str() && (port.is_empty() || other_port.is_empty() || port == other_port)
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

/// Whether one of the comma-separated words of these fields is `word`.
pub(super) fn has_word(headers: &HeaderMap, field: &http::HeaderName, word: &str) -> bool {
    headers.get_all(field).iter().any(|line| {
        line.as_bytes()
            .split(|byte| *byte == b',')
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    })
}

/// Whether the client wants to leave HTTP on this connection (RFC 9110, 7.8). An upgrade to HTTP/2
/// is not passed on: the upstream connection is not the client's.
pub(super) fn wants_upgrade<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.version() == Version::HTTP_11
        && headers.contains_key(UPGRADE)
        && has_word(headers, &CONNECTION, "upgrade")
        && !has_word(headers, &UPGRADE, "h2c")
}

/// Whether the client says that it reads trailers.
pub(super) fn reads_trailers(headers: &HeaderMap) -> bool {
    headers.contains_key(TE) && has_word(headers, &TE, "trailers")
}

/// Whether this is a gRPC call: `application/grpc`, alone or with the form of its messages behind
/// it. gRPC-Web, which has a name of its own, is for HTTP/1.1.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether a person waits for this page in a browser's window. Only then a waiting page helps:
/// scripts, images, uploads, upgrades and programs want the real answer.
pub(super) fn is_navigation<B: Body>(request: &Request<B>) -> bool {
    let headers = request.headers();
    *request.method() == Method::GET
        && headers.get_all(ACCEPT).iter().any(|accept| contains(accept.as_bytes(), b"text/html"))
        && headers.get("sec-fetch-mode").is_none_or(|mode| mode.as_bytes() == b"navigate")
        && !headers.contains_key(UPGRADE)
        && request.body().is_end_stream()
}

/// Whether a browser only looks ahead, without anybody having asked for the page.
pub(super) fn is_prefetch(headers: &HeaderMap) -> bool {
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

    #[test]
    fn hosts() {
        let fine = [
            ("a.example", "a.example"),
            ("A.Example.:8080", "a.example"),
            ("a.example:", "a.example"),
            ("my_app.localhost", "my_app.localhost"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ];
        for (authority, host) in fine {
            assert_eq!(Host::read(authority).unwrap().as_str(), host);
        }
        for odd in [
            "", ".", "..", ".a", "a..", "a..b", ":80", "a b", "a/b", "user@a", "a:99999", "a:8o", "a:80:80",
            "[::1", "[::1]x", "[a]", "ü.de",
        ] {
            assert!(Host::read(odd).is_none(), "{odd:?}");
        }
        assert!(Host::read(&"a".repeat(254)).is_none());
    }

    #[test]
    fn the_same_host() {
        let same = is_same_host;
        assert!(
            same("app.test", "APP.test.") && same("app.test:80", "app.test") && same("[::1]", "[0::1]:80")
        );
        assert!(!same("app.test", "other.test") && !same("app.test:80", "app.test:81"));
    }

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
