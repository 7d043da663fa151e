//! A client's connection, byte for byte: one message after the other, and the first that is none.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wakedock::config::{Config, ProxyLimits};
use wakedock::proxy::bench::{head, messages};

static LIMITS: LazyLock<ProxyLimits> = LazyLock::new(|| {
    let mut limits = Config::default().proxy.limits;
    // Small, so that the fuzzer finds them.
    (limits.head, limits.fields, limits.target) = (1024, 12, 64);
    limits
});

fuzz_target!(|input: (u8, &[u8])| {
    let (every, bytes) = input;
    // A line is judged when it ends, or as soon as what has come of it at once can be none.
    let bytes = &[bytes, b"\r\n\r\n"].concat()[..];
    let whole = messages(std::iter::once(bytes), &LIMITS);
    assert!(bytes.starts_with(&whole.0), "what passes is what came");
    // What matters is what comes, not when.
    assert_eq!(messages(bytes.chunks(usize::from(every).max(1)), &LIMITS), whole);
    assert_eq!(messages(bytes.chunks(1), &LIMITS), whole);
    let Some((end, length)) = head(bytes, &LIMITS) else { return };
    // hyper's parser reads what passes, sees its end where we do, and no other length.
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(end)));
    let of =
        |name: &str| request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
    let (lengths, codings) = (of("content-length"), of("transfer-encoding"));
    match length {
        None => assert_eq!((lengths, codings), (0, 1)),
        Some(0) => assert!(lengths <= 1 && codings == 0),
        Some(_) => assert_eq!((lengths, codings), (1, 0)),
    }
    assert!(whole.0.len() >= end, "its head passes");
});
