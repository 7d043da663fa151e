//! YAML text to figment values and the line of every key; and single values back to YAML.

use std::collections::HashMap;
use std::fmt;

use figment::value::{Dict, Empty, Num, Tag, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_saphyr::{Location, Spanned};

use crate::config::paths::join;

/// Why a text is not YAML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    /// Line and column, from one, where they are known.
    pub(super) at: Option<(u32, u32)>,
}

/// A parsed document.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) value: Value,
    /// Line and column, from one, of every key and list element: `services[0].name`.
    pub(super) positions: HashMap<String, (u32, u32)>,
}

/// Parses one YAML 1.2 document: `off` and `no` are words, a repeated key is an error.
/// Text without a document is `Value::Empty`.
pub(super) fn parse(text: &str) -> Result<Document, SyntaxError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        // `socket_mode: 0660` stays as it was written.
        leading_zero_numbers_as_strings: true,
    };
    let node: Node = serde_saphyr::from_str_with_options(text, options).map_err(|error| SyntaxError {
        at: error.location().filter(|at| at.line() > 0).map(|at| {
            (u32::try_from(at.line()).unwrap_or(u32::MAX), u32::try_from(at.column()).unwrap_or(u32::MAX))
        }),
        message: error.to_string(),
    })?;
    let mut positions = HashMap::new();
    let value = node.into_value("", &mut positions);
    Ok(Document { value, positions })
}

/// A value as one line of YAML, flow style, that [`parse`] reads back.
pub(super) fn flow(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(_) | Json::Number(_) => value.to_string(),
        Json::String(text) => scalar(text),
        Json::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let pairs: Vec<_> =
                map.iter().map(|(key, value)| format!("{}: {}", scalar(key), flow(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
    }
}

/// A figment value as one line, for a message.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        Value::Char(_, c) => c.to_string(),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, num) => show_number(*num),
        Value::Empty(..) => "null".to_owned(),
        Value::Array(_, items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Dict(_, dict) => {
            let pairs: Vec<_> = dict.iter().map(|(key, value)| format!("{key}: {}", show(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

pub(super) fn show_number(num: Num) -> String {
    match (num.to_u128(), num.to_i128(), num.to_f64()) {
        (Some(n), ..) => n.to_string(),
        (None, Some(n), _) => n.to_string(),
        (None, None, Some(n)) => n.to_string(),
        (None, None, None) => "a number".to_owned(),
    }
}

fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                quoted.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether YAML takes the text for a string without quotes, whatever the version.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 12] =
        ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan", "infinity"];
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    let ends = text.ends_with(|c: char| c.is_ascii_alphanumeric());
    let inside = text.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c));
    // `15m` is text to every YAML; `0660`, `1e3`, `0x1f` and `2025-01-01` are not to some.
    let after_figures = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number_like = after_figures.len() < text.len()
        && !after_figures.starts_with(['d', 'h', 'm', 's', 'K', 'M', 'G', 'k']);
    begins && ends && inside && !number_like && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

#[derive(Debug)]
enum Node {
    Empty,
    Bool(bool),
    Number(Num),
    Text(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Node)>),
}

impl Node {
    fn into_value(self, path: &str, positions: &mut HashMap<String, (u32, u32)>) -> Value {
        let tag = Tag::Default;
        match self {
            Self::Empty => Value::Empty(tag, Empty::Unit),
            Self::Bool(flag) => Value::Bool(tag, flag),
            Self::Number(num) => Value::Num(tag, num),
            Self::Text(text) => Value::String(tag, text),
            Self::List(items) => {
                let items = items.into_iter().enumerate().map(|(index, item)| {
                    let path = format!("{path}[{index}]");
                    remember(positions, &path, item.referenced);
                    item.value.into_value(&path, positions)
                });
                Value::Array(tag, items.collect())
            }
            Self::Map(entries) => {
                let mut dict = Dict::new();
                for (key, value) in entries {
                    let path = join(path, &key.value);
                    remember(positions, &path, key.referenced);
                    let value = value.into_value(&path, positions);
                    dict.insert(key.value, value);
                }
                Value::Dict(tag, dict)
            }
        }
    }
}

fn remember(positions: &mut HashMap<String, (u32, u32)>, path: &str, at: Location) {
    let (Ok(line), Ok(column)) = (u32::try_from(at.line()), u32::try_from(at.column())) else { return };
    if line > 0 {
        positions.insert(path.to_owned(), (line, column));
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Empty)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Empty)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
        Ok(Node::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> Value {
        parse(text).unwrap().value
    }

    #[test]
    fn reads_yaml_1_2() {
        let off = value("a: off\nb: no\nc: 0660\nd: true\ne: 12\nf: \"12\"\n");
        assert_eq!(off.find_ref("a").and_then(Value::as_str), Some("off"));
        assert_eq!(off.find_ref("b").and_then(Value::as_str), Some("no"));
        assert_eq!(off.find_ref("c").and_then(Value::as_str), Some("0660"));
        assert_eq!(off.find_ref("d").and_then(Value::to_bool), Some(true));
        assert_eq!(off.find_ref("e").and_then(Value::to_u128), Some(12));
        assert_eq!(off.find_ref("f").and_then(Value::as_str), Some("12"));
        assert!(matches!(value("# nothing\n"), Value::Empty(..)));
    }

    #[test]
    fn knows_where_each_key_stands() {
        let document = parse("domain: x\nservices:\n  - name: a\n    hosts: [one, two]\n").unwrap();
        assert_eq!(document.positions["domain"], (1, 1));
        assert_eq!(document.positions["services[0].name"], (3, 5));
        assert_eq!(document.positions["services[0].hosts[1]"], (4, 18));
    }

    #[test]
    fn syntax_errors_name_the_line() {
        for text in
            ["a: [1,\nb: 2\n", "a: 1\na: 2\n", "a: \"x\n", "a:\n\tb: 1\n", "a: *nobody\n", "? [a]\n: b\n"]
        {
            let error = parse(text).unwrap_err();
            assert!(error.at.is_some(), "{text:?}: {}", error.message);
        }
        let deep = "[".repeat(10_000);
        assert!(parse(&deep).is_err());
    }

    proptest! {
        /// What `flow` writes is read back as the very same text, whatever the characters.
        #[test]
        fn text_round_trips(text in any::<String>()) {
            let line = format!("key: {}\n", flow(&Json::String(text.clone())));
            let back = value(&line);
            prop_assert_eq!(back.find_ref("key").and_then(Value::as_str), Some(text.as_str()), "{}", line);
        }

        #[test]
        fn words_round_trip(text in "[0-9a-zA-Z_./-]{1,8}") {
            let line = format!("key: {}\n", flow(&Json::String(text.clone())));
            let back = value(&line);
            prop_assert_eq!(back.find_ref("key").and_then(Value::as_str), Some(text.as_str()), "{}", line);
        }
    }
}
