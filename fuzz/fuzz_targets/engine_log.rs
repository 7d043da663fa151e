//! A container's log: bounded, fit for a terminal, and the same wherever it is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wakedock::engine::bench::{dated_log, log};
use wakedock::ports::LogLine;

fuzz_target!(|input: (bool, u8, u8, &[u8])| {
    let (tty, keep, step, bytes) = input;
    let keep = usize::from(keep);
    let whole = log(tty, keep, [bytes]);
    assert!(whole.len() <= keep);
    for line in &whole {
        assert!(line.len() <= 3 * 2048 + 3);
        assert!(line.chars().all(|c| c == '\t' || !c.is_control()), "{line:?}");
    }
    let pieces = || bytes.chunks(usize::from(step).max(1));
    assert_eq!(whole, log(tty, keep, pieces()));
    // The present is the time of a line without one.
    let texts = |lines: Vec<LogLine>| lines.into_iter().map(|line| line.text).collect::<Vec<_>>();
    let dated = texts(dated_log(tty, [bytes]));
    assert!(dated.iter().all(|line| line.chars().all(|c| c == '\t' || !c.is_control())), "{dated:?}");
    assert_eq!(dated, texts(dated_log(tty, pieces())));
});
