//! What one source says, key by key.

use figment::value::{Dict, Num, Tag, Value};
use serde_json::{Map, Number, Value as Json};

use crate::config::paths::join;
use crate::config::report::Report;
use crate::config::service::{Draft, SERVICE};
use crate::config::table::Table;
use crate::domain::service::ServiceSpec;

/// The keys of a service that one source gives, each with a value that was read without a problem.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layer(Vec<(&'static str, Json)>);

impl Layer {
    /// The keys, by their whole path, and their values, in the order of the reference.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Json)> + Clone {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    /// The value of a key, by its whole path.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.iter().find(|(said, _)| *said == key).map(|(_, value)| value)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys as they stand in a file: groups as objects.
    #[must_use]
    pub fn nested(&self) -> Json {
        let mut root = Map::new();
        for (key, value) in &self.0 {
            let mut levels: Vec<&str> = key.split('.').collect();
            let Some(last) = levels.pop() else { continue };
            let mut at = &mut root;
            for level in levels {
                let group = at.entry(level).or_insert_with(|| Json::Object(Map::new()));
                let Json::Object(group) = group else { unreachable!("a key is no group") };
                at = group;
            }
            at.insert(last.to_owned(), value.clone());
        }
        Json::Object(root)
    }

    /// Of values that were read without a problem, each under the whole path of its key.
    pub(super) fn of(said: Vec<(&'static str, Value)>) -> Self {
        let value = |path| said.iter().find(|(said, _)| *said == path).map(|(_, value)| to_json(value));
        Self(SERVICE.keys().filter_map(|key| Some((key.path, value(key.path)?))).collect())
    }

    /// Picks out what `value`, which was read at `base` with this report, gives without a problem.
    pub(in crate::config) fn given(table: &Table<Draft>, base: &str, value: &Value, report: &Report) -> Self {
        let said = table.keys().filter_map(|key| {
            let written = find(table, value, key.path)?;
            let whole = join(base, key.path);
            (!report.has_failed(&[&whole])).then(|| (key.path, to_json(written)))
        });
        Self(said.collect())
    }
}

/// The value of a key in a mapping; a group may be given as the one word it is short for.
fn find<'a>(table: &Table<Draft>, value: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(written) = value.find_ref(path) {
        return Some(written);
    }
    let short = table.groups.iter().find(|group| group.short == Some(path))?;
    value.find_ref(short.path).filter(|written| !matches!(written, Value::Dict(..)))
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::String(_, text) => Json::String(text.clone()),
        Value::Char(_, c) => Json::String(c.to_string()),
        Value::Bool(_, flag) => Json::Bool(*flag),
        Value::Num(_, num) => number(*num),
        Value::Empty(..) => Json::Null,
        Value::Array(_, items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Dict(_, dict) => {
            Json::Object(dict.iter().map(|(key, value)| (key.clone(), to_json(value))).collect())
        }
    }
}

fn number(num: Num) -> Json {
    let whole =
        num.to_u128().and_then(Number::from_u128).or_else(|| num.to_i128().and_then(Number::from_i128));
    let number = whole.or_else(|| num.to_f64().and_then(Number::from_f64));
    number.map_or(Json::Null, Json::Number)
}

/// What the table of keys reads.
pub(super) fn from_json(value: &Json) -> Value {
    match value {
        Json::Null => Value::Empty(Tag::Default, figment::value::Empty::None),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(n), ..) => Value::from(n),
            (None, Some(n), _) => Value::from(n),
            (None, None, n) => Value::from(n.unwrap_or(0.0)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(Tag::Default, items.iter().map(from_json).collect()),
        Json::Object(map) => {
            let dict: Dict = map.iter().map(|(key, value)| (key.clone(), from_json(value))).collect();
            Value::Dict(Tag::Default, dict)
        }
    }
}

/// Every option of a service, in the order of the reference; null: not set.
#[must_use]
pub fn values(spec: &ServiceSpec) -> Vec<(&'static str, Json)> {
    let draft = Draft::of(spec);
    SERVICE.keys().map(|key| (key.path, (key.show)(&draft))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    #[test]
    fn what_was_read_without_a_problem_is_said() {
        let text =
            "{ name: a, container: b, readiness: tcp, idle: { stop_after: 5m, pause_after: 9 }, port: 80 }";
        let value = yaml::parse(text).unwrap().value;
        let mut report = Report::default();
        Draft::new().read(&SERVICE, "services[0]", &value, &mut report);
        let layer = Layer::given(&SERVICE, "services[0]", &value, &report);
        let nested = serde_json::json!({
            "name": "a", "container": "b", "port": 80,
            "readiness": { "type": "tcp" }, "idle": { "stop_after": "5m" },
        });
        assert_eq!(layer.nested(), nested);
        assert_eq!(layer.get("idle.stop_after"), Some(&serde_json::json!("5m")));
        assert_eq!(layer.get("idle.pause_after"), None, "it was refused");
    }
}
