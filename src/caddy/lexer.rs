//! Words of a Caddyfile, by the rules of Caddy's own lexer: just enough to find a block's end.

use std::ops::Range;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Where it stands in the text, quotes included.
    pub span: Range<usize>,
    /// Whether it is the first word of its line. An escaped line break does not end a line.
    pub starts_line: bool,
    /// Whether it was written in quotes, in backticks or as a heredoc.
    pub quoted: bool,
}

impl Token {
    /// Whether it is this word, unquoted.
    #[must_use]
    pub fn is(&self, source: &str, word: &str) -> bool {
        !self.quoted && source.get(self.span.clone()) == Some(word)
    }

    /// What it says, without quotes.
    #[must_use]
    pub fn text<'a>(&self, source: &'a str) -> &'a str {
        let raw = source.get(self.span.clone()).unwrap_or_default();
        if self.quoted { raw.trim_matches(['"', '`']) } else { raw }
    }
}

/// Splits a Caddyfile into its words. It never fails: what is not closed ends with the text, and
/// Caddy itself says so when it gets it.
#[must_use]
pub fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { source, at: 0, starts_line: true, tokens: Vec::new() };
    // Caddy skips a byte order mark at the beginning.
    if source.starts_with('\u{feff}') {
        lexer.at = '\u{feff}'.len_utf8();
    }
    while let Some(next) = lexer.peek() {
        lexer.step(next);
    }
    lexer.tokens
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    starts_line: bool,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Reads what begins with `next`: white space, a comment or a word.
    fn step(&mut self, next: char) {
        match next {
            '\n' => {
                self.starts_line = true;
                self.at += 1;
            }
            _ if next.is_whitespace() => self.at += next.len_utf8(),
            '\\' if self.rest().starts_with("\\\n") => self.at += 2,
            '\\' if self.rest().starts_with("\\\r\n") => self.at += 3,
            '#' => self.comment(),
            '"' => self.quoted('"'),
            '`' => self.quoted('`'),
            '<' if heredoc_marker(self.rest()).is_some() => self.heredoc(),
            _ => self.word(),
        }
    }

    fn comment(&mut self) {
        let line = self.rest().find('\n').unwrap_or(self.rest().len());
        self.at += line;
    }

    fn quoted(&mut self, quote: char) {
        let mut escaped = false;
        let mut end = self.rest().len();
        for (offset, c) in self.rest().char_indices().skip(1) {
            if c == quote && !escaped {
                end = offset + 1;
                break;
            }
            // Between backticks a backslash is a backslash.
            escaped = quote == '"' && c == '\\' && !escaped;
        }
        self.push(end, true);
    }

    fn word(&mut self) {
        let mut escaped = false;
        let mut end = self.rest().len();
        for (offset, c) in self.rest().char_indices() {
            // An escaped line break inside a word ends the word, not the line.
            if c.is_whitespace() {
                end = if escaped && c == '\n' { offset - 1 } else { offset };
                break;
            }
            escaped = c == '\\' && !escaped;
        }
        self.push(end, false);
    }

    fn heredoc(&mut self) {
        let rest = self.rest();
        let marker = heredoc_marker(rest).unwrap_or_default();
        let first_line = rest.find('\n').map_or(rest.len(), |at| at + 1);
        let mut end = rest.len();
        let mut line_start = first_line;
        for line in rest.get(first_line..).unwrap_or_default().split_inclusive('\n') {
            let text = line.trim_start();
            let closes = text
                .strip_prefix(marker)
                .is_some_and(|after| after.chars().next().is_none_or(char::is_whitespace));
            if closes {
                end = line_start + (line.len() - text.len()) + marker.len();
                break;
            }
            line_start += line.len();
        }
        self.push(end, true);
    }

    fn push(&mut self, len: usize, quoted: bool) {
        let span = self.at..self.at + len;
        self.tokens.push(Token { span, starts_line: self.starts_line, quoted });
        self.starts_line = false;
        self.at += len;
    }
}

/// The marker of a heredoc that begins here: `<<MARKER` and the end of the line (from 2.7.0; to
/// older versions it is an ordinary word).
fn heredoc_marker(text: &str) -> Option<&str> {
    let line = text.strip_prefix("<<")?.split('\n').next()?;
    let marker = line.strip_suffix('\r').unwrap_or(line);
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!marker.is_empty() && marker.chars().all(valid)).then_some(marker)
}

/// Whether Caddy reads this text as one word that means itself, wherever it stands: no space,
/// brace, quote, backtick, comment, escape or comma.
#[must_use]
pub fn is_bare_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_token_char)
}

pub(super) fn is_token_char(c: char) -> bool {
    c.is_alphanumeric() || "-._~:/[]*+@%=?&".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(source: &str) -> Vec<&str> {
        tokens(source).iter().map(|token| &source[token.span.clone()]).collect()
    }

    #[test]
    fn splits_as_caddy_does() {
        assert_eq!(words("a  b\tc\r\nd"), ["a", "b", "c", "d"]);
        assert_eq!(words("\u{feff}{\n}"), ["{", "}"]);
        assert_eq!(words("a # { not this }\nb a#b"), ["a", "b", "a#b"]);
        assert_eq!(words(r#"log "a \" { b" `c \`"#), ["log", r#""a \" { b""#, r"`c \`"]);
        assert_eq!(words("\"two\nlines\"x"), ["\"two\nlines\"", "x"]);
        assert_eq!(words("{$HOME} {host}:80"), ["{$HOME}", "{host}:80"]);
        assert_eq!(words("a <<END\n  } {\n  END b"), ["a", "<<END\n  } {\n  END", "b"]);
        assert_eq!(words("a <<b c"), ["a", "<<b", "c"]);
        assert_eq!(words("\"open"), ["\"open"]);
    }

    #[test]
    fn knows_where_lines_begin() {
        let source = "a b\nc \\\n d\n\"e\nf\" g\nh";
        let first: Vec<&str> = tokens(source)
            .iter()
            .filter(|token| token.starts_line)
            .map(|token| &source[token.span.clone()])
            .collect();
        assert_eq!(first, ["a", "c", "\"e\nf\"", "h"]);
    }

    proptest! {
        #[test]
        fn never_panics_and_loses_nothing_but_space(source in "[ab{}\"`#\\\\<\n\r\t é$E-]{0,60}") {
            let mut end = 0;
            for token in tokens(&source) {
                prop_assert!(token.span.start >= end && token.span.end > token.span.start);
                prop_assert!(source.get(token.span.clone()).is_some());
                end = token.span.end;
            }
            prop_assert!(end <= source.len());
        }
    }
}
