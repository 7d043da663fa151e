//! What a container wrote, on a terminal: its colours are kept, and nothing else steers it.

/// Takes out of a stream what would move, erase or rename.
#[derive(Debug, Default)]
pub(in crate::cli) struct Calm(State);

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and `[`: what came since.
    Sequence(Vec<u8>),
    /// After ESC and `]` or the like: a text for the terminal itself, up to BEL or ESC.
    Message,
}

/// Colours take no more.
const LONGEST: usize = 32;

impl Calm {
    pub(in crate::cli) fn filter(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut calm = Vec::with_capacity(bytes.len());
        for byte in bytes.iter().copied() {
            self.0 = match (std::mem::take(&mut self.0), byte) {
                (_, b'\n') => {
                    calm.push(b'\n');
                    State::Text
                }
                (_, 0x1b) => State::Escape,
                (State::Text, byte) => {
                    if matches!(byte, b'\t' | b' '..=b'~' | 0x80..) {
                        calm.push(byte);
                    }
                    State::Text
                }
                (State::Escape, b'[') => State::Sequence(Vec::new()),
                (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::Message,
                (State::Escape, _) | (State::Message, 0x07) => State::Text,
                (State::Message, _) => State::Message,
                (State::Sequence(sequence), b'm') => {
                    if sequence.iter().all(|byte| byte.is_ascii_digit() || *byte == b';') {
                        calm.extend(b"\x1b[");
                        calm.extend(sequence);
                        calm.push(b'm');
                    }
                    State::Text
                }
                (State::Sequence(_), b'@'..=b'~') => State::Text,
                (State::Sequence(mut sequence), byte) => {
                    if sequence.len() < LONGEST {
                        sequence.push(byte);
                    }
                    State::Sequence(sequence)
                }
            };
        }
        calm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_its_colours_and_nothing_else() {
        let text =
            b"a\x1b[1;31mred\x1b[0m\x07\x1b]0;title\x07\x1b]8;;x\x1b\\b\x1b[2Jc\x1b[>4m\r\n\xc3\xa9\x1b[\nd";
        for size in [1, 2, 5, text.len()] {
            let mut calm = Calm::default();
            let shown: Vec<u8> = text.chunks(size).flat_map(|piece| calm.filter(piece)).collect();
            assert_eq!(String::from_utf8(shown).unwrap(), "a\u{1b}[1;31mred\u{1b}[0mbc\né\nd", "{size}");
        }
    }
}
