//! Events as they lie in the store.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::name::ServiceName;
use crate::domain::time::Timestamp;
use crate::domain::words::{Origin, Phase, PublishOutcome, StopCause, WakeCause, WakeOutcome};
use crate::store::{AskedBy, Table};
use crate::supervisor::journal::{Event, What};

/// Events under their numbers.
pub(in crate::supervisor) const EVENTS: Table<EventRecord> = Table::new("events");

/// Times are milliseconds since the Unix epoch, durations are microseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::supervisor) struct EventRecord {
    at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(flatten)]
    what: WhatRecord,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum WhatRecord {
    Phase {
        phase: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    WakeStarted {
        cause: String,
        #[serde(flatten)]
        by: AskedByRecord,
    },
    WakeEnded {
        outcome: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        took: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engine: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Box<str>>,
    },
    Stopped {
        cause: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        took: Option<u64>,
        #[serde(default)]
        paused: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Box<str>>,
    },
    KeptAwake {
        until: Option<i64>,
        by: Box<str>,
    },
    Problem {
        key: String,
        value: Option<String>,
        reason: String,
        mend: String,
        origin: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        container: Option<String>,
    },
    ProblemMended {
        key: String,
        value: Option<String>,
        origin: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        container: Option<String>,
    },
    ServiceAdded,
    ServiceChanged,
    ServiceRemoved,
    Published {
        outcome: String,
        hosts: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    ConfigApplied {
        services: usize,
        waiting: Vec<String>,
    },
    ConfigRejected {
        reason: String,
    },
    Engine {
        connected: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    Store {
        writable: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        dropped: u64,
    },
    Started {
        version: String,
    },
    Draining,
}

#[derive(Debug, Serialize, Deserialize)]
struct AskedByRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Box<str>>,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl From<&Event> for EventRecord {
    fn from(event: &Event) -> Self {
        Self {
            at: event.at.as_millis(),
            service: event.service.as_ref().map(|service| service.as_str().to_owned()),
            what: (&event.what).into(),
        }
    }
}

impl EventRecord {
    /// The event, where its words are understood.
    pub(super) fn event(self, id: u64) -> Option<Event> {
        let service = match self.service {
            Some(name) => Some(ServiceName::parse(&name).ok()?),
            None => None,
        };
        Some(Event { id, at: Timestamp::from_millis(self.at), service, what: self.what.what()? })
    }
}

impl From<&What> for WhatRecord {
    fn from(what: &What) -> Self {
        let word = |word: &'static str| word.to_owned();
        match what.clone() {
            What::Phase { phase, cause } => {
                Self::Phase { phase: word(phase.as_str()), cause: cause.map(word) }
            }
            What::WakeStarted { cause, by } => {
                let AskedBy { request_id, host, method, path, client, user } = by;
                let by = AskedByRecord { request_id, host, method, path, client, user };
                Self::WakeStarted { cause: word(cause.as_str()), by }
            }
            What::WakeEnded { outcome, took, engine, reason } => Self::WakeEnded {
                outcome: word(outcome.as_str()),
                took: took.map(micros),
                engine: engine.map(micros),
                reason,
            },
            What::Stopped { cause, took, paused, by } => {
                Self::Stopped { cause: word(cause.as_str()), took: took.map(micros), paused, by }
            }
            What::KeptAwake { until, by } => Self::KeptAwake { until: until.map(Timestamp::as_millis), by },
            What::Problem { key, value, reason, mend, origin, container } => {
                Self::Problem { key, value, reason, mend, origin: word(origin.as_str()), container }
            }
            What::ProblemMended { key, value, origin, container } => {
                Self::ProblemMended { key, value, origin: word(origin.as_str()), container }
            }
            What::Added => Self::ServiceAdded,
            What::Changed => Self::ServiceChanged,
            What::Removed => Self::ServiceRemoved,
            What::Published { outcome, hosts, message } => {
                Self::Published { outcome: word(outcome.as_str()), hosts, message }
            }
            What::ConfigApplied { services, waiting } => Self::ConfigApplied { services, waiting },
            What::ConfigRejected { reason } => Self::ConfigRejected { reason },
            What::Engine { connected, version } => Self::Engine { connected, version },
            What::Store { writable, reason, dropped } => Self::Store { writable, reason, dropped },
            What::Started { version } => Self::Started { version },
            What::Draining => Self::Draining,
        }
    }
}

/// The word that a cause is written as: of a wake or of a stop.
fn cause(text: &str) -> Option<&'static str> {
    let wake = WakeCause::parse(text).map(WakeCause::as_str);
    wake.or_else(|| StopCause::parse(text).map(StopCause::as_str))
}

impl WhatRecord {
    fn what(self) -> Option<What> {
        let duration = |micros: Option<u64>| micros.map(Duration::from_micros);
        Some(match self {
            Self::Phase { phase, cause: text } => {
                What::Phase { phase: Phase::parse(&phase)?, cause: text.as_deref().and_then(cause) }
            }
            Self::WakeStarted { cause, by } => {
                let AskedByRecord { request_id, host, method, path, client, user } = by;
                let by = AskedBy { request_id, host, method, path, client, user };
                What::WakeStarted { cause: WakeCause::parse(&cause)?, by }
            }
            Self::WakeEnded { outcome, took, engine, reason } => What::WakeEnded {
                outcome: WakeOutcome::parse(&outcome)?,
                took: duration(took),
                engine: duration(engine),
                reason,
            },
            Self::Stopped { cause, took, paused, by } => {
                What::Stopped { cause: StopCause::parse(&cause)?, took: duration(took), paused, by }
            }
            Self::KeptAwake { until, by } => What::KeptAwake { until: until.map(Timestamp::from_millis), by },
            Self::Problem { key, value, reason, mend, origin, container } => {
                What::Problem { key, value, reason, mend, origin: Origin::parse(&origin)?, container }
            }
            Self::ProblemMended { key, value, origin, container } => {
                What::ProblemMended { key, value, origin: Origin::parse(&origin)?, container }
            }
            Self::ServiceAdded => What::Added,
            Self::ServiceChanged => What::Changed,
            Self::ServiceRemoved => What::Removed,
            Self::Published { outcome, hosts, message } => {
                What::Published { outcome: PublishOutcome::parse(&outcome)?, hosts, message }
            }
            Self::ConfigApplied { services, waiting } => What::ConfigApplied { services, waiting },
            Self::ConfigRejected { reason } => What::ConfigRejected { reason },
            Self::Engine { connected, version } => What::Engine { connected, version },
            Self::Store { writable, reason, dropped } => What::Store { writable, reason, dropped },
            Self::Started { version } => What::Started { version },
            Self::Draining => What::Draining,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_as_it_was_under_its_own_name() {
        let by =
            AskedBy { path: Some("/a".into()), client: "192.0.2.7".parse().ok(), ..AskedBy::user("ada") };
        let took = Some(Duration::from_micros(1_500));
        let text = |text: &str| Some(text.to_owned());
        let all = [
            What::Phase { phase: Phase::Waking, cause: Some("request") },
            What::Phase { phase: Phase::Stopping, cause: Some("idle") },
            What::WakeStarted { cause: WakeCause::Manual, by },
            What::WakeEnded { outcome: WakeOutcome::Ready, took, engine: took, reason: None },
            What::WakeEnded {
                outcome: WakeOutcome::Failed,
                took: None,
                engine: None,
                reason: Some("x".into()),
            },
            What::Stopped { cause: StopCause::FailedWake, took, paused: true, by: Some("ada".into()) },
            What::KeptAwake { until: Some(Timestamp::from_millis(5)), by: "ada".into() },
            What::KeptAwake { until: None, by: "ada".into() },
            What::Problem {
                key: "idle.stop_after".to_owned(),
                value: text("soon"),
                reason: "is no duration".to_owned(),
                mend: "say `10m`".to_owned(),
                origin: Origin::Label,
                container: text("web-1"),
            },
            What::ProblemMended {
                key: "idle.stop_after".to_owned(),
                value: None,
                origin: Origin::Api,
                container: None,
            },
            What::Added,
            What::Changed,
            What::Removed,
            What::Published { outcome: PublishOutcome::Rejected, hosts: 3, message: text("line 3") },
            What::ConfigApplied { services: 2, waiting: vec!["data_dir".to_owned()] },
            What::ConfigRejected { reason: "no".to_owned() },
            What::Engine { connected: true, version: text("29.1") },
            What::Store { writable: false, reason: text("full"), dropped: 7 },
            What::Started { version: "1".to_owned() },
            What::Draining,
        ];
        for what in all {
            let service = ServiceName::parse("cloud").ok();
            let event = Event { id: 9, at: Timestamp::from_millis(1_234), service, what };
            let bytes = serde_json::to_vec(&EventRecord::from(&event)).unwrap();
            let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(json["kind"], event.what.kind());
            let record: EventRecord = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(record.event(9), Some(event));
        }
    }

    #[test]
    fn an_unknown_kind_is_not_an_event() {
        let unknown = br#"{"at":1,"kind":"teleported"}"#;
        assert!(serde_json::from_slice::<EventRecord>(unknown).is_err());
        let word: EventRecord =
            serde_json::from_slice(br#"{"at":1,"kind":"phase","phase":"sleepy"}"#).unwrap();
        assert_eq!(word.event(1), None);
    }
}
