//! Roll-ups as they lie in the store, under the start of the hour or day and the service: those of
//! one hour lie together, so that a minute's writing touches few pages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::store::Table;
use crate::supervisor::rollup::Rollup;

pub(super) static HOURS: Table<RollupRecord> = Table::new("hours");
pub(super) static DAYS: Table<RollupRecord> = Table::new("days");
/// How far days are added up, in milliseconds since the Unix epoch.
pub(super) const MARKS: Table<i64> = Table::new("rollup_marks");
pub(super) const TODAY: Table<TodayRecord> = Table::new("today");

/// The key of a service's record: its text order is that of the starts.
pub(super) fn key(start: i64, service: &str) -> String {
    format!("{:015}/{service}", start.max(0))
}

/// The start and the service of a key.
pub(super) fn parts(key: &str) -> Option<(i64, &str)> {
    let (start, service) = key.split_once('/')?;
    Some((start.parse().ok()?, service))
}

/// Times in seconds, memory in byte-seconds. What is zero is left out.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RollupRecord {
    #[serde(skip_serializing_if = "is_zero")]
    requests: u64,
    #[serde(skip_serializing_if = "is_zero")]
    wakes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    failed_wakes: u64,
    #[serde(skip_serializing_if = "is_nothing")]
    awake: f64,
    #[serde(skip_serializing_if = "is_nothing")]
    asleep: f64,
    #[serde(skip_serializing_if = "is_nothing")]
    memory: f64,
    #[serde(skip_serializing_if = "is_nothing")]
    cpu: f64,
    #[serde(skip_serializing_if = "is_nothing")]
    saved: f64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_nothing(sum: &f64) -> bool {
    *sum == 0.0
}

/// To the millisecond and the byte-second: more figures say nothing.
fn round(sum: f64, figures: f64) -> f64 {
    (sum * figures).round() / figures
}

impl From<&Rollup> for RollupRecord {
    fn from(rollup: &Rollup) -> Self {
        Self {
            requests: rollup.requests,
            wakes: rollup.wakes,
            failed_wakes: rollup.failed_wakes,
            awake: round(rollup.awake_seconds, 1e3),
            asleep: round(rollup.asleep_seconds, 1e3),
            memory: rollup.memory_byte_seconds.round(),
            cpu: round(rollup.cpu_seconds, 1e6),
            saved: rollup.saved_byte_seconds.round(),
        }
    }
}

impl From<RollupRecord> for Rollup {
    fn from(record: RollupRecord) -> Self {
        Self {
            start: crate::domain::time::Timestamp::default(),
            requests: record.requests,
            wakes: record.wakes,
            failed_wakes: record.failed_wakes,
            awake_seconds: record.awake,
            asleep_seconds: record.asleep,
            memory_byte_seconds: record.memory,
            cpu_seconds: record.cpu,
            saved_byte_seconds: record.saved,
        }
    }
}

/// The day so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct TodayRecord {
    /// When it began, in milliseconds since the Unix epoch.
    pub(super) day: i64,
    /// Successful wakes by service.
    pub(super) wakes: BTreeMap<String, u64>,
    /// How long the newest of them took.
    pub(super) took_ms: Vec<u32>,
}

impl TodayRecord {
    pub(super) fn new(day: i64) -> Self {
        Self { day, ..Self::default() }
    }

    /// What an earlier process counted of the same day.
    pub(super) fn add(&mut self, earlier: Self) {
        for (service, wakes) in earlier.wakes {
            *self.wakes.entry(service).or_default() += wakes;
        }
        let later = std::mem::replace(&mut self.took_ms, earlier.took_ms);
        self.took_ms.extend(later);
    }
}
