//! The engine's event stream: the same events, wherever the stream is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wakedock::engine::bench::events;

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    let whole = events([bytes]);
    let pieces = events(bytes.chunks(usize::from(step).max(1)));
    assert_eq!(whole, pieces);
});
