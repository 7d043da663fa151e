//! The engine's answer to `inspect`: half of it is what an image or a compose file says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wakedock::engine::bench::inspected;

fuzz_target!(|bytes: &[u8]| {
    let Some(container) = inspected(bytes) else { return };
    assert!(container.exposed.is_sorted() && container.published.is_sorted());
    assert!(container.health_command.is_none_or(|command| !command.argv.is_empty()));
});
