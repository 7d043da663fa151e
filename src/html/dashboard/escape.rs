//! Escaping as HTML asks for it, and no more: addresses keep their slashes, and a page of many links
//! stays small.

use std::fmt;

use minijinja::{AutoEscape, Error, ErrorKind, Output, State, Value, escape_formatter};

/// A text, escaped for an element or a quoted attribute.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (plain, special) = rest.split_at(at);
            f.write_str(plain)?;
            f.write_str(match special.as_bytes().first() {
                Some(b'&') => "&amp;",
                Some(b'<') => "&lt;",
                Some(b'>') => "&gt;",
                Some(b'"') => "&quot;",
                _ => "&#39;",
            })?;
            rest = special.get(1..).unwrap_or_default();
        }
        f.write_str(rest)
    }
}

/// For the environment: texts in pages by [`Escaped`], everything else as minijinja does it.
pub(super) fn format(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if !value.is_safe() && *state.auto_escape() == AutoEscape::Html => {
            write!(out, "{}", Escaped(text)).map_err(|_| Error::new(ErrorKind::WriteFailure, "out of place"))
        }
        _ => escape_formatter(out, state, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_text_or_a_value_is_escaped() {
        assert_eq!(Escaped("/a?b=1&c=\"<d>'é").to_string(), "/a?b=1&amp;c=&quot;&lt;d&gt;&#39;é");
        assert_eq!(Escaped("").to_string(), "");
    }
}
