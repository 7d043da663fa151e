//! The table of keys: the single truth that reading, schema, example and reference are made from.

use figment::value::Value;
use serde_json::Value as Json;

use crate::config::kind::noun;
use crate::config::paths::{join, nearest};
use crate::config::problem::{Fault, Faults};
use crate::config::report::Report;

/// One key that people may write, and the field of `T` that it fills.
pub(super) struct Key<T: 'static> {
    /// With dots between the levels: `proxy.timeouts.head`.
    pub(super) path: &'static str,
    pub(super) doc: &'static str,
    /// For a key without a default: what the commented line of the example shows.
    pub(super) example: Option<&'static str>,
    /// Whether the environment may give it comma-separated.
    pub(super) list: bool,
    /// Shown to nobody; the environment may name a file with it.
    pub(super) secret: bool,
    pub(super) read: fn(&mut T, &Value) -> Result<(), Faults>,
    /// As YAML; null: not set.
    pub(super) show: fn(&T) -> Json,
    pub(super) schema: fn() -> Json,
    pub(super) describe: fn() -> String,
}

/// A key: its path is the field's, unless it is named before `=>`.
macro_rules! key {
    ($first:ident $(. $rest:ident)*, $kind:ty, $doc:expr $(, example $example:literal)?) => {
        key!(concat!(stringify!($first) $(, ".", stringify!($rest))*) => $first $(. $rest)*, $kind, $doc $(, example $example)?)
    };
    ($path:expr => $first:ident $(. $rest:ident)*, $kind:ty, $doc:expr $(, example $example:literal)?) => {
        $crate::config::table::Key {
            path: $path,
            doc: $doc,
            example: { let example: &[&str] = &[$($example)?]; example.first().copied() },
            list: <$kind as $crate::config::kind::Kind>::LIST,
            secret: <$kind as $crate::config::kind::Kind>::SECRET,
            read: |target, value| {
                target.$first $(.$rest)* = <$kind as $crate::config::kind::Kind>::read(value)?;
                Ok(())
            },
            show: |target| <$kind as $crate::config::kind::Kind>::show(&target.$first $(.$rest)*),
            schema: <$kind as $crate::config::kind::Kind>::schema,
            describe: <$kind as $crate::config::kind::Kind>::describe,
        }
    };
}
pub(super) use key;

/// A key that is known and refused, with a reason better than "unknown".
pub(super) struct Refused {
    pub(super) path: &'static str,
    pub(super) reason: &'static str,
    pub(super) mend: &'static str,
}

/// A key that belongs to work which is not done yet.
pub(super) const fn later(path: &'static str) -> Refused {
    Refused {
        path,
        reason: "belongs to work that is not done yet",
        mend: "take it out: this version of WakeDock cannot do it",
    }
}

/// A group of keys, by its path.
pub(super) struct Group {
    pub(super) path: &'static str,
    pub(super) doc: &'static str,
    /// The key that a single word instead of the group means: `readiness: tcp`.
    pub(super) short: Option<&'static str>,
}

impl Group {
    pub(super) fn has_short(&self) -> bool {
        self.short.is_some()
    }
}

/// Everything that may stand in one mapping and below it.
pub(super) struct Table<T: 'static> {
    /// In parts, so that `defaults` and `services` share what they have in common.
    pub(super) keys: &'static [&'static [Key<T>]],
    pub(super) groups: &'static [Group],
    pub(super) refused: &'static [&'static [Refused]],
    /// Keys at the top that somebody else reads.
    pub(super) elsewhere: &'static [&'static str],
}

impl<T> Table<T> {
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Key<T>> + use<T> {
        self.keys.iter().flat_map(|part| part.iter())
    }

    pub(super) fn key(&self, path: &str) -> Option<&'static Key<T>> {
        self.keys().find(|key| key.path == path)
    }

    pub(super) fn group(&self, path: &str) -> Option<&'static Group> {
        self.groups.iter().find(|group| group.path == path)
    }

    pub(super) fn refusal(&self, path: &str) -> Option<&'static Refused> {
        self.refused.iter().flat_map(|part| part.iter()).find(|refused| refused.path == path)
    }

    /// Reads a mapping that stands at `base` into `target`. What is wrong goes to the report and
    /// leaves the target as it was.
    pub(super) fn read(&self, base: &str, value: &Value, target: &mut T, report: &mut Report) {
        self.read_group(base, "", value, target, report);
    }

    fn read_group(&self, base: &str, path: &str, value: &Value, target: &mut T, report: &mut Report) {
        let here = join(base, path);
        let dict = match value {
            Value::Dict(_, dict) => dict,
            Value::Empty(..) => return report.problem(&here, None, no_value()),
            other => {
                let reason = format!("is {}, and a group of keys is wanted", noun(other));
                let below = self.children(path).next().unwrap_or("key");
                let mend = format!("write its keys below it, indented, like `{below}: …`");
                return report.problem(&here, Some(other), Fault::new(reason, mend));
            }
        };
        for (name, value) in dict {
            let inner = join(path, name);
            let whole = join(base, &inner);
            if path.is_empty() && self.elsewhere.contains(&name.as_str()) {
                continue;
            }
            if name.contains('.') {
                let nested = name.replace('.', ": { ");
                let fault =
                    Fault::new("holds a dot", format!("write its parts as levels, like `{nested}: …`"));
                report.problem(&whole, Some(value), fault);
            } else if let Some(key) = self.key(&inner) {
                self.read_key(key, &whole, value, target, report);
            } else if let Some(group) = self.group(&inner) {
                match (group.short.and_then(|short| self.key(short)), value) {
                    (Some(short), Value::String(..) | Value::Bool(..) | Value::Num(..)) => {
                        self.read_key(short, &whole, value, target, report);
                    }
                    _ => self.read_group(base, &inner, value, target, report),
                }
            } else if let Some(refused) = self.refusal(&inner) {
                report.problem(&whole, Some(value), Fault::new(refused.reason, refused.mend));
            } else {
                // A slip in the name of a secret must not tell it, however it is misspelt.
                let group = |key: &Key<T>| key.path.rsplit_once('.').map_or("", |(group, _)| group);
                let is_near_one = self.keys().any(|key| key.secret && group(key) == path);
                let shown = (!is_near_one && !name.contains("secret")).then_some(value);
                report.problem(&whole, shown, self.unknown(path, name));
            }
        }
    }

    fn read_key(&self, key: &Key<T>, whole: &str, value: &Value, target: &mut T, report: &mut Report) {
        report.given(whole);
        if matches!(value, Value::Empty(..)) {
            return report.problem(whole, None, no_value());
        }
        if let Err(faults) = (key.read)(target, value) {
            for fault in faults.0 {
                report.problem(whole, (!key.secret).then_some(value), fault);
            }
        }
    }

    /// The names that may stand directly below `path`.
    pub(super) fn children<'a>(&self, path: &'a str) -> impl Iterator<Item = &'static str> + use<'a, T> {
        let elsewhere = if path.is_empty() { self.elsewhere } else { &[] };
        let keys = self.keys().map(|key| key.path);
        let below = keys.filter_map(move |key| {
            let rest = if path.is_empty() { key } else { key.strip_prefix(path)?.strip_prefix('.')? };
            rest.split('.').next()
        });
        below.chain(elsewhere.iter().copied())
    }

    fn unknown(&self, path: &str, name: &str) -> Fault {
        let reason = "is not a key that WakeDock knows";
        // Perhaps only the level is wrong.
        if let Some(key) = self.keys().find(|key| key.path.rsplit('.').next() == Some(name)) {
            return Fault::new(reason, format!("write it as `{}`, or take it out", key.path));
        }
        let refused = self.refused.iter().flat_map(|part| part.iter()).filter_map(|refused| {
            let (level, last) = refused.path.rsplit_once('.').unwrap_or(("", refused.path));
            (level == path).then_some(last)
        });
        if let Some(near) = nearest(name, self.children(path).chain(refused)) {
            return match self.refusal(&join(path, near)) {
                Some(refused) => Fault::new(reason, format!("take it out: even `{near}` {}", refused.reason)),
                None => Fault::new(reason, format!("write `{near}`, or take it out")),
            };
        }
        let mut known: Vec<_> = self.children(path).collect();
        known.dedup();
        Fault::new(reason, format!("take it out; known here are {}", known.join(", ")))
    }
}

fn no_value() -> Fault {
    Fault::new("has no value", "give it one, or take the key out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_was_probably_meant() {
        let known = ["hosts", "container", "wake_timeout", "idle"];
        assert_eq!(nearest("host", known.into_iter()), Some("hosts"));
        assert_eq!(nearest("wake-timeout", known.into_iter()), Some("wake_timeout"));
        assert_eq!(nearest("wakeTimeout", known.into_iter()), Some("wake_timeout"));
        assert_eq!(nearest("zzz", known.into_iter()), None);
    }
}
