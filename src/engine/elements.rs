//! The elements of a JSON array that comes in pieces, one by one: a list of a thousand containers is
//! never in memory as a whole, and one element out of all proportion does not cost the others.

/// An element that is longer is passed over.
pub(super) const LONGEST_ELEMENT: usize = 1024 * 1024;

/// Tells where the objects of an array begin and end. What they hold is not looked at.
#[derive(Debug, Default)]
pub(super) struct Elements {
    /// The object that has begun.
    open: Vec<u8>,
    /// Objects and arrays that are open, the outer array not counted.
    depth: usize,
    is_text: bool,
    is_escaped: bool,
    is_too_long: bool,
    /// Between its brackets.
    is_inside: bool,
    skipped: usize,
}

impl Elements {
    /// Takes a piece, and gives every object that ends in it.
    pub(super) fn push(&mut self, piece: &[u8], mut found: impl FnMut(&[u8])) {
        for byte in piece {
            if self.depth > 0 {
                self.keep(*byte);
            }
            if self.is_text {
                self.in_text(*byte);
                continue;
            }
            match byte {
                b'"' => self.is_text = true,
                b'[' if !self.is_inside => self.is_inside = true,
                b'{' | b'[' if self.is_inside => {
                    if self.depth == 0 {
                        self.open.clear();
                        self.is_too_long = false;
                        self.open.push(*byte);
                    }
                    self.depth += 1;
                }
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.end(&mut found);
                    }
                }
                b']' => self.is_inside = false,
                _ => {}
            }
        }
    }

    /// How many objects were too long to be looked at.
    pub(super) fn skipped(&self) -> usize {
        self.skipped
    }

    /// Whether the array has not ended.
    pub(super) fn is_cut_off(&self) -> bool {
        self.is_inside || self.depth > 0
    }

    fn keep(&mut self, byte: u8) {
        if self.open.len() < LONGEST_ELEMENT {
            self.open.push(byte);
        } else {
            self.is_too_long = true;
        }
    }

    fn in_text(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => self.is_text = false,
            _ => {}
        }
    }

    fn end(&mut self, found: &mut impl FnMut(&[u8])) {
        if self.is_too_long {
            self.skipped += 1;
            self.open = Vec::new();
        } else {
            found(&self.open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> (Vec<String>, usize) {
        let mut elements = Elements::default();
        let mut found = Vec::new();
        for piece in pieces {
            elements.push(piece, |element| found.push(String::from_utf8(element.to_vec()).unwrap()));
        }
        (found, elements.skipped())
    }

    #[test]
    fn elements_come_one_by_one_however_they_are_cut() {
        let text = br#" [ {"a":"}]\"{["},{"b":[{"c":{}}]}, {} ] "#;
        let whole = [r#"{"a":"}]\"{["}"#, r#"{"b":[{"c":{}}]}"#, "{}"];
        assert_eq!(split(&[text]).0, whole);
        for cut in 0..text.len() {
            assert_eq!(split(&[&text[..cut], &text[cut..]]).0, whole, "{cut}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(split(&bytes).0, whole);
        assert_eq!(split(&[b"[]"]).0, [""; 0]);
        assert_eq!(split(&[b"null"]).0, [""; 0]);
    }

    #[test]
    fn a_list_that_ends_early_is_known() {
        let is_cut_off = |text: &[u8]| {
            let mut elements = Elements::default();
            elements.push(text, |_| {});
            elements.is_cut_off()
        };
        assert!(is_cut_off(b"[{}, {\"a\"") && is_cut_off(b"[{}"));
        assert!(!is_cut_off(b"[{}]") && !is_cut_off(b""));
    }

    #[test]
    fn one_element_out_of_proportion_costs_no_other() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(LONGEST_ELEMENT));
        let (found, skipped) = split(&[b"[{\"n\":1},", long.as_bytes(), b",{\"n\":2}]"]);
        assert_eq!(found, ["{\"n\":1}", "{\"n\":2}"]);
        assert_eq!(skipped, 1);
    }
}
