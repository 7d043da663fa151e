//! All containers, with the labels that mean something to WakeDock.
//!
//! Docker writes the labels of an image into each container made from it, so that the two can be
//! told apart only by a look at the image.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::sources::labels::{LONGEST_VALUE, MOST_LABELS, is_relevant};
use crate::domain::time::Timestamp;
use crate::engine::api::{Api, segment};
use crate::engine::elements::Elements;
use crate::engine::failure::{Failure, within};
use crate::engine::inspect::{Inspected, state_word};
use crate::engine::transport;
use crate::ports::{ContainerId, Listed, Listing};

/// What a list may take, with a thousand containers on a slow machine.
const LIST: Duration = Duration::from_secs(30);

/// What was found out about images and containers that are listed again and again. Holds no more
/// than the last list did.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    /// The labels of images that mean something, by the image's id.
    images: HashMap<String, BTreeMap<String, String>>,
    /// When containers were made, to the millisecond, by their id.
    made: HashMap<String, Timestamp>,
}

/// Lists containers.
pub(super) async fn list(api: &Api, known: &Known, which: Listing) -> Result<Vec<Listed>, Failure> {
    let mut records = within(LIST, read(api, which)).await?;
    let labelled = |record: &Record| record.labels.0.keys().any(|label| label.starts_with("wakedock."));
    let mut remembered = std::mem::take(&mut *lock(&known.0));
    let mut now = Remembered::default();
    // Docker lists whole seconds. Where that leaves open who is older, the container itself says.
    let mut seconds: HashMap<i64, usize> = HashMap::new();
    for record in records.iter().filter(|record| labelled(record)) {
        *seconds.entry(record.created).or_default() += 1;
    }
    let mut listed = Vec::with_capacity(records.len());
    for record in records.drain(..) {
        let mut created = Timestamp::from_millis(record.created.saturating_mul(1000));
        let mut image_labels = BTreeMap::new();
        if labelled(&record) {
            image_labels = match remembered.images.remove(&record.image_id) {
                Some(labels) => labels,
                None => match now.images.get(&record.image_id) {
                    Some(labels) => labels.clone(),
                    None => of_image(api, &record.image_id).await?,
                },
            };
            now.images.insert(record.image_id.clone(), image_labels.clone());
            if seconds.get(&record.created).is_some_and(|count| *count > 1) {
                created = match remembered.made.remove(&record.id) {
                    Some(made) => made,
                    None => made(api, &record.id).await?.unwrap_or(created),
                };
                now.made.insert(record.id.clone(), created);
            }
        }
        listed.push(record.into_listed(created, image_labels));
    }
    *lock(&known.0) = now;
    Ok(listed)
}

async fn read(api: &Api, which: Listing) -> Result<Vec<Record>, Failure> {
    let mut path = "/containers/json?all=1".to_owned();
    if let Listing::WithLabel(label) = which {
        // {"label":["…"]}; a label of ours needs no escaping.
        path.push_str(&format!("&filters=%7B%22label%22%3A%5B%22{label}%22%5D%7D"));
    }
    let mut body = api.open(&path).await?;
    let mut elements = Elements::default();
    let mut records = Vec::new();
    let mut unread = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Away(transport::into_io(error)))?;
        let Some(piece) = frame.data_ref() else { continue };
        elements.push(piece, |element| match serde_json::from_slice(element) {
            Ok(record) => records.push(record),
            Err(_) => unread += 1,
        });
    }
    if elements.is_cut_off() {
        return Err(Failure::Away(std::io::ErrorKind::UnexpectedEof.into()));
    }
    let passed_over = unread + elements.skipped();
    if passed_over > 0 {
        tracing::debug!(passed_over, "containers whose record cannot be read, or is too long");
    }
    Ok(records)
}

/// An image that is gone has no labels.
async fn of_image(api: &Api, id: &str) -> Result<BTreeMap<String, String>, Failure> {
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b':');
    if id.is_empty() || !plain {
        return Ok(BTreeMap::new());
    }
    match api.get::<Image>(&format!("/images/{id}/json")).await {
        Ok(image) => Ok(image.config.and_then(|config| config.labels).unwrap_or_default().0),
        Err(Failure::Refused { .. }) => Ok(BTreeMap::new()),
        Err(away @ Failure::Away(_)) => Err(away),
    }
}

async fn made(api: &Api, id: &str) -> Result<Option<Timestamp>, Failure> {
    let Some(id) = segment(id) else { return Ok(None) };
    match api.get::<Inspected>(&format!("/containers/{id}/json")).await {
        Ok(found) => Ok(found.created()),
        Err(Failure::Refused { .. }) => Ok(None),
        Err(away @ Failure::Away(_)) => Err(away),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A cache is whole at every step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Deserialize)]
struct Record {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Names")]
    names: Option<Vec<String>>,
    #[serde(rename = "Image", default)]
    image: String,
    #[serde(rename = "ImageID", default)]
    image_id: String,
    /// Seconds since 1970.
    #[serde(rename = "Created", default)]
    created: i64,
    #[serde(rename = "State", default)]
    state: String,
    #[serde(rename = "Ports", default)]
    ports: Option<Vec<Port>>,
    #[serde(rename = "Labels", default)]
    labels: Relevant,
}

#[derive(Debug, Deserialize)]
struct Port {
    #[serde(rename = "PrivatePort", default)]
    private: u16,
    #[serde(rename = "Type", default)]
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Image {
    #[serde(rename = "Config")]
    config: Option<ImageConfig>,
}

#[derive(Debug, Deserialize)]
struct ImageConfig {
    #[serde(rename = "Labels")]
    labels: Option<Relevant>,
}

impl Record {
    fn into_listed(self, created: Timestamp, image_labels: BTreeMap<String, String>) -> Listed {
        // Links of old add names with a slash inside.
        let names = self.names.unwrap_or_default();
        let own = names.iter().map(|name| name.trim_start_matches('/')).find(|name| !name.contains('/'));
        let tcp = self.ports.unwrap_or_default().into_iter().filter(|port| port.kind == "tcp");
        let ports: HashSet<u16> = tcp.map(|port| port.private).collect();
        let mut ports: Vec<u16> = ports.into_iter().collect();
        ports.sort_unstable();
        let mut labels = self.labels.0;
        let mut of_image = BTreeMap::new();
        for (label, value) in image_labels {
            if labels.get(&label) == Some(&value) {
                labels.remove(&label);
                of_image.insert(label, value);
            }
        }
        Listed {
            name: own.unwrap_or_default().to_owned(),
            id: ContainerId(self.id),
            created,
            state: state_word(&self.state),
            image: self.image,
            labels,
            image_labels: of_image,
            ports,
        }
    }
}

/// The labels that mean something; the others are not kept, nor more than anybody needs.
#[derive(Debug, Default)]
struct Relevant(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Relevant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RelevantVisitor)
    }
}

struct RelevantVisitor;

impl<'de> Visitor<'de> for RelevantVisitor {
    type Value = Relevant;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels")
    }

    fn visit_unit<E>(self) -> Result<Relevant, E> {
        Ok(Relevant::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Relevant, A::Error> {
        let mut relevant = BTreeMap::new();
        while let Some(label) = map.next_key::<String>()? {
            if !is_relevant(&label) || label.len() > LONGEST_VALUE {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let mut value: String = map.next_value()?;
            if value.len() > LONGEST_VALUE {
                // One byte more than may be read, so that it is told to be too long.
                let cut = (LONGEST_VALUE + 1..).find(|at| value.is_char_boundary(*at));
                value.truncate(cut.unwrap_or(value.len()));
                value.shrink_to_fit();
            }
            // What says whether it is a service at all comes through, however many others there are.
            if relevant.len() <= MOST_LABELS || label == "wakedock.enable" {
                relevant.insert(label, value);
            }
        }
        Ok(Relevant(relevant))
    }
}

/// What a list of one element says of it.
pub(super) fn parse(element: &[u8]) -> Option<Listed> {
    let record: Record = serde_json::from_slice(element).ok()?;
    let created = Timestamp::from_millis(record.created.saturating_mul(1000));
    Some(record.into_listed(created, BTreeMap::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::ContainerState;

    #[test]
    fn reads_an_element() {
        let listed = parse(
            br#"{"Id":"abc","Names":["/other/alias","/web"],"Image":"nginx","ImageID":"sha256:1","Command":"x",
            "Created":1700000000,"State":"exited","Status":"Exited (0)","Labels":{"a":"b","wakedock.enable":"true",
            "com.docker.compose.project":"shop"},"Ports":[{"PrivatePort":80,"Type":"tcp"},
            {"PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"PrivatePort":53,"Type":"udp"}]}"#,
        )
        .unwrap();
        assert_eq!((listed.name.as_str(), listed.image.as_str()), ("web", "nginx"));
        assert_eq!(listed.state, ContainerState::Exited);
        assert_eq!(listed.created, Timestamp::from_millis(1_700_000_000_000));
        assert_eq!(listed.ports, [80]);
        let labels: Vec<_> = listed.labels.keys().map(String::as_str).collect();
        assert_eq!(labels, ["com.docker.compose.project", "wakedock.enable"]);
        assert_eq!(parse(br#"{"Id":"a","Labels":null,"Ports":null,"Names":null}"#).unwrap().name, "");
        assert!(parse(b"{").is_none() && parse(b"[]").is_none());
    }

    #[test]
    fn labels_of_the_image_are_told_apart() {
        let record: Record = serde_json::from_str(
            r#"{"Id":"a","Labels":{"wakedock.enable":"true","wakedock.group":"own","homepage.icon":"x"}}"#,
        )
        .unwrap();
        let pairs = [("wakedock.enable", "true"), ("wakedock.group", "of the image"), ("homepage.icon", "x")];
        let image = pairs.map(|(label, value)| (label.to_owned(), value.to_owned())).into();
        let listed = record.into_listed(Timestamp::default(), image);
        assert_eq!(listed.labels.keys().collect::<Vec<_>>(), ["wakedock.group"], "it says something else");
        assert_eq!(listed.image_labels.keys().collect::<Vec<_>>(), ["homepage.icon", "wakedock.enable"]);
    }

    #[test]
    fn a_stranger_cannot_say_too_much() {
        let many: Vec<_> = (0..5000).map(|n| format!(r#""wakedock.x{n}":"y""#)).collect();
        let element = format!(
            r#"{{"Id":"a","Labels":{{{},"wakedock.enable":"true","wakedock.a":"{}"}}}}"#,
            many.join(","),
            "ü".repeat(LONGEST_VALUE)
        );
        let listed = parse(element.as_bytes()).unwrap();
        assert!(listed.labels.len() <= MOST_LABELS + 2, "{}", listed.labels.len());
        assert_eq!(listed.labels["wakedock.enable"], "true");
        assert!(listed.labels.values().all(|value| value.len() <= LONGEST_VALUE + 4));
    }
}
