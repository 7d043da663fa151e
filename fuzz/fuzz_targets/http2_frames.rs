//! The frames of an HTTP/2 client, as they are counted: in whatever pieces they come.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wakedock::proxy::bench::frames;

fuzz_target!(|input: (u8, &[u8])| {
    let (every, bytes) = input;
    let whole = frames(std::iter::once(bytes));
    assert_eq!(frames(bytes.chunks(usize::from(every).max(1))), whole);
    assert_eq!(frames(bytes.chunks(1)), whole);
    if let Some((highest, _)) = whole {
        assert!(highest <= 0x7fff_ffff);
    }
});
