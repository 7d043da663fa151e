//! Style, script and icon, each under a name that changes with its content: browsers keep them.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// One file of the dashboard.
#[derive(Debug)]
pub struct Asset {
    /// `/assets/NAME-HASH.EXTENSION`.
    pub path: String,
    pub media_type: &'static str,
    extension: &'static str,
    source: &'static str,
}

impl Asset {
    fn new(name: &str, extension: &'static str, media_type: &'static str, source: &'static str) -> Self {
        let digest = Sha256::digest(condense(source, extension).as_bytes());
        let hash: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { path: format!("/assets/{name}-{hash}.{extension}"), media_type, extension, source }
    }

    /// What is sent. Made anew each time: browsers ask once, and keep it.
    #[must_use]
    pub fn body(&self) -> String {
        condense(self.source, self.extension)
    }
}

/// Without indentation, empty lines and lines that are only a comment; a style also without the
/// blanks that stand there for people.
fn condense(source: &str, extension: &str) -> String {
    let lines = source.lines().map(str::trim);
    let lines = lines.filter(|line| {
        let comment = line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/"));
        !line.is_empty() && !comment
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    if extension == "js" {
        return dense_script(&text);
    }
    if extension != "css" {
        return text;
    }
    let mut dense = String::with_capacity(text.len());
    for letter in text.chars() {
        let blank = letter == ' ' || letter == '\n';
        if blank && dense.ends_with(['{', '}', ';', ',', ':']) {
            continue;
        }
        if "{}".contains(letter) && dense.ends_with(' ') {
            dense.pop();
        }
        dense.push(letter);
    }
    dense
}

/// A script without the blanks beside its signs. Texts and patterns stay as they are, and so do ends of
/// lines, which mean something.
fn dense_script(text: &str) -> String {
    let mut dense = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    let sign = |letter: char| "=><{}()[],;:+-*/?&|!.\n".contains(letter);
    while let Some(letter) = letters.next() {
        let pattern =
            letter == '/' && dense.ends_with(['(', ',', '=', ':', '[', '!', '&', '|', '?', '{', '}', ';']);
        match letter {
            '\'' | '"' | '`' => literal(letter, &mut letters, &mut dense),
            '/' if pattern => literal('/', &mut letters, &mut dense),
            ' ' if dense.ends_with(sign) || letters.peek().is_some_and(|next| sign(*next)) => {}
            other => dense.push(other),
        }
    }
    dense
}

/// A text, a template or a pattern up to its end.
fn literal(mark: char, letters: &mut impl Iterator<Item = char>, dense: &mut String) {
    dense.push(mark);
    // Inside of `${…}` or of `[…]` the mark is none.
    let mut depth = 0;
    let mut before = mark;
    while let Some(letter) = letters.next() {
        dense.push(letter);
        match (mark, letter) {
            (_, '\\') => dense.extend(letters.next()),
            ('`', '{') if before == '$' => depth += 1,
            ('`', '}') if depth > 0 => depth -= 1,
            ('/', '[') => depth = 1,
            ('/', ']') => depth = 0,
            (_, end) if end == mark && depth == 0 => return,
            _ => {}
        }
        before = letter;
    }
}

/// Style, script, icon, the style of the API's reference, and the style that the overview does without.
static ALL: LazyLock<[Asset; 5]> = LazyLock::new(|| {
    [
        Asset::new(
            "style",
            "css",
            "text/css; charset=utf-8",
            include_str!("../../../templates/dashboard/style.css"),
        ),
        Asset::new(
            "app",
            "js",
            "text/javascript; charset=utf-8",
            include_str!("../../../templates/dashboard/app.js"),
        ),
        Asset::new("icon", "svg", "image/svg+xml", include_str!("../../../templates/dashboard/icon.svg")),
        Asset::new(
            "reference",
            "css",
            "text/css; charset=utf-8",
            include_str!("../../../templates/dashboard/reference.css"),
        ),
        Asset::new(
            "more",
            "css",
            "text/css; charset=utf-8",
            include_str!("../../../templates/dashboard/more.css"),
        ),
    ]
});

/// All of them: style, script, icon, and the styles of single pages.
#[must_use]
pub fn all() -> &'static [Asset] {
    &*ALL
}

/// The one at this path.
#[must_use]
pub fn find(path: &str) -> Option<&'static Asset> {
    ALL.iter().find(|asset| asset.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn condensing_keeps_what_counts() {
        let style = "/* a */\nb :focus {\n  c: d, e; /* f */\n}\n@media (x: 1) and (y) { g > h { i: j } }\n";
        assert_eq!(condense(style, "css"), "b :focus{c:d,e;/* f */\n}@media (x:1) and (y){g > h{i:j}}");
        assert_eq!(condense("// a\n  b { c }\n\n", "js"), "b{c}");
        let script = "const a = (b) => `x ${b ? 'y z' : \"`\"} w`, c = 'd, \\' e';\nreturn f ? g / h : i.replace(/[/ ] j/g, ' ');";
        let dense =
            "const a=(b)=>`x ${b ? 'y z' : \"`\"} w`,c='d, \\' e';\nreturn f?g/h:i.replace(/[/ ] j/g,' ');";
        assert_eq!(condense(script, "js"), dense);
    }

    #[test]
    fn each_is_found_under_a_name_of_its_own() {
        for asset in all() {
            assert!(asset.body().len() > 100 && asset.path.starts_with("/assets/"), "{}", asset.path);
            assert!(std::ptr::eq(find(&asset.path).unwrap(), asset));
        }
        assert!(find("/assets/style.css").is_none());
    }
}
