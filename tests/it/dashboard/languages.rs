//! One file a language: all say the same things, and nothing that no page says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use wakedock::html::Language;

use super::samples;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn texts(language: Language) -> BTreeMap<String, String> {
    let file = root().join(format!("templates/lang/{}.json", language.code()));
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn places(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).map(|part| part.split_once('}').unwrap().0).collect()
}

/// Without the form of a text that counts.
fn base(key: &str) -> &str {
    key.split('#').next().unwrap()
}

#[test]
fn every_language_has_the_same_texts_with_the_same_places() {
    let english = texts(Language::English);
    assert!(english.len() > 300);
    let keys = |texts: &BTreeMap<String, String>| {
        texts.keys().map(|key| base(key).to_owned()).collect::<BTreeSet<_>>()
    };
    for &language in Language::ALL {
        let own = texts(language);
        assert_eq!(keys(&own), keys(&english), "{language:?}");
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
    }
}

/// A key stands in a template or in the source as a whole, or begins with what one of them puts
/// together.
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
    add("src/html/dashboard");
    add("src/admin");
    let started: Vec<&str> = sources
        .split("t(\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .filter(|(_, after)| after.starts_with(" ~ "))
        .map(|(start, _)| start)
        .chain(["cause.", "stop."])
        .collect();
    assert!(started.len() > 15, "{started:?}");
    for key in texts(Language::English).keys().map(|key| base(key)) {
        let whole = sources.contains(&format!("\"{key}\""));
        assert!(whole || started.iter().any(|start| key.starts_with(start)), "{key} is nobody's");
    }
}

#[test]
fn every_page_speaks_every_language() {
    for &language in Language::ALL {
        for (name, html) in samples::all(&|frame| frame.language = language) {
            assert!(html.contains(&format!("<html lang=\"{}\"", language.code())), "{name}");
        }
    }
    let french = samples::all(&|frame| frame.language = Language::French);
    let (_, overview) = french.into_iter().find(|(name, _)| *name == "overview").unwrap();
    for text in ["Réveiller", "il y a 1\u{a0}h", "utilisé par 2 requêtes", "1,5\u{a0}Go", "Dernier réveil"]
    {
        assert!(overview.contains(text), "{text} is not in {overview}");
    }
}
