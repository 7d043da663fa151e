//! What the API says, as far as the command line shows it. Everything that an older or a newer
//! WakeDock may leave out has a default.

use serde::{Deserialize, Deserializer};

use crate::domain::time::Timestamp;
use crate::domain::words::Phase;

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    #[serde(default)]
    pub(super) next: Option<String>,
}

/// A service, from `GET /api/v1/services`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) phase: PhaseWord,
    #[serde(deserialize_with = "time")]
    pub(super) since: Option<Timestamp>,
    pub(super) hosts: Vec<String>,
    pub(super) path: Option<String>,
    pub(super) container: Option<String>,
    pub(super) group: Option<String>,
    pub(super) paused: bool,
    pub(super) sources: Vec<String>,
    pub(super) problems: Vec<SourceProblem>,
    pub(super) held: u64,
    pub(super) leases: u64,
    pub(super) memory_bytes: Option<u64>,
    pub(super) cpu: Option<f64>,
    #[serde(deserialize_with = "time")]
    pub(super) sleeps_at: Option<Timestamp>,
    #[serde(deserialize_with = "time")]
    pub(super) kept_awake_until: Option<Timestamp>,
    pub(super) awake_because: Option<String>,
    pub(super) last_wake: Option<LastWake>,
    pub(super) last_stop: Option<LastStop>,
    pub(super) wakes_today: u64,
    pub(super) usual_wake_ms: Option<u64>,
    pub(super) failure: Option<Failure>,
}

/// A phase; what this WakeDock does not know is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PhaseWord(pub(super) Option<Phase>);

impl<'de> Deserialize<'de> for PhaseWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<String>::deserialize(deserializer)?.and_then(|word| Phase::parse(&word))))
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct SourceProblem {
    pub(super) key: String,
    pub(super) value: Option<String>,
    pub(super) reason: String,
    pub(super) mend: String,
    pub(super) origin: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct LastWake {
    #[serde(deserialize_with = "time")]
    pub(super) at: Option<Timestamp>,
    pub(super) cause: Option<String>,
    pub(super) outcome: Option<String>,
    pub(super) took_ms: Option<u64>,
    pub(super) engine_ms: Option<u64>,
    pub(super) client: Option<String>,
    pub(super) path: Option<String>,
    /// Who did it by hand.
    pub(super) user: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct LastStop {
    #[serde(deserialize_with = "time")]
    pub(super) at: Option<Timestamp>,
    pub(super) cause: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Failure {
    pub(super) reason: String,
    #[serde(deserialize_with = "time")]
    pub(super) retry_at: Option<Timestamp>,
}

/// `GET /api/v1/system/overview`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Overview {
    pub(super) memory_bytes: Option<u64>,
    pub(super) memory_saved_bytes: Option<u64>,
    pub(super) wakes_today: u64,
    pub(super) wake_p50_ms: Option<u64>,
}

/// A moment as the API writes it; what is none is as good as missing.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|text| parse_time(&text)))
}

/// Reads RFC 3339.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|time| Timestamp::from_millis(time.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_new_breaks_nothing() {
        let service: Service =
            serde_json::from_str(r#"{"name":"a","phase":"dreaming","since":"soon","colour":"blue"}"#)
                .unwrap();
        assert_eq!((service.name.as_str(), service.phase, service.since), ("a", PhaseWord(None), None));
        let service: Service =
            serde_json::from_str(r#"{"phase":"ready","since":"1970-01-01T00:00:01.500Z"}"#).unwrap();
        assert_eq!(service.phase.0, Some(Phase::Ready));
        assert_eq!(service.since, Some(Timestamp::from_millis(1500)));
    }
}
