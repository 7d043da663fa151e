//! The first bytes an application answers a readiness probe with.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wakedock::probe::bench::{Said, status};

fuzz_target!(|bytes: &[u8]| {
    // More bytes never take back what was read from fewer.
    let mut said = Said::More;
    for end in 0..=bytes.len().min(512) {
        let now = status(&bytes[..end]);
        assert!(said == Said::More || now == said);
        said = now;
    }
    if let Said::Status(status) = said {
        assert!((200..=999).contains(&status));
    }
});
