//! Records as they lie in the file: JSON with a version, so that a future WakeDock can read them.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::lifecycle::How;
use crate::domain::time::Timestamp;
use crate::domain::words::{StopCause, WakeCause, WakeOutcome};
use crate::store::memory::{Activity, AskedBy, ServiceState, Session, SessionStop, StopIntent, Wake};

/// Why a record is not understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("it is not a record")]
    Json(#[from] serde_json::Error),
    #[error("it holds the unknown word `{0}`")]
    Word(String),
    #[error("the record `{key}` of the table `{table}` is not understood: {source}")]
    Unreadable { table: &'static str, key: String, source: serde_json::Error },
    #[error("a record for `{key}` of the table `{table}` cannot be written: {source}")]
    Unwritable { table: &'static str, key: String, source: serde_json::Error },
}

pub(super) fn write_state(state: &ServiceState) -> Result<Vec<u8>, RecordError> {
    Ok(serde_json::to_vec(&StoredState::V1(state.into()))?)
}

pub(super) fn read_state(bytes: &[u8]) -> Result<ServiceState, RecordError> {
    let StoredState::V1(record) = serde_json::from_slice(bytes)?;
    record.try_into()
}

pub(super) fn write_session(session: &Session) -> Result<Vec<u8>, RecordError> {
    Ok(serde_json::to_vec(&StoredSession::V1(session.into()))?)
}

pub(super) fn read_session(bytes: &[u8]) -> Result<Session, RecordError> {
    let StoredSession::V1(record) = serde_json::from_slice(bytes)?;
    record.try_into()
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "v")]
enum StoredState {
    #[serde(rename = "1")]
    V1(StateV1),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "v")]
enum StoredSession {
    #[serde(rename = "1")]
    V1(SessionV1),
}

/// Times are milliseconds since the Unix epoch, durations are microseconds.
#[derive(Serialize, Deserialize)]
struct StateV1 {
    #[serde(skip_serializing_if = "Option::is_none")]
    activity: Option<ActivityV1>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_since: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<IntentV1>,
    wakes: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open: Option<SessionV1>,
    next_session: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_awake: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ActivityV1 {
    Busy,
    QuietSince(i64),
}

#[derive(Serialize, Deserialize)]
struct IntentV1 {
    container_id: String,
    how: HowV1,
    cause: String,
    at: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HowV1 {
    Stop,
    Pause,
}

#[derive(Serialize, Deserialize)]
struct SessionV1 {
    cause: String,
    ordered_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<AskedByV1>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<ReadyV1>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<FailedV1>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<StopV1>,
}

#[derive(Serialize, Deserialize)]
struct AskedByV1 {
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Box<str>>,
}

#[derive(Serialize, Deserialize)]
struct ReadyV1 {
    at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct FailedV1 {
    at: i64,
    outcome: String,
    reason: String,
}

#[derive(Serialize, Deserialize)]
struct StopV1 {
    cause: String,
    at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<u64>,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn word<T>(parse: impl Fn(&str) -> Option<T>, text: String) -> Result<T, RecordError> {
    parse(&text).ok_or(RecordError::Word(text))
}

impl From<&ServiceState> for StateV1 {
    fn from(state: &ServiceState) -> Self {
        Self {
            activity: state.activity.map(|activity| match activity {
                Activity::Busy => ActivityV1::Busy,
                Activity::Quiet { since } => ActivityV1::QuietSince(since.as_millis()),
            }),
            ready_since: state.ready_since.map(Timestamp::as_millis),
            intent: state.intent.as_ref().map(Into::into),
            wakes: state.wakes.iter().copied().map(micros).collect(),
            open: state.open.as_ref().map(Into::into),
            next_session: state.next_session,
            keep_awake: state.keep_awake.map(Timestamp::as_millis),
        }
    }
}

impl TryFrom<StateV1> for ServiceState {
    type Error = RecordError;

    fn try_from(record: StateV1) -> Result<Self, RecordError> {
        Ok(Self {
            activity: record.activity.map(|activity| match activity {
                ActivityV1::Busy => Activity::Busy,
                ActivityV1::QuietSince(millis) => Activity::Quiet { since: Timestamp::from_millis(millis) },
            }),
            ready_since: record.ready_since.map(Timestamp::from_millis),
            intent: record.intent.map(TryInto::try_into).transpose()?,
            wakes: record.wakes.into_iter().map(Duration::from_micros).collect(),
            open: record.open.map(TryInto::try_into).transpose()?,
            next_session: record.next_session,
            keep_awake: record.keep_awake.map(Timestamp::from_millis),
        })
    }
}

impl From<&StopIntent> for IntentV1 {
    fn from(intent: &StopIntent) -> Self {
        Self {
            container_id: intent.container_id.clone(),
            how: match intent.how {
                How::Stop => HowV1::Stop,
                How::Pause => HowV1::Pause,
            },
            cause: intent.cause.as_str().into(),
            at: intent.at.as_millis(),
        }
    }
}

impl TryFrom<IntentV1> for StopIntent {
    type Error = RecordError;

    fn try_from(record: IntentV1) -> Result<Self, RecordError> {
        Ok(Self {
            container_id: record.container_id,
            how: match record.how {
                HowV1::Stop => How::Stop,
                HowV1::Pause => How::Pause,
            },
            cause: word(StopCause::parse, record.cause)?,
            at: Timestamp::from_millis(record.at),
        })
    }
}

impl From<AskedBy> for AskedByV1 {
    fn from(by: AskedBy) -> Self {
        let AskedBy { request_id, host, method, path, client, user } = by;
        Self { request_id, host, method, path, client, user }
    }
}

impl From<AskedByV1> for AskedBy {
    fn from(record: AskedByV1) -> Self {
        let AskedByV1 { request_id, host, method, path, client, user } = record;
        Self { request_id, host, method, path, client, user }
    }
}

impl From<&Session> for SessionV1 {
    fn from(session: &Session) -> Self {
        let (ready, failed) = match &session.wake {
            Wake::Pending => (None, None),
            Wake::Ready { at, took, engine } => {
                let (took, engine) = (took.map(micros), engine.map(micros));
                (Some(ReadyV1 { at: at.as_millis(), took, engine }), None)
            }
            Wake::Failed { at, outcome, reason } => {
                let outcome = outcome.as_str().into();
                (None, Some(FailedV1 { at: at.as_millis(), outcome, reason: reason.clone() }))
            }
        };
        let stop = session.stop.as_ref().map(|stop| StopV1 {
            cause: stop.cause.as_str().into(),
            at: stop.at.as_millis(),
            took: stop.took.map(micros),
        });
        Self {
            cause: session.cause.as_str().into(),
            ordered_at: session.ordered_at.as_millis(),
            by: (!session.by.is_nobody()).then(|| session.by.clone().into()),
            ready,
            failed,
            stop,
        }
    }
}

impl TryFrom<SessionV1> for Session {
    type Error = RecordError;

    fn try_from(record: SessionV1) -> Result<Self, RecordError> {
        let wake = match (record.ready, record.failed) {
            (_, Some(failed)) => Wake::Failed {
                at: Timestamp::from_millis(failed.at),
                outcome: word(WakeOutcome::parse, failed.outcome)?,
                reason: failed.reason,
            },
            (Some(ready), None) => Wake::Ready {
                at: Timestamp::from_millis(ready.at),
                took: ready.took.map(Duration::from_micros),
                engine: ready.engine.map(Duration::from_micros),
            },
            (None, None) => Wake::Pending,
        };
        let stop = record
            .stop
            .map(|stop| {
                Ok::<_, RecordError>(SessionStop {
                    cause: word(StopCause::parse, stop.cause)?,
                    at: Timestamp::from_millis(stop.at),
                    took: stop.took.map(Duration::from_micros),
                })
            })
            .transpose()?;
        let cause = word(WakeCause::parse, record.cause)?;
        let by = record.by.map(Into::into).unwrap_or_default();
        Ok(Self { cause, ordered_at: Timestamp::from_millis(record.ordered_at), by, wake, stop })
    }
}
