//! What the source says to people is said in every language: each sentence that can reach a page or
//! an answer of the API stands in the list of messages, and nothing else does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use wakedock::html::{Language, message};

use super::{french, languages};

/// Where sentences arise that people read on a page or in a problem.
const SOURCES: &[&str] = &[
    "src/admin",
    "src/config/kind/mod.rs",
    "src/config/kind/names.rs",
    "src/config/kind/plain.rs",
    "src/config/kind/shown.rs",
    "src/config/service.rs",
    "src/config/sources/api.rs",
    "src/config/sources/assemble.rs",
    "src/config/sources/claims.rs",
    "src/config/sources/labels.rs",
    "src/config/sources/layer.rs",
    "src/config/sources/names.rs",
    "src/config/table.rs",
    "src/config/units.rs",
    "src/domain/host.rs",
    "src/domain/name.rs",
    "src/engine/locate.rs",
    "src/supervisor/catalog/contenders.rs",
    "src/supervisor/catalog/put.rs",
    "src/supervisor/wake.rs",
];

/// Files and folders whose texts are for programs, for the log, or for the document of the API.
const FOR_OTHERS: &[&str] = &[
    "src/admin/api/answers.rs",
    "src/admin/api/openapi",
    "src/admin/api/reference/chapter.rs",
    "src/admin/api/reference/schema.rs",
    "src/admin/api/system/health.rs",
    "src/admin/api/wire.rs",
    "src/admin/auth/key.rs",
    "src/admin/auth/restored.rs",
    "src/admin/auth/sign_in.rs",
    "src/admin/auth/vouched.rs",
    "src/admin/cors.rs",
    "src/admin/headers.rs",
    "src/admin/patience.rs",
    "src/admin/streams.rs",
];

/// Texts that are no sentences: fields, formats, joints.
const NO_SENTENCES: &[&str] = &[
    " at line ",
    "    {key}: {0}\n",
    "0; url={to}",
    "; Secure",
    "Bearer error=\"invalid_token\"",
    "Mac OS X",
    "WakeDock could not show this page; its log says why\n",
    "^[0-9]+ *(B|kB|KB|MB|GB|KiB|MiB|GiB)$",
    "^(never|([0-9]+ *(d|h|m|s|ms) *)+)$",
    "^([0-9]+ *(d|h|m|s|ms) *)+$",
    "attachment; filename=\"wakedock-backup.redb\"",
    "expires_in {reason}",
    "for {0}",
    "id: {id}\n\n",
    "name or role ",
    "name {error}",
    "name {reason}",
    "public, max-age=31536000, immutable",
    "retry: 2000\n\n",
    "services:\n  - name: {0}\n",
    "services[{index}] {error}",
    "text/html; charset=utf-8",
    "text/plain; charset=utf-8",
    "text/plain; version=0.0.4; charset=utf-8",
    "the body was too slow",
    "uid {uid}",
    "user {name}",
    "username {error}",
    "wakedock csrf token 2",
    "--resolve {host}:{0}:127.0.0.1 ",
    "{0} {path}",
    "{browser}, {system}",
    "{key} {error}",
    "{key} {line}",
    "{whose}{key} {reason}",
    "{key} {reason}",
    "{key}: {0}",
    "{name} {reason}",
    "{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{attribute}",
    "{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{attribute}",
    "{name}={value}; Path=/; Max-Age={age}; SameSite=Lax",
    "{old} → {new}",
    "{old} → –",
    "{title}. {detail}",
    // Said in a smaller way by the pages, which have sentences of their own for it.
    "a token cannot make tokens",
    "there are too many tokens",
    "there are too many users",
    "there is a user of this name",
    "there is no such token",
    "there is no user of this name",
];

fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let inside = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    inside
        .flat_map(|path| files(&path))
        .filter(|path| path.extension().is_some_and(|own| own == "rs"))
        .collect()
}

/// The texts of a source file outside comments, tests, attributes but `error`, and lines of the log.
fn texts(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let bytes = source.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    // What is skipped ends where its bracket closes.
    let mut skipping = 0_usize;
    while let Some(byte) = bytes.get(at) {
        let rest = &source[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if skipping == 0
            && (rest.starts_with("#[") || rest.starts_with("#!["))
            && !rest.starts_with("#[error(")
        {
            at += rest.find('[').unwrap() + 1;
            skipping = 1;
        } else if skipping == 0
            && rest.starts_with("tracing::")
            && rest.find("!(").is_some_and(|end| end < 20)
        {
            at += rest.find("!(").unwrap() + 2;
            skipping = 1;
        } else if *byte == b'\'' {
            // A character, or else a lifetime.
            let long = rest[1..].chars().next().unwrap();
            let end = if long == '\\' {
                rest[3..].find('\'').map(|end| end + 4)
            } else {
                Some(2 + long.len_utf8())
            };
            at += end.filter(|end| rest.as_bytes().get(end - 1) == Some(&b'\'')).unwrap_or(1);
        } else if *byte == b'r' && rest.starts_with("r#\"") {
            let end = rest.find("\"#").unwrap();
            found.extend((skipping == 0).then(|| rest[3..end].to_owned()));
            at += end + 2;
        } else if *byte == b'"' {
            let mut end = 1;
            while rest.as_bytes()[end] != b'"' {
                end += if rest.as_bytes()[end] == b'\\' { 2 } else { 1 };
            }
            found.extend((skipping == 0).then(|| plain(&rest[1..end])));
            at += end + 1;
        } else {
            if skipping > 0 {
                skipping = match byte {
                    b'(' | b'[' => skipping + 1,
                    b')' | b']' => skipping - 1,
                    _ => skipping,
                };
            }
            at += rest.chars().next().unwrap().len_utf8();
        }
    }
    found
}

/// Without escapes, and with places as the list of messages writes them.
fn plain(text: &str) -> String {
    let mut joined = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some('\n')) => while letters.next_if(|next| next.is_whitespace()).is_some() {},
            ('\\', Some('n')) => {
                letters.next();
                joined.push('\n');
            }
            ('\\', _) => joined.extend(letters.next()),
            (other, _) => joined.push(other),
        }
    }
    let (mut text, mut count, mut rest) = (String::new(), 0, joined.as_str());
    while let Some(at) = rest.find('{') {
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        let Some((place, behind)) = after[1..].split_once('}') else { break };
        let name = place.split(':').next().unwrap();
        if name.is_empty() {
            text.push_str(&format!("{{{count}}}"));
            count += 1;
        } else {
            text.push_str(&format!("{{{name}}}"));
        }
        rest = behind;
    }
    text + rest
}

/// A text as it comes out, with something in its places.
fn filled(text: &str) -> String {
    let mut parts = text.split('{');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + "x1" + part.split_once('}').map_or("", |(_, behind)| behind))
}

#[test]
fn everything_that_is_said_to_people_is_said_in_french() {
    let root = languages::root();
    let (mut checked, mut missing) = (0, BTreeSet::new());
    for path in SOURCES.iter().flat_map(|place| files(&root.join(place))) {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        if FOR_OTHERS.iter().any(|other| name.starts_with(other)) {
            continue;
        }
        for text in texts(&fs::read_to_string(&path).unwrap()) {
            let words =
                text.trim().contains(' ') && text.chars().filter(char::is_ascii_lowercase).count() > 1;
            // Whole sentences in the table of keys describe them in the reference, which is English.
            let describes = name == "src/config/service.rs" && (text.ends_with('.') || text.starts_with('"'));
            if !words || describes || NO_SENTENCES.contains(&text.as_str()) {
                continue;
            }
            checked += 1;
            let text = filled(&text);
            if message::say(french(), &text) == text {
                missing.insert(format!("{name}: {text:?}"));
            }
        }
    }
    assert!(checked > 300, "only {checked} sentences were found: the check itself is broken");
    assert!(missing.is_empty(), "add them under `messages` in each file of templates/lang: {missing:#?}");
}

#[test]
fn no_message_is_left_of_a_sentence_that_is_gone() {
    let all: Vec<String> = files(&languages::root().join("src"))
        .iter()
        .flat_map(|path| texts(&fs::read_to_string(path).unwrap()))
        .collect();
    assert!(all.len() > 3000);
    for english in languages::messages(Language::ENGLISH).keys() {
        // Behind its key, where the source writes both in one.
        let said =
            all.iter().any(|text| text.ends_with(english.as_str()) || *english == format!("{text}{{0}}"));
        assert!(said, "nobody says {english:?}");
    }
}

#[test]
fn texts_of_a_source_are_found() {
    let source = r#"
        // "a comment"
        #[doc = "an attribute"]
        fn a<'a>(b: &'a str) { tracing::warn!(error = %b("no"), "a line of the log"); c('"', '\'', '\u{a0}') }
        #[error("an error {0:?}")]
        let d = "one \"two\" {} {name:?} \
                 three";
        const E: &str = "four";
    "#;
    assert_eq!(texts(source), ["an error {0}", "one \"two\" {0} {name} three", "four"]);
}
