//! The query of `/.wakedock/events?path=`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wakedock::proxy::bench::path_parameter;

fuzz_target!(|text: &str| {
    if let Some(path) = path_parameter(text) {
        assert!(path.len() <= text.len());
    }
    // Whatever a page encodes, it gets back.
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(path_parameter(&format!("a=b&path={encoded}&path=other")).as_deref(), Some(text));
});
