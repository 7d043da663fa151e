//! The engine's event stream.
//!
//! Events are read by `Type`, `Action` and `Actor`: the legacy `status` is gone from new engines.
//! One that cannot be read is passed over, because the caller would meet it again after every new
//! connection.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::timeout;

use crate::domain::time::Timestamp;
use crate::engine::api::Api;
use crate::engine::failure::Failure;
use crate::engine::inspect::health_word;
use crate::engine::transport;
use crate::ports::{ContainerAction, ContainerEvent, ContainerId, ReadError};

/// After this much silence the engine is asked whether it still answers.
const QUIET: Duration = Duration::from_secs(30);

/// No event is this long, unless something is wrong.
const LONGEST_EVENT: usize = 1024 * 1024;

/// Container events from `since` (of that very millisecond again) on.
pub(super) fn stream(
    api: Arc<Api>,
    since: Option<Timestamp>,
) -> impl Stream<Item = Result<ContainerEvent, ReadError>> + Send + use<> {
    stream::unfold(Some(Reader::Connecting { api, since }), |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(event)) => Some((Ok(event), Some(reader))),
            Ok(None) => None,
            Err(failure) => Some((Err(failure.into()), None)),
        }
    })
}

enum Reader {
    Connecting { api: Arc<Api>, since: Option<Timestamp> },
    Reading { api: Arc<Api>, body: Incoming, lines: Lines },
}

impl Reader {
    async fn next(&mut self) -> Result<Option<ContainerEvent>, Failure> {
        loop {
            match self {
                Self::Connecting { api, since } => {
                    let body = api.open(&path(*since)).await?;
                    *self = Self::Reading { api: Arc::clone(api), body, lines: Lines::default() };
                }
                Self::Reading { api, body, lines } => {
                    while let Some(line) = lines.next() {
                        if let Some(event) = parse(&line) {
                            return Ok(Some(event));
                        }
                    }
                    match timeout(QUIET, body.frame()).await {
                        // Silence is normal, an engine that says nothing at all is not.
                        Err(_) => api.ping().await?,
                        Ok(None) => return Ok(None),
                        Ok(Some(Err(error))) => return Err(Failure::Away(transport::into_io(error))),
                        Ok(Some(Ok(frame))) => lines.push(frame.data_ref().map_or(&[], |data| data))?,
                    }
                }
            }
        }
    }
}

fn path(since: Option<Timestamp>) -> String {
    // {"type":["container"]}
    let mut path = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D".to_owned();
    if let Some(since) = since {
        let millis = since.as_millis().max(0);
        path.push_str(&format!("&since={}.{:03}", millis / 1000, millis % 1000));
    }
    path
}

#[derive(Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.0.extend_from_slice(bytes);
        if self.0.len() > LONGEST_EVENT && !self.0.contains(&b'\n') {
            return Err(Failure::Away(io::Error::new(io::ErrorKind::InvalidData, "an event without end")));
        }
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let rest = self.0.split_off(end + 1);
        Some(std::mem::replace(&mut self.0, rest))
    }
}

#[derive(Debug, Deserialize)]
struct Record {
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(rename = "Action", default)]
    action: String,
    #[serde(rename = "Actor")]
    actor: Actor,
    #[serde(default)]
    time: i64,
    #[serde(rename = "timeNano", default)]
    time_nano: i64,
    /// Podman says the health here, and not in `Action`.
    #[serde(rename = "HealthStatus", default)]
    health: String,
}

#[derive(Debug, Deserialize)]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Attributes")]
    attributes: Option<HashMap<String, String>>,
}

/// `None` for what WakeDock does not care about, `exec_*` of every health check above all.
pub(super) fn parse(line: &[u8]) -> Option<ContainerEvent> {
    let record: Record = serde_json::from_slice(line).ok()?;
    if record.kind != "container" {
        return None;
    }
    let attribute = |key: &str| record.actor.attributes.as_ref().and_then(|all| all.get(key));
    let exit_code = || attribute("exitCode").or_else(|| attribute("containerExitCode"))?.parse().ok();
    let (word, detail) = record.action.split_once(':').unwrap_or((&record.action, &record.health));
    let action = match word {
        "create" => ContainerAction::Create,
        "start" => ContainerAction::Start,
        // Podman's words are `died` and `remove`.
        "die" | "died" => ContainerAction::Die { exit_code: exit_code() },
        "stop" => ContainerAction::Stop,
        "pause" => ContainerAction::Pause,
        "unpause" => ContainerAction::Unpause,
        "destroy" | "remove" => ContainerAction::Destroy,
        "rename" => {
            ContainerAction::Rename { from: attribute("oldName")?.trim_start_matches('/').to_owned() }
        }
        "health_status" => ContainerAction::Health(health_word(detail.trim())?),
        _ => return None,
    };
    let millis =
        if record.time_nano > 0 { record.time_nano / 1_000_000 } else { record.time.saturating_mul(1000) };
    Some(ContainerEvent {
        name: attribute("name")?.trim_start_matches('/').to_owned(),
        id: ContainerId(record.actor.id),
        action,
        at: Timestamp::from_millis(millis),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Health;

    fn event(action: &str, attributes: &str) -> Option<ContainerEvent> {
        parse(
            format!(
                r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"abc","Attributes":{{"name":"web"{attributes}}}}},
                "scope":"local","time":1700000000,"timeNano":1700000000123456789}}"#
            )
            .as_bytes(),
        )
    }

    fn action(text: &str, attributes: &str) -> Option<ContainerAction> {
        event(text, attributes).map(|event| event.action)
    }

    #[test]
    fn trap_22_events_are_read_by_type_action_and_actor() {
        let start = event("start", "").unwrap();
        assert_eq!(start.id, ContainerId("abc".to_owned()));
        assert_eq!(start.name, "web");
        assert_eq!(start.at, Timestamp::from_millis(1_700_000_000_123));
        assert_eq!(
            action("die", r#","exitCode":"137""#),
            Some(ContainerAction::Die { exit_code: Some(137) })
        );
        assert_eq!(action("die", ""), Some(ContainerAction::Die { exit_code: None }));
        let renamed = ContainerAction::Rename { from: "old".to_owned() };
        assert_eq!(action("rename", r#","oldName":"/old""#), Some(renamed));
        assert_eq!(action("health_status: unhealthy", ""), Some(ContainerAction::Health(Health::Unhealthy)));
        // The legacy fields alone say nothing.
        assert_eq!(parse(br#"{"status":"start","id":"abc","from":"image","time":1}"#), None);
    }

    #[test]
    fn trap_23_podman_words() {
        assert_eq!(
            action("died", r#","containerExitCode":"1""#),
            Some(ContainerAction::Die { exit_code: Some(1) })
        );
        assert_eq!(action("remove", ""), Some(ContainerAction::Destroy));
        let health = br#"{"Type":"container","Action":"health_status","HealthStatus":"healthy",
            "Actor":{"ID":"a","Attributes":{"name":"web"}},"time":5}"#;
        let health = parse(health).unwrap();
        assert_eq!(health.action, ContainerAction::Health(Health::Healthy));
        assert_eq!(health.at, Timestamp::from_millis(5000));
    }

    #[test]
    fn noise_is_passed_over() {
        for noise in ["exec_create: /bin/check", "exec_start: x", "exec_die", "attach", "kill", "resize"] {
            assert_eq!(event(noise, ""), None, "{noise}");
        }
        assert_eq!(parse(b"not json"), None);
        // No time of this world, and no overflow either.
        let late = br#"{"Type":"container","Action":"start","Actor":{"ID":"a","Attributes":{"name":"b"}},
            "time":9223372036854775807}"#;
        assert_eq!(parse(late).map(|event| event.at), Some(Timestamp::from_millis(i64::MAX)));
        assert_eq!(parse(br#"{"Type":"image","Action":"create","Actor":{"ID":"a"}}"#), None);
    }

    #[test]
    fn lines_may_come_in_pieces() {
        let mut lines = Lines::default();
        lines.push(b"one\ntw").unwrap();
        assert_eq!(lines.next().as_deref(), Some(b"one\n".as_slice()));
        assert_eq!(lines.next(), None);
        lines.push(b"o\n\n").unwrap();
        assert_eq!(lines.next().as_deref(), Some(b"two\n".as_slice()));
        assert_eq!(lines.next().as_deref(), Some(b"\n".as_slice()));
        assert!(lines.push(&[b'x'; LONGEST_EVENT + 1]).is_err());
    }

    #[test]
    fn since_has_milliseconds() {
        assert!(path(Some(Timestamp::from_millis(1_700_000_000_007))).ends_with("&since=1700000000.007"));
        assert!(!path(None).contains("since"));
    }
}
