//! The labels of one container: what they say of a service, and what is wrong with them.
//!
//! They are written by whoever makes containers: whatever stands in them is read or refused, and a
//! refusal concerns this one container.

use std::collections::BTreeMap;

use figment::value::Value;

use crate::config::env::list_of;
use crate::config::kind::{is_hidden, service_name_like};
use crate::config::paths::nearest;
use crate::config::problem::Fault;
use crate::config::report::shorten;
use crate::config::service::{Draft, SERVICE};
use crate::config::sources::names::{self, PREFIX};
use crate::config::sources::{Layer, SourceProblem};
use crate::domain::name::ServiceName;
use crate::domain::words::Origin;

const PROJECT: &str = "com.docker.compose.project";
const SERVICE_LABEL: &str = "com.docker.compose.service";
/// A container of `docker compose run`, which has the labels of the service it stands in for.
const ONE_OFF: &str = "com.docker.compose.oneoff";
const HOMEPAGE_GROUP: &str = "homepage.group";
const HOMEPAGE_ICON: &str = "homepage.icon";

/// The longest value that is read, in bytes.
pub const LONGEST_VALUE: usize = 4096;
/// So many labels of WakeDock's are read of one container.
pub const MOST_LABELS: usize = 128;
/// No reason and no mend is longer, in characters.
const LONGEST_SENTENCE: usize = 400;
/// So many problems are told of one container.
const MOST_PROBLEMS: usize = 20;

/// Whether a label means something to WakeDock. Others need not be kept.
#[must_use]
pub fn is_relevant(label: &str) -> bool {
    label.starts_with(PREFIX)
        || [PROJECT, SERVICE_LABEL, ONE_OFF, HOMEPAGE_GROUP, HOMEPAGE_ICON].contains(&label)
}

/// The name of the label that gives a key, as it is best written; `None`: no label gives it.
#[must_use]
pub fn name_of(key: &str) -> Option<String> {
    if names::NOT_BY_LABEL.iter().any(|(not, _, _)| *not == key) {
        return None;
    }
    SERVICE.key(key)?;
    names::names(key).first().map(|name| format!("{PREFIX}{name}"))
}

/// What the labels of a container say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSource {
    /// `None`: none that can be used.
    pub name: Option<ServiceName>,
    /// `wakedock.name` says it.
    pub is_named: bool,
    pub layer: Layer,
    /// Keys without which it is no service (its name, hosts, path or port), and whose label cannot be
    /// used.
    pub broken: Vec<&'static str>,
    pub problems: Vec<SourceProblem>,
    /// Compose's project and service.
    pub compose: Option<(String, String)>,
}

impl LabelSource {
    /// Whether the labels make no service, with what the API says beside them.
    pub(super) fn breaks(&self, api: Option<&Layer>) -> bool {
        self.broken.iter().any(|key| api.is_none_or(|api| api.get(key).is_none()))
    }
}

/// What a container's labels make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Labelled {
    /// It does not ask for WakeDock.
    Not,
    /// It may want to, but does not say so as it must be said.
    Unclear(SourceProblem),
    Asks(LabelSource),
}

/// Reads the labels of a container.
#[must_use]
pub fn read(container: &str, labels: &BTreeMap<String, String>) -> Labelled {
    let get = |label: &str| labels.get(label).map(|text| text.trim());
    let one_off = get(ONE_OFF).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let enable = format!("{PREFIX}{}", names::ENABLE);
    match get(&enable) {
        None | Some("false") => return Labelled::Not,
        _ if one_off => return Labelled::Not,
        Some("true") => {}
        Some(other) => {
            let fault = Fault::new("is neither `true` nor `false`", "write `true`");
            return Labelled::Unclear(problem(&enable, Some(other), fault));
        }
    }
    let mut reading = Reading::default();
    reading.read_all(labels);
    reading.add_name(container, get(PROJECT), get(SERVICE_LABEL));
    let both = get(PROJECT).zip(get(SERVICE_LABEL));
    reading.source.compose = both.map(|(project, service)| (project.to_owned(), service.to_owned()));
    reading.fall_back("group", get(HOMEPAGE_GROUP));
    reading.fall_back("group", get(PROJECT));
    reading.fall_back("icon", get(HOMEPAGE_ICON));
    Labelled::Asks(reading.finish())
}

#[derive(Default)]
struct Reading {
    source: LabelSource,
    said: Vec<(&'static str, Value)>,
    /// The label that gave a key.
    given: BTreeMap<&'static str, String>,
}

impl Reading {
    fn read_all(&mut self, labels: &BTreeMap<String, String>) {
        let own = labels.range(PREFIX.to_owned()..).take_while(|(label, _)| label.starts_with(PREFIX));
        for (count, (label, text)) in own.enumerate() {
            if count >= MOST_LABELS {
                let fault = Fault::new(
                    format!("is more than the {MOST_LABELS} labels that are read of one container"),
                    "take some out",
                );
                return self.complain(label, None, fault);
            }
            let name = &label[PREFIX.len()..];
            if name != names::ENABLE {
                self.read_one(label, name, text);
            }
        }
    }

    fn read_one(&mut self, label: &str, name: &str, text: &str) {
        let Some(key) = names::key(name) else { return self.complain(label, Some(text), unknown(name)) };
        if let Some((_, reason, mend)) = names::NOT_BY_LABEL.iter().find(|(path, ..)| *path == key.path) {
            return self.complain(label, Some(text), Fault::new(*reason, *mend));
        }
        if text.len() > LONGEST_VALUE {
            let fault = Fault::new(format!("is longer than {LONGEST_VALUE} bytes"), "shorten it");
            return self.refuse(key.path, label, Some(text), fault);
        }
        if let Some(first) = self.given.get(key.path) {
            let fault = Fault::new(format!("says what `{first}` says already"), "take one of the two out");
            return self.complain(label, Some(text), fault);
        }
        self.given.insert(key.path, label.to_owned());
        let value = if key.list { list_of(text) } else { Value::from(text.trim()) };
        match (key.read)(&mut Draft::new(), &value) {
            Ok(()) => self.said.push((key.path, value)),
            Err(faults) => {
                for fault in faults.0 {
                    self.refuse(key.path, label, Some(text), fault);
                }
            }
        }
    }

    /// A value that cannot be used: most options fall back to their default.
    fn refuse(&mut self, path: &'static str, label: &str, text: Option<&str>, fault: Fault) {
        if ["name", "hosts", "path", "port"].contains(&path) && !self.source.broken.contains(&path) {
            self.source.broken.push(path);
        }
        self.complain(label, text, fault);
    }

    fn complain(&mut self, label: &str, text: Option<&str>, fault: Fault) {
        if self.source.problems.len() < MOST_PROBLEMS {
            self.source.problems.push(problem(label, text, fault));
        }
    }

    /// The name that the labels say, or that the container has by itself.
    fn add_name(&mut self, container: &str, project: Option<&str>, service: Option<&str>) {
        let name = self.said.iter().find(|(path, _)| *path == "name").map(|(_, value)| value.clone());
        self.said.retain(|(path, _)| *path != "name");
        if self.given.contains_key("name") {
            self.source.is_named = true;
            self.source.name = name.and_then(|name| ServiceName::parse(name.as_str()?).ok());
            return;
        }
        let own = match (project, service) {
            (Some(project), Some(service)) if !project.is_empty() && !service.is_empty() => {
                format!("{project}-{service}")
            }
            _ => container.to_owned(),
        };
        self.source.name = ServiceName::parse(&service_name_like(&own)).ok();
        if self.source.name.is_none() {
            let label = format!("{PREFIX}name");
            let fault = Fault::new(
                "is missing, and the container's own name makes none",
                "give the service a name, like `cloud`",
            );
            self.refuse("name", &label, None, fault);
        }
    }

    /// What another tool's label, or compose, says, where none of ours does. It was not written for
    /// WakeDock: what cannot be used is no problem.
    fn fall_back(&mut self, path: &'static str, text: Option<&str>) {
        if self.given.contains_key(path) {
            return;
        }
        let (Some(text), Some(key)) = (text, SERVICE.key(path)) else { return };
        let value = Value::from(text);
        if (key.read)(&mut Draft::new(), &value).is_ok() {
            self.given.insert(path, String::new());
            self.said.push((path, value));
        }
    }

    fn finish(mut self) -> LabelSource {
        self.source.layer = Layer::of(self.said);
        self.source
    }
}

fn unknown(name: &str) -> Fault {
    if let Some(reason) = names::refusal(name) {
        return Fault::new(reason, "take it out: this version of WakeDock cannot do it");
    }
    let reason = "is not a label that WakeDock knows";
    let known: Vec<String> = names::suggestions().collect();
    // What is far too long is no slip of the keyboard, and comparing it would take its time.
    let near = (name.len() <= 64).then(|| nearest(name, known.iter().map(String::as_str))).flatten();
    match near {
        Some(near) => Fault::new(reason, format!("write `{PREFIX}{near}`, or take it out")),
        None => Fault::new(reason, "take it out; docs/reference/labels.md lists those it knows"),
    }
}

fn problem(label: &str, text: Option<&str>, fault: Fault) -> SourceProblem {
    let (key, value) = match fault.element {
        Some((index, value)) => (format!("{}[{index}]", shorten(label)), Some(value)),
        None => (shorten(label), text.map(str::to_owned)),
    };
    SourceProblem {
        key,
        value: value.map(|text| shorten(&text)),
        reason: plain(&fault.reason),
        mend: plain(&fault.mend),
        origin: Origin::Label,
        container: None,
    }
}

/// What may repeat a part of the label: nothing in it steers a terminal, and it stays a sentence.
fn plain(text: &str) -> String {
    let shown = |c: char| if is_hidden(c) { c.escape_default().collect() } else { vec![c] };
    text.chars().take(LONGEST_SENTENCE).flat_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn asks(pairs: &[(&str, &str)]) -> LabelSource {
        let mut all = labels(pairs);
        all.insert("wakedock.enable".to_owned(), "true".to_owned());
        match read("my-web", &all) {
            Labelled::Asks(source) => source,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_labels_are_a_whole_configuration() {
        let source = asks(&[("wakedock.host", "App.example.com, b.example.com"), ("other.label", "x")]);
        assert_eq!(source.name, ServiceName::parse("my-web").ok());
        assert_eq!(source.layer.nested(), json!({ "hosts": ["App.example.com", "b.example.com"] }));
        assert!(source.problems.is_empty() && source.broken.is_empty());
    }

    #[test]
    fn enable_must_be_true() {
        assert_eq!(read("a", &labels(&[("wakedock.host", "a.b")])), Labelled::Not);
        assert_eq!(read("a", &labels(&[("wakedock.enable", "false")])), Labelled::Not);
        for word in ["yes", "1", "True", ""] {
            let read = read("a", &labels(&[("wakedock.enable", word)]));
            assert!(matches!(read, Labelled::Unclear(problem) if problem.mend.contains("true")), "{word}");
        }
        let one_off = labels(&[("wakedock.enable", "true"), ("com.docker.compose.oneoff", "True")]);
        assert_eq!(read("a", &one_off), Labelled::Not);
    }

    #[test]
    fn a_bad_option_falls_back_and_a_bad_host_breaks() {
        let source = asks(&[("wakedock.stop-after", "15"), ("wakedock.host", "a.b")]);
        assert!(source.broken.is_empty() && source.layer.get("idle.stop_after").is_none());
        assert_eq!(source.problems[0].key, "wakedock.stop-after");
        assert_eq!(source.problems[0].value.as_deref(), Some("15"));
        for (label, text) in [("wakedock.host", "a.b, a b"), ("wakedock.port", "0"), ("wakedock.name", "A b")]
        {
            let source = asks(&[(label, text)]);
            assert!(!source.broken.is_empty() && !source.problems.is_empty(), "{label}");
        }
    }

    #[test]
    fn unknown_labels_name_the_nearest() {
        let source = asks(&[
            ("wakedock.stopafter", "1m"),
            ("wakedock.depends-on", "db"),
            ("wakedock.container", "x"),
            ("wakedock.owners", "eve"),
            ("wakedock.zzzzzz", "x"),
        ]);
        let mend =
            |key: &str| source.problems.iter().find(|problem| problem.key == key).unwrap().mend.clone();
        assert!(mend("wakedock.stopafter").contains("`wakedock.stop-after`"), "{source:?}");
        assert!(mend("wakedock.depends-on").contains("cannot do it"));
        assert!(mend("wakedock.owners").contains("file"));
        assert_eq!(source.problems.len(), 5);
        assert!(source.layer.is_empty());
    }

    #[test]
    fn compose_gives_name_and_group() {
        let compose = [("com.docker.compose.project", "My Shop"), ("com.docker.compose.service", "web")];
        let source = asks(&compose);
        assert_eq!(source.name.as_ref().unwrap().as_str(), "my-shop-web");
        assert_eq!(source.layer.get("group"), Some(&json!("My Shop")));
        let named = asks(&[compose[0], compose[1], ("wakedock.name", "shop"), ("homepage.group", "Trade")]);
        assert!(named.is_named && named.name.as_ref().unwrap().as_str() == "shop");
        assert_eq!(named.layer.get("group"), Some(&json!("Trade")));
        assert_eq!(asks(&[("homepage.icon", "jellyfin.png")]).problems, [], "written for somebody else");
        assert_eq!(asks(&[("homepage.icon", "🎬")]).layer.get("icon"), Some(&json!("🎬")));
    }

    #[test]
    fn a_key_is_said_once() {
        let source = asks(&[("wakedock.stop-after", "1m"), ("wakedock.idle.stop-after", "2m")]);
        assert_eq!(source.problems.len(), 1);
        assert_eq!(source.layer.get("idle.stop_after"), Some(&json!("2m")), "in the order of the labels");
    }

    #[test]
    fn a_stranger_cannot_say_too_much() {
        let mut all: BTreeMap<_, _> =
            (0..5000).map(|n| (format!("wakedock.x{n}"), "y".repeat(9000))).collect();
        all.insert("wakedock.enable".to_owned(), "true".to_owned());
        all.insert("wakedock.title".to_owned(), "y".repeat(9000));
        let Labelled::Asks(source) = read("a", &all) else { panic!("it asks") };
        assert_eq!(source.problems.len(), MOST_PROBLEMS);
        assert!(format!("{source:?}").len() < 20_000);
    }
}
