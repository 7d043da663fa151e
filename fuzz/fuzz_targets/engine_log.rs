//! A container's log: bounded, fit for a terminal, and the same wherever it is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wakedock::engine::bench::log;

fuzz_target!(|input: (bool, u8, u8, &[u8])| {
    let (tty, keep, step, bytes) = input;
    let keep = usize::from(keep);
    let whole = log(tty, keep, [bytes]);
    assert!(whole.len() <= keep);
    for line in &whole {
        assert!(line.len() <= 3 * 2048 + 3);
        assert!(line.chars().all(|c| c == '\t' || !c.is_control()), "{line:?}");
    }
    assert_eq!(whole, log(tty, keep, bytes.chunks(usize::from(step).max(1))));
});
