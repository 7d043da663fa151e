//! Makes tables of `templates/lang/*.json`, so that nothing of them is read when WakeDock runs. A
//! language is a file there; there is no list of them.

#![allow(clippy::print_stdout, reason = "how a build script speaks to cargo")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

/// What every text is compared with, and what stands in where a language says nothing.
const MODEL: &str = "en";
/// The object in a file whose keys are English sentences of the source.
const MESSAGES: &str = "messages";
/// Keys that the source names as constants begin with one of these.
const NAMED: &[&str] = &["language", "format.", "unit.", "time.", "waiting."];

/// One file.
#[derive(Default)]
struct Texts {
    plain: BTreeMap<String, String>,
    messages: BTreeMap<String, String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("templates/lang");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut languages = BTreeMap::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        println!("cargo::rerun-if-changed={}", path.display());
        let tag = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if !is_tag(&tag) {
            return Err(format!("{}: a language is named like `fr` or `pt-BR`", path.display()).into());
        }
        let texts: Texts = serde_json::from_str(&fs::read_to_string(&path)?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        languages.insert(tag, texts);
    }
    let model = languages.remove(MODEL).ok_or("templates/lang/en.json is missing")?;
    let mut tags = vec![MODEL.to_owned()];
    tags.extend(languages.keys().cloned());
    let mut all = vec![model];
    all.extend(languages.into_values());
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("languages.rs"), source(&tags, &all)?)?;
    Ok(())
}

/// The tag of a language as BCP 47 writes it, of no more than letters, figures and hyphens.
fn is_tag(tag: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    tag.split('-').all(part) && tag.starts_with(|first: char| first.is_ascii_lowercase())
}

fn source(tags: &[String], all: &[Texts]) -> Result<String, Box<dyn Error>> {
    let [model, ..] = all else { return Err("there is no language".into()) };
    // A language may have forms of a counted text that English lacks.
    let keys: BTreeSet<&str> = all.iter().flat_map(|texts| texts.plain.keys().map(String::as_str)).collect();
    let messages: BTreeSet<&str> = model.messages.keys().map(String::as_str).collect();
    let mut code = String::new();
    let places: Vec<String> = (0..tags.len()).map(|at| format!("Language({at})")).collect();
    writeln!(code, "const TAGS: &[&str] = &{tags:?};")?;
    writeln!(code, "const ALL: &[Language] = &[{}];", places.join(", "))?;
    writeln!(code, "static KEYS: Strings = {};", strings(keys.iter().copied()))?;
    writeln!(code, "static MESSAGES: Strings = {};", strings(messages.iter().copied()))?;
    let count = all.len();
    let text = |texts: &'_ Texts, key: &str| texts.plain.get(key).or_else(|| model.plain.get(key)).cloned();
    let lists = all.iter().map(|texts| strings(keys.iter().map(|key| text(texts, key).unwrap_or_default())));
    writeln!(code, "static TEXTS: [Strings; {count}] = [{}];", lists.collect::<Vec<_>>().join(", "))?;
    let text = |texts: &'_ Texts, key: &str| texts.messages.get(key).cloned().unwrap_or_default();
    let lists = all.iter().map(|texts| strings(messages.iter().map(|key| text(texts, key))));
    writeln!(code, "static TRANSLATED: [Strings; {count}] = [{}];", lists.collect::<Vec<_>>().join(", "))?;
    code.push_str("/// Texts that the source names.\npub(in crate::html) mod key {\n    use super::Key;\n\n");
    for (at, key) in keys.iter().enumerate() {
        if NAMED.iter().any(|start| key.starts_with(start)) {
            let name = key.to_uppercase().replace(['.', '-', '#'], "_");
            writeln!(code, "    pub(in crate::html) const {name}: Key = Key({at});")?;
        }
    }
    code.push_str("}\n");
    Ok(code)
}

/// Many texts as one, with the ends of its parts: nothing in it is an address, so that it stays in the
/// file until it is read.
fn strings<T: AsRef<str>>(texts: impl Iterator<Item = T>) -> String {
    let (mut text, mut ends) = (String::new(), Vec::new());
    for part in texts {
        text.push_str(part.as_ref());
        ends.push(text.len());
    }
    format!("Strings {{ text: {text:?}, ends: &{ends:?} }}")
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(File)
    }
}

struct File;

impl<'de> Visitor<'de> for File {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Texts, A::Error> {
        let mut texts = Texts::default();
        while let Some(key) = entries.next_key::<String>()? {
            if key == MESSAGES {
                texts.messages = entries.next_value::<Messages>()?.0;
            } else if texts.plain.insert(key.clone(), entries.next_value()?).is_some() {
                return Err(A::Error::custom(format!("`{key}` is there twice")));
            }
        }
        Ok(texts)
    }
}

struct Messages(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(File).map(|file| Self(file.plain))
    }
}
