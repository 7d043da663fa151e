//! The interim answers that an upstream sends before the final one, in whatever pieces they come.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wakedock::proxy::bench::interims;

fuzz_target!(|input: (u8, &[u8])| {
    let (every, bytes) = input;
    let whole = interims(std::iter::once(bytes));
    assert_eq!(interims(bytes.chunks(usize::from(every).max(1))), whole);
    assert_eq!(interims(bytes.chunks(1)), whole);
    // Each takes at least its status line's beginning.
    assert!(whole.is_none_or(|count| usize::from(count) * 10 <= bytes.len()));
});
