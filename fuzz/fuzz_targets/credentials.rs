//! What a stranger shows to be let in, and the small languages around it: cookies, access tokens,
//! forms, cursors.

#![no_main]

use http::header::{COOKIE, HeaderMap, HeaderValue};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use wakedock::admin::bench::{access_token, cookie, csrf_token, page, signature};
use wakedock::domain::time::Timestamp;

const KEY: [u8; 32] = [7; 32];
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    cookies: Vec<&'a [u8]>,
    secure: bool,
    token: &'a str,
    header: Option<&'a str>,
    claims: &'a str,
    now: i64,
    form: &'a [u8],
    query: &'a str,
    names: Vec<String>,
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let of = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let word = of(0) << 16 | of(1) << 8 | of(2);
        for place in 0..=three.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

fuzz_target!(|input: Input<'_>| {
    let mut headers = HeaderMap::new();
    for line in &input.cookies {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, line);
        }
    }
    if let Ok(Some(value)) = cookie(&headers, input.secure) {
        assert!(!value.is_empty() && !value.contains(';'));
    }

    let now = Timestamp::from_millis(input.now);
    assert_eq!(access_token(&KEY, input.token, now), None, "nobody guesses a signature");
    // Behind the signature: claims as nobody but us can make them, and still nothing may panic.
    let header = input.header.unwrap_or(r#"{"alg":"HS256","typ":"JWT"}"#);
    let text = format!("{}.{}", base64(header.as_bytes()), base64(input.claims.as_bytes()));
    let token = format!("{text}.{}", base64(&signature(&KEY, &text)));
    if access_token(&KEY, &token, now).is_some() {
        assert_eq!(header, r#"{"alg":"HS256","typ":"JWT"}"#, "the algorithm is ours to choose");
        assert_eq!(access_token(&[8; 32], &token, now), None, "and so is the key");
    }

    if let Some(token) = csrf_token(input.form) {
        assert!(std::str::from_utf8(input.form).is_ok() && token.len() <= input.form.len());
    }

    let mut names = input.names;
    names.sort();
    names.dedup();
    let _ = page(input.query, &names);
    // From page to page every name comes once, whatever it is called.
    let (mut seen, mut query) = (Vec::new(), "limit=2".to_owned());
    while let Some((items, next)) = page(&query, &names) {
        seen.extend(items);
        let Some(next) = next else {
            assert_eq!(seen, names);
            break;
        };
        query = format!("limit=2&cursor={next}");
    }
});
