//! Text that a container or the engine wrote, made fit for a terminal, a page and a log line.

/// At most `longest` bytes of readable text: terminal sequences and control characters other than
/// tab are left out, what is not UTF-8 is marked.
pub(super) fn clean(bytes: &[u8], longest: usize) -> String {
    let cut = &bytes[..bytes.len().min(longest)];
    let text = String::from_utf8_lossy(cut);
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.next_if_eq(&'[').is_some() => {
                // A control sequence ends with its first character in `@` to `~`.
                characters.by_ref().find(|end| ('@'..='~').contains(end));
            }
            '\t' => clean.push('\t'),
            control if control.is_control() => {}
            plain => clean.push(plain),
        }
    }
    if bytes.len() > longest {
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_out_what_steers_a_terminal() {
        assert_eq!(clean(b"\x1b[31;1mred\x1b[0m\tplain\r\x07\x00\x7f", 100), "red\tplain");
        assert_eq!(clean("a\u{9b}b\u{1b}".as_bytes(), 100), "ab");
        assert_eq!(clean(b"\x1b[", 100), "");
    }

    #[test]
    fn is_bounded_and_never_splits_badly() {
        assert_eq!(clean(b"abcdef", 3), "abc…");
        assert_eq!(clean("ää".as_bytes(), 3), "ä\u{fffd}…");
    }
}
