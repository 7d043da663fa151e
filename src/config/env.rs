//! The environment: `WAKEDOCK_PROXY__LISTEN` is `proxy.listen`.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use figment::value::{Dict, Map, Tag, Value};
use figment::{Metadata, Profile, Provider};

use crate::config::keys::CONFIG;
use crate::config::paths::{join, nearest};
use crate::config::problem::Fault;
use crate::config::service::DEFAULTS;

use crate::config::yaml;

const PREFIX: &str = "WAKEDOCK_";
/// Names the file; not a key.
const FILE: &str = "WAKEDOCK_CONFIG";
/// The command line's own: which WakeDock it talks to.
const COMMAND_LINE: [&str; 2] = ["WAKEDOCK_URL", "WAKEDOCK_TOKEN"];
/// More than any secret has.
const LONGEST_SECRET: u64 = 64 << 10;

/// What the environment says.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// The file that `WAKEDOCK_CONFIG` names.
    pub(super) file: Option<String>,
    values: Dict,
    /// Keys given here, and the variable that gives each.
    pub(super) variables: HashMap<String, String>,
    /// Keys whose value could not be had, and why.
    pub(super) faults: Vec<(String, Fault)>,
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
        let secret = key.strip_suffix("_file").filter(|key| CONFIG.key(key).is_some_and(|key| key.secret));
        if let Some(key) = secret {
            return self.add_secret(key.to_owned(), name, Path::new(&value));
        }
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

impl Environment {
    /// A secret from the file that a variable names.
    fn add_secret(&mut self, key: String, name: String, file: &Path) {
        // Sorted by name, so that the variable without `_FILE` has come by.
        if let Some(other) = self.variables.get(&key) {
            let fault = Fault::new(format!("is given twice, by {other} and {name}"), "take one of them out");
            return self.faults.push((key, fault));
        }
        let mut text = String::new();
        let read = File::open(file).and_then(|file| file.take(LONGEST_SECRET).read_to_string(&mut text));
        match read {
            Ok(_) => insert(&mut self.values, &key, Value::from(text.trim_end_matches(['\r', '\n']))),
            Err(error) => {
                let reason = format!("is said to stand in {}, which cannot be read: {error}", file.display());
                self.faults.push((key.clone(), Fault::new(reason, "name a file that WakeDock may read")));
            }
        }
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
    fn a_secret_may_stand_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "hunter2\n").unwrap();
        let (variable, file) = ("WAKEDOCK_ADMIN__OIDC__CLIENT_SECRET_FILE", file.display().to_string());
        let environment = read(&[(variable, &file)]);
        let value = Value::from(environment.values).find_ref("admin.oidc.client_secret").cloned();
        assert_eq!(value.unwrap().as_str(), Some("hunter2"));
        assert_eq!(environment.variables["admin.oidc.client_secret"], variable);

        let both = read(&[("WAKEDOCK_ADMIN__OIDC__CLIENT_SECRET", "a"), (variable, &file)]);
        assert!(both.faults[0].1.reason.contains("twice"));
        let missing = read(&[(variable, "/nowhere/at/all")]);
        assert!(missing.faults[0].1.reason.contains("/nowhere/at/all"));
        // Only secrets have such a variable.
        let other = read(&[("WAKEDOCK_ADMIN__OIDC__ISSUER_FILE", &file)]);
        assert_eq!(other.unknown.len(), 1);
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
