//! The style and the script that lie inside every page, and the policy that admits them and
//! nothing else.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

pub(super) static STYLE: LazyLock<String> =
    LazyLock::new(|| condense(include_str!("../../templates/waiting/style.css")));
pub(super) static DARK: LazyLock<String> =
    LazyLock::new(|| condense(include_str!("../../templates/waiting/dark.css")));
pub(super) static SCRIPT: LazyLock<String> =
    LazyLock::new(|| condense(include_str!("../../templates/waiting/script.js")));

/// The value of `Content-Security-Policy`. It says nothing about frames: whoever shows services
/// in frames shows this page in their place, and there is nothing on it to trick anybody into.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src {} {}; script-src {}; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'",
        hash(&STYLE),
        hash(&DARK),
        hash(&SCRIPT),
    )
});

/// Without indentation, empty lines and lines that are only a comment.
fn condense(source: &str) -> String {
    let lines = source.lines().map(str::trim);
    let lines = lines.filter(|line| {
        let comment = line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/"));
        !line.is_empty() && !comment
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_what_browsers_compute() {
        // The example of the CSP specification, section 8.2.
        assert_eq!(hash("alert('Hello, world.');"), "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='");
    }

    #[test]
    fn condensing_keeps_what_counts() {
        assert_eq!(condense("/* a */\nb {\n\n  c: d; /* e */\n}\n// f\n"), "b {\nc: d; /* e */\n}");
    }

    #[test]
    fn nothing_ends_its_element_early() {
        for text in [&STYLE, &DARK, &SCRIPT] {
            assert!(text.len() > 100);
            assert!(!text.contains("</") && !text.contains("<!--"), "{}", **text);
        }
    }
}
