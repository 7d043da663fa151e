//! `/metrics`: the text that Prometheus reads, packed for who takes it packed.

use std::io::Write;

use axum::extract::State;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::admin::AdminState;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// The text of so many services is made beside the threads that answer: it takes milliseconds.
const MANY: usize = 100;

pub(super) async fn metrics(State(state): State<AdminState>, headers: HeaderMap) -> Response {
    let packs = takes_gzip(&headers);
    let many = state.fleet.services().len() > MANY;
    let make = move || {
        let text = state.fleet.metrics_text() + &state.process.render();
        match packs.then(|| pack(text.as_bytes())) {
            Some(Ok(packed)) => (Some(HeaderValue::from_static("gzip")), packed),
            Some(Err(_)) | None => (None, text.into_bytes()),
        }
    };
    let made = if many { tokio::task::spawn_blocking(make).await } else { Ok(make()) };
    // Who makes it doesn't panic; should it, this scrape is empty and the next one is not.
    let (encoding, body) = made.unwrap_or_default();
    let mut response = ([(CONTENT_TYPE, TEXT)], body).into_response();
    response.headers_mut().insert(VARY, HeaderValue::from(ACCEPT_ENCODING));
    if let Some(encoding) = encoding {
        response.headers_mut().insert(CONTENT_ENCODING, encoding);
    }
    response
}

fn pack(text: &[u8]) -> std::io::Result<Vec<u8>> {
    // The same few hundred words over and over: more effort saves little.
    let mut packer = GzEncoder::new(Vec::with_capacity(text.len() / 16), Compression::fast());
    packer.write_all(text)?;
    packer.finish()
}

/// Whether `Accept-Encoding` takes gzip (RFC 9110, 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let listed = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut of_any = None;
    for coding in listed.flat_map(|list| list.split(',')) {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = parameters
            .split(';')
            .filter_map(|parameter| parameter.trim().strip_prefix("q="))
            .any(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0));
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                return !refused;
            }
            "*" => of_any = Some(!refused),
            _ => {}
        }
    }
    of_any.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn gzip_goes_to_who_takes_it() {
        let takes = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            takes_gzip(&headers)
        };
        assert!(takes("gzip") && takes("br, GZIP;q=0.5") && takes("*") && takes("identity, x-gzip"));
        assert!(!takes("identity") && !takes("gzip;q=0, *") && !takes("gzip; q=0.0") && !takes(""));
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let text = "wakedock_leases{service=\"cloud\"} 0\n".repeat(1000);
        let packed = pack(text.as_bytes()).unwrap();
        assert!(packed.len() < text.len() / 20, "{}", packed.len());
        let mut read = String::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
    }
}
