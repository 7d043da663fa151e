//! Texts of others, made fit for a page of bounded size.

/// The beginning of a text, at most `budget` bytes when escaped.
pub(super) fn beginning(text: &str, budget: usize) -> String {
    let text = printable(text);
    let mut used = 0;
    let end = text.char_indices().find_map(|(at, character)| {
        used += escaped_len(character);
        (used > budget).then_some(at)
    });
    match end {
        Some(at) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// The newest lines that fit into `budget` bytes when escaped.
pub(super) fn newest(lines: &[String], budget: usize) -> String {
    let mut kept = Vec::new();
    let mut left = budget;
    for line in lines.iter().rev() {
        let line = beginning(line, left.min(300));
        let size = escaped(&line) + 1;
        if size > left {
            break;
        }
        left -= size;
        kept.push(line);
    }
    kept.reverse();
    kept.join("\n")
}

/// How many bytes a text takes when escaped.
pub(super) fn escaped(text: &str) -> usize {
    text.chars().map(escaped_len).sum()
}

fn escaped_len(character: char) -> usize {
    match character {
        '<' | '>' => 4,
        '&' => 5,
        '"' | '\'' | '/' => 6,
        other => other.len_utf8(),
    }
}

/// Without terminal sequences, control characters, and marks that turn the direction of text.
fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.peek() == Some(&'[') => {
                characters.next();
                // Up to the letter that ends the sequence.
                let _ = characters.find(|character| ('\u{40}'..='\u{7e}').contains(character));
            }
            '\t' | '\n' => plain.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            control if control.is_control() => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(beginning("short", 100), "short");
        assert_eq!(beginning("äöü", 4), "äö…");
        assert_eq!(beginning("<<<", 9), "<<…");
    }

    #[test]
    fn the_newest_lines_stay() {
        let lines: Vec<String> = (0..1000).map(|number| format!("line {number}")).collect();
        let text = newest(&lines, 30);
        assert_eq!(text, "line 997\nline 998\nline 999");
        assert_eq!(newest(&[], 30), "");
        assert!(newest(&["'".repeat(5000)], 1000).len() < 1000);
    }

    #[test]
    fn terminals_are_not_spoken_to() {
        assert_eq!(beginning("\u{1b}[1;31mERROR\u{1b}[0m\tbad\u{7}\r\u{202e}x", 100), "ERROR badx");
        assert_eq!(beginning("\u{1b}[", 100), "");
    }
}
