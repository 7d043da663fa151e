//! What ends at a hop, and what strangers say about whom they come from.

#![no_main]

use http::header::{CONNECTION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use wakedock::proxy::bench::{Peer, request_id, rewrite_request, rewrite_response};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    trusted: bool,
    fields: Vec<(Name<'a>, &'a [u8])>,
}

/// Names that matter, more often than chance would have it.
#[derive(Debug, Arbitrary)]
enum Name<'a> {
    Known(u8, bool),
    Other(&'a [u8]),
}

const KNOWN: [&str; 14] = [
    "connection",
    "te",
    "upgrade",
    "keep-alive",
    "transfer-encoding",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "forwarded",
    "x-real-ip",
    "x-request-id",
    "x-wakedock",
    "host",
];

impl Name<'_> {
    fn read(&self) -> Option<HeaderName> {
        match self {
            Self::Known(index, underscores) => {
                let name = KNOWN[usize::from(*index) % KNOWN.len()];
                let spelled = if *underscores { name.replace('-', "_") } else { name.to_owned() };
                HeaderName::from_bytes(spelled.as_bytes()).ok()
            }
            Self::Other(bytes) => HeaderName::from_bytes(bytes).ok(),
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut headers = HeaderMap::new();
    for (name, value) in &input.fields {
        if let (Some(name), Ok(value)) = (name.read(), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let before = headers.clone();
    let named: Vec<HeaderName> = before
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|b| *b == b','))
        .filter_map(|word| HeaderName::from_bytes(word.trim_ascii()).ok())
        .collect();

    let mut answer = before.clone();
    rewrite_response(&mut answer, None);
    assert!(!answer.contains_key(CONNECTION) && !answer.contains_key("x-wakedock"));
    assert!(named.iter().all(|name| !answer.contains_key(name)));

    let peer = Peer::new(Some(([192, 0, 2, 7], 80).into()));
    let id = request_id(&headers, input.trusted);
    let host = HeaderValue::from_static("a.example");
    rewrite_request(&mut headers, host.clone(), &peer, input.trusted, &id);

    let all = |name: &str| headers.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    assert_eq!(all("host"), [b"a.example"]);
    assert_eq!(all("x-request-id"), [id.as_bytes()]);
    let through = all("x-forwarded-for");
    assert_eq!(through.len(), 1);
    assert!(through[0].ends_with(b"192.0.2.7"), "the last is whom we saw");
    assert!(!headers.contains_key("x-wakedock") && !headers.contains_key(CONNECTION));
    for (name, value) in &headers {
        let spelled = name.as_str().replace('_', "-");
        let says = spelled.starts_with("x-forwarded-") || ["forwarded", "x-real-ip"].contains(&&*spelled);
        if !input.trusted && says {
            let ours: &[u8] = match name.as_str() {
                "x-forwarded-for" => b"192.0.2.7",
                "x-forwarded-proto" => b"http",
                "x-forwarded-host" => b"a.example",
                other => panic!("{other} of a stranger goes on"),
            };
            assert_eq!(value.as_bytes(), ours);
        }
        assert!(!(says && name.as_str().contains('_')), "{name} in another spelling");
    }
    // Everything else goes through as it came.
    for name in before.keys() {
        let spelled = name.as_str().replace('_', "-");
        let ours = spelled.starts_with("x-forwarded-")
            || KNOWN.contains(&&*spelled)
            || ["proxy-connection", "http2-settings"].contains(&name.as_str())
            || *name == HOST;
        if !ours && !named.contains(name) {
            assert!(before.get_all(name).iter().eq(headers.get_all(name).iter()), "{name} was touched");
        }
    }
});
