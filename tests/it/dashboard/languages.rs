//! One file a language: all say the same things, as well as the English one, and nothing that no page
//! says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use wakedock::html::Language;

use super::{french, samples};

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(language: Language) -> BTreeMap<String, Value> {
    let file = root().join(format!("templates/lang/{}.json", language.code()));
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn texts(language: Language) -> BTreeMap<String, String> {
    let texts = file(language).into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())));
    texts.collect()
}

pub(super) fn messages(language: Language) -> BTreeMap<String, String> {
    serde_json::from_value(file(language)["messages"].clone()).unwrap()
}

fn places(text: &str) -> BTreeSet<&str> {
    text.split('{')
        .skip(1)
        .filter_map(|part| Some(part.split_once('}')?.0))
        .filter(|name| *name != "…")
        .collect()
}

/// Without the form of a text that counts.
fn base(key: &str) -> &str {
    key.split('#').next().unwrap()
}

/// The forms that a language's own rule chooses from.
fn forms(texts: &BTreeMap<String, String>) -> BTreeSet<String> {
    let environment = minijinja::Environment::new();
    let rule = environment.compile_expression(&texts["format.plural"]).unwrap();
    (0..=1000).map(|n| rule.eval(minijinja::context! { n }).unwrap().to_string()).collect()
}

#[test]
fn a_language_is_a_file_and_nothing_else() {
    let mut named: Vec<String> = fs::read_dir(root().join("templates/lang"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut known: Vec<&str> = Language::ALL.iter().map(|language| language.code()).collect();
    assert_eq!(known[0], "en", "what nobody chose");
    assert!(known.len() > 1);
    named.sort();
    known.sort_unstable();
    assert_eq!(named, known);
}

#[test]
fn every_language_has_the_same_texts_with_the_same_places_and_its_own_forms() {
    let english = texts(Language::ENGLISH);
    assert!(english.len() > 400);
    let keys = |texts: &BTreeMap<String, String>| {
        texts.keys().map(|key| base(key).to_owned()).collect::<BTreeSet<_>>()
    };
    for &language in Language::ALL {
        let own = texts(language);
        assert_eq!(keys(&own), keys(&english), "{language:?}");
        let forms = forms(&own);
        for key in own.keys().filter(|key| key.contains('#')).map(|key| base(key)) {
            let given = own.keys().filter_map(|own| own.strip_prefix(key)?.strip_prefix('#'));
            let given: BTreeSet<String> = given.map(ToOwned::to_owned).collect();
            assert_eq!(given, forms, "{language:?} {key}: the forms that its `format.plural` names");
        }
        for (key, text) in &own {
            // The plain form speaks for all where a language has more of them than English.
            let model = english.get(key).or_else(|| english.get(&format!("{}#other", base(key)))).unwrap();
            if key.contains('#') {
                assert!(places(text).is_subset(&places(model)), "{language:?} {key}: {text}");
            } else {
                assert_eq!(places(text), places(model), "{language:?} {key}: {text}");
            }
            assert!(
                !text.is_empty() && !text.contains('\\') && !text.contains('!'),
                "{language:?} {key}: {text}"
            );
            let parts = text.split('|').count();
            assert_eq!(parts, model.split('|').count(), "{language:?} {key}: {text}");
        }
        for (key, count) in [("format.months", 12), ("format.weekdays", 7), ("unit.bytes", 5)] {
            assert_eq!(own[key].split(' ').count(), count, "{language:?} {key}");
        }
    }
}

#[test]
fn every_language_has_the_same_messages_with_the_same_places() {
    let english = messages(Language::ENGLISH);
    assert!(english.len() > 300);
    for (key, text) in &english {
        assert_eq!(key, text, "a message's key is what the source says");
    }
    for &language in Language::ALL {
        let own = messages(language);
        assert_eq!(own.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "{language:?}");
        for (key, text) in &own {
            assert_eq!(places(text), places(key), "{language:?}: {text}");
            assert!(!text.is_empty() && !text.contains('!'), "{language:?}: {text}");
            let end = |text: &str| text.ends_with('.');
            assert_eq!(end(text), end(key), "{language:?}: a full stop where English has one: {text}");
            // What is to be written as it is. A word for something else stands in capitals.
            let marked = |text: &str| {
                let marked = text
                    .split('`')
                    .skip(1)
                    .step_by(2)
                    .filter(|part| !part.contains("NAME") && !part.contains("NOM"));
                marked.map(ToOwned::to_owned).collect::<BTreeSet<_>>()
            };
            assert_eq!(marked(text), marked(key), "{language:?}: {text}");
        }
    }
}

/// Typography of French: a narrow space that does not break before double signs and inside quotation
/// marks, and the apostrophe that is one.
#[test]
fn french_is_set_as_french() {
    let own = texts(french()).into_iter().filter(|(key, _)| key != "format.plural");
    let mut checked = 0;
    for (key, text) in own.chain(messages(french())) {
        // What stands between backquotes is written as it is.
        for part in text.split('`').step_by(2) {
            let letters: Vec<char> = part.chars().collect();
            for (at, letter) in letters.iter().enumerate() {
                let before = at.checked_sub(1).map(|before| letters[before]);
                let spaced = match letter {
                    ';' | '?' | '»' => true,
                    ':' => letters.get(at + 1).is_none_or(|after| after.is_whitespace()),
                    _ => false,
                };
                if spaced {
                    checked += 1;
                    assert_eq!(before, Some('\u{202f}'), "{key}: before {letter:?} in {text:?}");
                }
                if *letter == '«' {
                    assert_eq!(letters.get(at + 1), Some(&'\u{202f}'), "{key}: {text:?}");
                }
                let apostrophe = *letter == '\'' && before.is_some_and(char::is_alphabetic);
                assert!(!apostrophe, "{key}: an apostrophe is ’: {text:?}");
            }
            assert!(!part.contains("..."), "{key}: {text:?}");
        }
    }
    assert!(checked > 40, "{checked}");
}

/// A key stands in a template or in the source as a whole, or begins with what one of them puts
/// together, or is a constant.
#[test]
fn no_text_is_unused() {
    let mut sources = String::new();
    let mut add = |folder: &str| {
        let mut folders = vec![root().join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    sources += &fs::read_to_string(path).unwrap();
                }
            }
        }
    };
    add("templates/dashboard");
    add("src/html");
    add("src/admin");
    let started: Vec<&str> = sources
        .split("t(\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .filter(|(_, after)| after.starts_with(" ~ "))
        .map(|(start, _)| start)
        .chain(["cause.", "stop.", "deed.", "via."])
        .collect();
    assert!(started.len() > 15, "{started:?}");
    for key in texts(Language::ENGLISH).keys().map(|key| base(key)) {
        let whole = sources.contains(&format!("\"{key}\""));
        let constant = sources.contains(&format!("key::{}", key.to_uppercase().replace(['.', '-'], "_")));
        assert!(whole || constant || started.iter().any(|start| key.starts_with(start)), "{key} is nobody's");
    }
}

#[test]
fn every_page_speaks_every_language() {
    for &language in Language::ALL {
        for (name, html) in samples::all(&|frame| frame.language = language) {
            assert!(html.contains(&format!("<html lang=\"{}\"", language.code())), "{name}");
        }
    }
    let french = samples::all(&|frame| frame.language = french());
    let (_, overview) = french.into_iter().find(|(name, _)| *name == "overview").unwrap();
    for text in ["Réveiller", "il y a 1\u{a0}h", "utilisé par 2 requêtes", "1,5\u{a0}Go", "Dernier réveil"]
    {
        assert!(overview.contains(text), "{text} is not in {overview}");
    }
}

/// What people read on a page, or have read to them.
fn said(html: &str) -> Vec<String> {
    let mut said = Vec::new();
    let (mut rest, mut code) = (html, false);
    while let Some((text, tag)) = rest.split_once('<') {
        said.extend((!code).then(|| text.trim().to_owned()));
        code = tag.starts_with("pre");
        let mut end = tag;
        let mut attributes = Vec::new();
        // A value may hold what ends a tag.
        let after = loop {
            let Some(at) = end.find(['"', '>']) else { break "" };
            if end.as_bytes()[at] == b'>' {
                break &end[at + 1..];
            }
            let name = end[..at].rsplit([' ', '\n']).next().unwrap().trim_end_matches('=');
            let (value, behind) = end[at + 1..].split_once('"').unwrap();
            attributes.push((name.to_owned(), value.to_owned()));
            end = behind;
        };
        let heard =
            ["title", "aria-label", "placeholder", "alt", "data-ask", "data-words", "aria-description"];
        for (_, value) in attributes.into_iter().filter(|(name, _)| heard.contains(&name.as_str())) {
            said.extend(value.split('|').map(ToOwned::to_owned));
        }
        rest = after;
    }
    said.retain(|text| text.chars().any(char::is_alphabetic));
    said
}

/// A text that stood in a template or in the source was English on every page.
#[test]
fn nothing_on_a_french_page_is_english() {
    let words = |texts: Vec<String>| -> BTreeSet<String> {
        let words =
            texts.iter().flat_map(|text| text.split(|letter: char| !letter.is_alphabetic() && letter != '’'));
        words.map(str::to_lowercase).filter(|word| word.chars().count() > 1).collect()
    };
    let of = |language| words(texts(language).into_values().collect());
    // Words that only English has say that a text is English.
    let signs: BTreeSet<String> = of(Language::ENGLISH).difference(&of(french())).cloned().collect();
    assert!(signs.len() > 350 && signs.contains("the") && signs.contains("asleep"), "{signs:?}");
    // Names of the samples, what Docker and Caddy say themselves, and a language in its own words.
    let names = [
        "English",
        ".example.com",
        "30 hosts",
        "exited with code 1",
        "That log-in was begun too long ago.",
        "running",
        "adapting config:",
        "of your own files is replaced",
        "WAKEDOCK_",
        "unix:/",
        "1.4 MB",
        "old backup script",
        "shortcuts on the phone",
        "display-kitchen",
    ];
    let keys = ["container", "domain", "group", "hold", "hosts", "icon", "path", "wait"];
    let is_name = |text: &str| {
        let letters = text.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte));
        let key = (letters && text.contains(['.', '_'])) || keys.contains(&text);
        key || names.iter().any(|name| text.contains(name))
    };
    let (mut checked, mut wrong) = (0, BTreeSet::new());
    let english = samples::all(&|_| ());
    for ((name, html), (_, english)) in samples::all(&|frame| frame.language = french()).iter().zip(&english)
    {
        // The API's reference is its document, in the one language that it is written in.
        if name.starts_with("reference") {
            continue;
        }
        let english: BTreeSet<String> = said(english).into_iter().collect();
        for text in said(html) {
            checked += 1;
            let is_english = words(vec![text.clone()]).iter().any(|word| signs.contains(word));
            if english.contains(&text) && is_english && !is_name(&text) {
                wrong.insert(format!("{name}: {text}"));
            }
        }
    }
    assert!(checked > 1000, "{checked}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
