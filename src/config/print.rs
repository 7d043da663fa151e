//! Configuration to YAML: the effective one, and the commented example.

use serde_json::Value as Json;

use crate::config::Config;
use crate::config::keys::CONFIG;
use crate::config::service::{Draft, SERVICE};
use crate::config::table::{Key, Table};
use crate::config::yaml::flow;

/// Width at which comments are broken.
const WIDTH: usize = 100;

/// What a key is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Only what is set.
    Bare,
    /// Every key with its documentation; what is not set is commented out.
    Commented,
}

/// The effective configuration as YAML that reads back to the same one.
#[must_use]
pub fn effective(config: &Config) -> String {
    let mut text = block(&CONFIG, config, Style::Bare, 0);
    if config.services.is_empty() {
        text.push_str("services: []\n");
    } else {
        text.push_str("services:\n");
    }
    for service in &config.services {
        text.push_str(&item(&Draft::of(service), Style::Bare));
    }
    text
}

/// Every key of the settings with its documentation.
pub(super) fn commented(config: &Config) -> String {
    block(&CONFIG, config, Style::Commented, 0)
}

/// One entry of `services`, with the documentation of every key.
pub(super) fn commented_service(draft: &Draft) -> String {
    item(draft, Style::Commented)
}

/// One entry of `services`, only what differs from `usual` and what makes it a service.
pub(super) fn short_service(draft: &Draft, usual: &Draft) -> String {
    let identity = ["name", "hosts", "container"];
    let set = SERVICE.keys().filter(|key| {
        let value = (key.show)(draft);
        !value.is_null() && (identity.contains(&key.path) || value != (key.show)(usual))
    });
    dashed(&lines(&SERVICE, draft, set, Style::Bare, 4))
}

fn item(draft: &Draft, style: Style) -> String {
    dashed(&block(&SERVICE, draft, style, 4))
}

/// Makes a block that is indented by four a list element: its first key gets the dash.
fn dashed(block: &str) -> String {
    let mut text = String::new();
    let mut marked = false;
    for line in block.lines() {
        match line.strip_prefix("    ") {
            Some(rest) if !marked && !rest.starts_with('#') => {
                marked = true;
                text.push_str("  - ");
                text.push_str(rest);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn block<T>(table: &Table<T>, target: &T, style: Style, indent: usize) -> String {
    let keys = table.keys().filter(|key| style == Style::Commented || !(key.show)(target).is_null());
    lines(table, target, keys, style, indent)
}

fn lines<T: 'static>(
    table: &Table<T>,
    target: &T,
    keys: impl Iterator<Item = &'static Key<T>>,
    style: Style,
    indent: usize,
) -> String {
    let mut text = String::new();
    let mut open: Vec<&str> = Vec::new();
    for key in keys {
        let mut levels: Vec<&str> = key.path.split('.').collect();
        let Some(name) = levels.pop() else { continue };
        let common = open.iter().zip(&levels).take_while(|(one, other)| one == other).count();
        for depth in common..levels.len() {
            let path = levels[..=depth].join(".");
            let margin = " ".repeat(indent + 2 * depth);
            if style == Style::Commented {
                if depth == 0 && indent == 0 && !text.is_empty() {
                    text.push('\n');
                }
                if let Some(group) = table.group(&path) {
                    comment(&mut text, &margin, group.doc);
                }
            }
            let mark = if style == Style::Commented && nothing_set(table, target, &path) { "# " } else { "" };
            text.push_str(&format!("{margin}{mark}{}:\n", levels[depth]));
        }
        let margin = " ".repeat(indent + 2 * levels.len());
        if style == Style::Commented {
            comment(&mut text, &margin, key.doc);
        }
        match ((key.show)(target), key.example) {
            (Json::Null, Some(example)) => text.push_str(&format!("{margin}# {name}: {example}\n")),
            (Json::Null, None) => {}
            (value, _) => text.push_str(&format!("{margin}{name}: {}\n", flow(&value))),
        }
        open = levels;
    }
    text
}

fn nothing_set<T>(table: &Table<T>, target: &T, group: &str) -> bool {
    let below = |key: &&Key<T>| key.path.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'));
    table.keys().filter(below).all(|key| (key.show)(target).is_null())
}

/// Writes a comment, broken between words. Two marks tell it from a key that is commented out.
pub(super) fn comment(text: &mut String, margin: &str, doc: &str) {
    let mut line = String::new();
    for word in doc.split_whitespace() {
        if !line.is_empty() && margin.len() + 3 + line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&format!("{margin}## {line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(&format!("{margin}## {line}\n"));
}
