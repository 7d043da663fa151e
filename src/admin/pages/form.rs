//! Forms: what was sent, the fields of a service, and the same in YAML and as labels.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use serde_json::{Map, Value as Json};

use crate::admin::AdminState;
use crate::admin::pages::visit::pairs_of;
use crate::admin::problem::Problem;
use crate::config::sources::labels;
use crate::html::dashboard::service::{Field, Form, General, Wrong};
use crate::supervisor::catalog::FieldProblem;

/// No form of ours is longer.
const LONGEST: usize = 256 * 1024;

/// What a form sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent(Vec<(String, String)>);

impl Sent {
    /// The value of a field; empty where there is none.
    pub(super) fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(own, _)| own == key)
    }
}

impl Sent {
    /// As if it had been sent.
    pub(super) fn of(pairs: Vec<(&str, String)>) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

impl FromRequest<AdminState> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &AdminState) -> Result<Self, Problem> {
        let bytes = to_bytes(request.into_body(), LONGEST).await.map_err(|_| {
            let title = "The form is too long, or broke off";
            Problem::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, "too-large", title)
        })?;
        Ok(Self(pairs_of(&String::from_utf8_lossy(&bytes))))
    }
}

/// The keys that are asked for first, and those below "all other options". A select has its words.
const MAIN: &[(&str, &[&str])] = &[
    ("hosts", &[]),
    ("container", &[]),
    ("port", &[]),
    ("group", &[]),
    ("icon", &[]),
    ("idle.stop_after", &[]),
    ("idle.pause_after", &[]),
    ("wait", &["", "auto", "hold", "page"]),
    ("readiness.type", &["", "http", "tcp", "docker", "none"]),
    ("readiness.path", &[]),
];
const MORE: &[(&str, &[&str])] = &[
    ("owners", &[]),
    ("path", &[]),
    ("address", &[]),
    ("protocol", &["", "auto", "http1", "h2c"]),
    ("page_after", &[]),
    ("wake_timeout", &[]),
    ("hold_timeout", &[]),
    ("max_held", &[]),
    ("readiness.status", &[]),
    ("idle.min_awake", &[]),
    ("idle.silent_stream", &[]),
    ("idle.stop_timeout", &[]),
    ("waiting_page.title", &[]),
    ("waiting_page.message", &[]),
    ("waiting_page.theme", &["", "auto", "light", "dark"]),
    ("waiting_page.show_logs", &["", "true", "false"]),
];
const LISTS: &[&str] = &["hosts", "owners"];
const NUMBERS: &[&str] = &["port", "max_held"];
const FLAGS: &[&str] = &["waiting_page.show_logs"];

/// What is known of a field beside its key.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) value: String,
    pub(super) default: String,
    pub(super) fixed: bool,
    pub(super) origin: Option<&'static str>,
    /// What is saved, where that is something else than what was typed.
    pub(super) now: Option<String>,
}

/// A form about a service: `name` is asked for where it is given.
pub(super) fn form(name: Option<&str>, known: impl Fn(&str) -> Known, problems: &[FieldProblem]) -> Form {
    let wrong = |key: &str| {
        let problem = problems.iter().find(|problem| problem.key == key)?;
        Some(Wrong { reason: problem.reason.clone(), mend: problem.mend.clone() })
    };
    let field = |label: bool, (key, options): &(&str, &[&str])| {
        let Known { value, default, fixed, origin, now } = known(key);
        Field {
            key: (*key).to_owned(),
            label,
            value,
            default,
            // What cannot be changed is shown as it is.
            options: if fixed { Vec::new() } else { options.iter().map(|word| (*word).to_owned()).collect() },
            required: *key == "container" && name.is_some(),
            fixed,
            origin,
            now,
            error: wrong(key),
        }
    };
    let mut main: Vec<Field> = MAIN.iter().map(|row| field(true, row)).collect();
    if let Some(name) = name {
        let own =
            Field { key: "name".into(), label: true, value: name.into(), required: true, ..Field::default() };
        main.insert(0, Field { error: wrong("name"), ..own });
    }
    let more: Vec<Field> = MORE.iter().map(|row| field(false, row)).collect();
    let shown = |key: &str| main.iter().chain(&more).any(|field| field.key == key);
    let general = problems.iter().filter(|problem| !shown(&problem.key));
    Form {
        more_open: more.iter().any(|field| field.error.is_some()),
        general: general
            .map(|problem| General {
                key: problem.key.clone(),
                reason: problem.reason.clone(),
                mend: problem.mend.clone(),
            })
            .collect(),
        errors: problems.len(),
        main,
        more,
    }
}

/// Every key that a form about a service has.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    MAIN.iter().chain(MORE).map(|(key, _)| *key)
}

/// What was typed into a field, as it stands in YAML; `None`: nothing.
pub(super) fn typed(key: &str, text: &str) -> Option<Json> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if LISTS.contains(&key) {
        let parts = text.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty());
        return Some(parts.collect::<Vec<_>>().into());
    }
    let number = NUMBERS.contains(&key).then(|| text.parse::<u64>().ok()).flatten();
    let flag = FLAGS.contains(&key).then(|| text.parse::<bool>().ok()).flatten();
    Some(number.map(Json::from).or(flag.map(Json::from)).unwrap_or_else(|| text.into()))
}

/// A value as it is shown in a field.
pub(super) fn shown(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Array(parts) => parts.iter().map(shown).collect::<Vec<_>>().join(", "),
        Json::Bool(_) | Json::Number(_) | Json::Object(_) => value.to_string(),
    }
}

/// Keys by their paths, as they are nested in YAML.
pub(super) fn nested<'a>(keys: impl Iterator<Item = (&'a str, Json)>) -> Json {
    let mut root = Map::new();
    for (key, value) in keys {
        match key.split_once('.') {
            None => drop(root.insert(key.to_owned(), value)),
            Some((group, leaf)) => {
                let group = root.entry(group).or_insert_with(|| Json::Object(Map::new()));
                if let Json::Object(group) = group {
                    group.insert(leaf.to_owned(), value);
                }
            }
        }
    }
    Json::Object(root)
}

/// A service as it stands in the configuration file.
pub(super) fn yaml(name: &str, keys: &Json) -> String {
    let mut text = format!("services:\n  - name: {}\n", scalar(&Json::from(name)));
    // As somebody would write it: what leads to it first, by the order of the fields.
    let place = |key: &str| keys_of_yaml().position(|own| own == key).unwrap_or(usize::MAX);
    let mut parts: Vec<_> = keys.as_object().into_iter().flatten().collect();
    parts.sort_by_key(|(key, _)| place(key));
    for (key, value) in parts {
        text.push_str(&format!("    {key}: {}\n", scalar(value)));
    }
    text
}

/// The keys at the top, in the order of the fields.
fn keys_of_yaml() -> impl Iterator<Item = &'static str> {
    keys().map(|key| key.split('.').next().unwrap_or(key))
}

fn scalar(value: &Json) -> String {
    match value {
        Json::Array(parts) => format!("[{}]", parts.iter().map(scalar).collect::<Vec<_>>().join(", ")),
        Json::Object(group) => {
            let pairs: Vec<_> =
                group.iter().map(|(key, value)| format!("{key}: {}", scalar(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Json::String(text) if is_plain(text) => text.clone(),
        // JSON is YAML.
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.to_string(),
    }
}

/// Whether YAML, of any version, reads the text as this very text without quotes.
fn is_plain(text: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    let word = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let special =
        ["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&text.to_lowercase().as_str());
    let unit = text.ends_with(['s', 'm', 'h', 'd']) && text.starts_with(|first: char| first.is_ascii_digit());
    !text.is_empty() && text.bytes().all(safe) && ((word && !special) || unit)
}

/// The same as labels of the container; `None`: labels cannot say it.
pub(super) fn labels(name: &str, keys: impl Iterator<Item = (&'static str, Json)>) -> Option<String> {
    let mut text = "wakedock.enable=true\n".to_owned();
    for (key, value) in keys {
        if key == "container" {
            // Without a name the container's own is the service's.
            if !name.is_empty() && value != name {
                text.push_str(&format!("wakedock.name={name}\n"));
            }
            continue;
        }
        text.push_str(&format!("{}={}\n", labels::name_of(key)?, shown(&value).replace(", ", ",")));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_typed_becomes_what_is_written() {
        assert_eq!(typed("port", " 80 "), Some(json!(80)));
        assert_eq!(typed("port", "eighty"), Some(json!("eighty")), "refused later, with a mend");
        assert_eq!(
            typed("hosts", "a.example.com, b.example.com"),
            Some(json!(["a.example.com", "b.example.com"]))
        );
        assert_eq!(typed("idle.stop_after", "15"), Some(json!("15")));
        assert_eq!(typed("waiting_page.show_logs", "true"), Some(json!(true)));
        assert_eq!(typed("group", "  "), None);
        assert_eq!(shown(&json!(["a", "b"])), "a, b");
    }

    #[test]
    fn yaml_is_read_as_what_was_meant() {
        let keys = [
            ("hosts", json!(["a.example.com", "*.b.example.com"])),
            ("port", json!(80)),
            ("group", json!("no")),
            ("icon", json!("🎬")),
            ("idle.stop_after", json!("15m")),
            ("idle.pause_after", json!("never")),
            ("readiness.path", json!("/a?b=#c")),
        ];
        let text = yaml("1e5", &nested(keys.into_iter()));
        let expected = "services:\n  - name: \"1e5\"\n    hosts: [a.example.com, \"*.b.example.com\"]\n    port: 80\n    group: \"no\"\n    icon: \"🎬\"\n    idle: { pause_after: never, stop_after: 15m }\n    readiness: { path: \"/a?b=#c\" }\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn labels_say_the_same() {
        let keys = [
            ("container", json!("a")),
            ("hosts", json!(["a.example.com", "b.example.com"])),
            ("idle.stop_after", json!("15m")),
            ("readiness.type", json!("http")),
            ("readiness.path", json!("/health")),
        ];
        let text = labels("a", keys.clone().into_iter()).unwrap();
        let named = labels("b", keys.into_iter()).unwrap();
        assert!(named.starts_with("wakedock.enable=true\nwakedock.name=b\n"), "{named}");
        assert_eq!(
            text,
            "wakedock.enable=true\nwakedock.host=a.example.com,b.example.com\nwakedock.stop-after=15m\nwakedock.readiness=http\nwakedock.readiness-path=/health\n"
        );
        assert_eq!(labels("", [("owners", json!(["anna"]))].into_iter()), None);
    }
}
