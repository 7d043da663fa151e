//! A whole head: what is refused, and what the rest is taken for. Read from the wire by httparse,
//! as hyper does.

#![no_main]

use std::sync::LazyLock;

use http::header::{HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use libfuzzer_sys::fuzz_target;
use wakedock::config::{Config, ProxyLimits};
use wakedock::proxy::bench;

static LIMITS: LazyLock<ProxyLimits> = LazyLock::new(|| Config::default().proxy.limits);

fn read(bytes: &[u8]) -> Option<Request<String>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut fields);
    if !head.parse(bytes).ok()?.is_complete() {
        return None;
    }
    let mut request = Request::new(String::new());
    *request.method_mut() = Method::from_bytes(head.method?.as_bytes()).ok()?;
    *request.uri_mut() = head.path?.parse::<Uri>().ok()?;
    *request.version_mut() = if head.version? == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    for field in head.headers.iter() {
        let value = HeaderValue::from_bytes(field.value).ok()?;
        request.headers_mut().append(HeaderName::from_bytes(field.name.as_bytes()).ok()?, value);
    }
    Some(request)
}

fuzz_target!(|bytes: &[u8]| {
    // What goes before: only what is a request by the grammar comes to be read.
    if bench::head(bytes, &LIMITS).is_none() {
        return;
    }
    let Some(request) = read(bytes) else { return };
    let _ = bench::kind(&request);
    for trusted in [false, true] {
        let id = bench::request_id(request.headers(), trusted);
        assert!(!id.is_empty() && id.len() <= 128 && id.to_str().is_ok_and(|id| !id.contains([' ', ','])));
    }
    let Some(host) = bench::check(&request, &LIMITS) else { return };
    // One meaning: what goes on has one host, and it is the one that was routed by.
    let headers = request.headers();
    assert!(headers.get_all(HOST).iter().count() <= 1);
    assert!(headers.get_all(TRANSFER_ENCODING).iter().count() <= 1);
    assert_ne!(*request.method(), Method::CONNECT);
    let named = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => headers[HOST].to_str().unwrap(),
    };
    assert_eq!(bench::host(named), Some(host));
    assert!(!named.contains('@'));
});
