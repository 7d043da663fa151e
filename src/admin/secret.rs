//! Random values, and the forms in which they are written and kept.

/// Random bytes from the kernel. `None` where it has none, which it says only before it has started
/// properly.
fn try_random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// Random bytes from the kernel; waits until it has some.
pub(super) fn random<const N: usize>() -> [u8; N] {
    loop {
        if let Some(bytes) = try_random() {
            return bytes;
        }
        std::thread::yield_now();
    }
}

/// As figures and letters to `f`.
pub(super) fn hex(bytes: &[u8]) -> String {
    const FIGURES: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(FIGURES[usize::from(byte >> 4)]));
        text.push(char::from(FIGURES[usize::from(byte & 15)]));
    }
    text
}
