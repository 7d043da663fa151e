//! The environment: `WAKEDOCK_PROXY__LISTEN` is `proxy.listen`.

use std::collections::HashMap;

use figment::value::{Dict, Map, Tag, Value};
use figment::{Metadata, Profile, Provider};

use crate::config::keys::CONFIG;
use crate::config::service::DEFAULTS;
use crate::config::table::{join, nearest};
use crate::config::yaml;

const PREFIX: &str = "WAKEDOCK_";
/// Names the file; not a key.
const FILE: &str = "WAKEDOCK_CONFIG";
/// The command line's own: which WakeDock it talks to.
const COMMAND_LINE: [&str; 2] = ["WAKEDOCK_URL", "WAKEDOCK_TOKEN"];

/// What the environment says.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// The file that `WAKEDOCK_CONFIG` names.
    pub(super) file: Option<String>,
    values: Dict,
    /// Keys given here, and the variable that gives each.
    pub(super) variables: HashMap<String, String>,
    /// Variables of ours that mean nothing, and what they may have meant.
    pub(super) unknown: Vec<(String, String)>,
}

/// The variables of this process. What is not UTF-8 is kept as well as can be.
pub fn process_env() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// The variable that gives a key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

impl Environment {
    /// Picks out what is ours. An empty variable is as good as none.
    pub(super) fn new(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut environment = Self::default();
        let mut ours: Vec<_> =
            variables.filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty()).collect();
        ours.sort();
        for (name, value) in ours {
            environment.add(name, value);
        }
        environment
    }

    fn add(&mut self, name: String, value: String) {
        if name == FILE {
            self.file = Some(value);
            return;
        }
        if COMMAND_LINE.contains(&name.as_str()) {
            return;
        }
        let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
        let Some(list) = is_list(&key) else {
            let hint = match key.split('.').next() {
                Some("services") => "services are read from the file only".to_owned(),
                _ => match nearest(&key, all_keys().iter().map(String::as_str)) {
                    Some(near) => format!("did you mean {}", variable(near)),
                    None => "WakeDock knows no such variable".to_owned(),
                },
            };
            self.unknown.push((name, hint));
            return;
        };
        let value = if list { list_of(&value) } else { Value::String(Tag::Default, value) };
        insert(&mut self.values, &key, value);
        self.variables.insert(key, name);
    }
}

/// Whether a key is a list; `None` where it is no key at all. A refused key counts as known: the
/// table refuses it with its own reason when it is read.
fn is_list(key: &str) -> Option<bool> {
    if let Some(key) = CONFIG.key(key) {
        return Some(key.list);
    }
    if CONFIG.refusal(key).is_some() {
        return Some(false);
    }
    let option = key.strip_prefix("defaults.")?;
    if let Some(key) = DEFAULTS.key(option) {
        return Some(key.list);
    }
    let short = DEFAULTS.group(option).is_some_and(|group| group.short.is_some());
    (short || DEFAULTS.refusal(option).is_some()).then_some(false)
}

fn all_keys() -> Vec<String> {
    let options = DEFAULTS.keys().map(|key| join("defaults", key.path));
    CONFIG.keys().map(|key| key.path.to_owned()).chain(options).collect()
}

/// `a, b` or YAML's `[a, "b"]`; what is neither is left for the key's kind to refuse.
pub(super) fn list_of(text: &str) -> Value {
    if text.trim_start().starts_with('[') {
        return match yaml::parse(text) {
            Ok(document) => document.value,
            Err(_) => Value::String(Tag::Default, text.to_owned()),
        };
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    Value::Array(Tag::Default, items.map(Value::from).collect())
}

/// Puts a value below nested groups. A group already given as one word gives way.
fn insert(dict: &mut Dict, key: &str, value: Value) {
    let Some((first, rest)) = key.split_once('.') else {
        dict.insert(key.to_owned(), value);
        return;
    };
    let inner = dict.entry(first.to_owned()).or_insert_with(|| Value::Dict(Tag::Default, Dict::new()));
    if !matches!(inner, Value::Dict(..)) {
        *inner = Value::Dict(Tag::Default, Dict::new());
    }
    if let Value::Dict(_, inner) = inner {
        insert(inner, rest, value);
    }
}

impl Provider for &Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn names_become_keys() {
        let environment = read(&[
            ("WAKEDOCK_PROXY__TIMEOUTS__HEAD", "3s"),
            ("WAKEDOCK_DEFAULTS__READINESS", "tcp"),
            ("WAKEDOCK_CONFIG", "/x.yml"),
            ("WAKEDOCK_DOMAIN", ""),
            ("HOME", "/home/me"),
        ]);
        assert_eq!(environment.variables.len(), 2);
        assert_eq!(environment.variables["proxy.timeouts.head"], "WAKEDOCK_PROXY__TIMEOUTS__HEAD");
        assert_eq!(environment.file.as_deref(), Some("/x.yml"));
        assert!(environment.unknown.is_empty());
        assert_eq!(variable("proxy.timeouts.head"), "WAKEDOCK_PROXY__TIMEOUTS__HEAD");
    }

    #[test]
    fn lists_are_comma_separated_or_in_brackets() {
        for text in
            ["127.0.0.1:1, 127.0.0.1:2", "[\"127.0.0.1:1\", '127.0.0.1:2']", "127.0.0.1:1,127.0.0.1:2,"]
        {
            assert_eq!(list_of(text), Value::from(vec!["127.0.0.1:1", "127.0.0.1:2"]), "{text}");
        }
    }

    #[test]
    fn unknown_variables_get_a_hint() {
        let environment = read(&[
            ("WAKEDOCK_PROXY__LISTENN", "x"),
            ("WAKEDOCK_PORT_7080_TCP", "tcp://10.0.0.1:7080"),
            ("WAKEDOCK_SERVICES__0__NAME", "x"),
        ]);
        let hints: HashMap<_, _> = environment.unknown.into_iter().collect();
        assert_eq!(hints["WAKEDOCK_PROXY__LISTENN"], "did you mean WAKEDOCK_PROXY__LISTEN");
        assert!(hints["WAKEDOCK_SERVICES__0__NAME"].contains("file only"));
        assert_eq!(hints.len(), 3);
    }
}
