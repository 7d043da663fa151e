//! A house with every kind of service in it, for the tests of the views.

use serde_json::json;

use super::paint::Palette;
use super::services::Frame;
use crate::cli::wire::{Overview, Service};
use crate::domain::time::Timestamp;

/// 2026-11-23 14:00:00 UTC.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_795_442_400_000);

pub(super) fn frame(width: Option<usize>, colour: bool) -> Frame {
    Frame { now: NOW, width, palette: Palette { colour } }
}

/// So many seconds from now, as the API writes it.
fn at(seconds: i64) -> String {
    jiff::Timestamp::from_millisecond(NOW.as_millis() + seconds * 1000).unwrap().to_string()
}

pub(super) fn overview() -> Overview {
    serde_json::from_value(json!({
        "memory_bytes": 531_628_032_u64, "memory_saved_bytes": 3_328_599_654_u64,
        "wakes_today": 9, "wake_p50_ms": 640,
    }))
    .unwrap()
}

pub(super) fn services() -> Vec<Service> {
    let list = json!([
        { "name": "cloud", "phase": "ready", "since": at(-251), "hosts": ["cloud.example.com"],
          "container": "nextcloud-app", "sources": ["file"], "leases": 2, "requests": 731,
          "memory_bytes": 222_298_112_u64, "cpu": 3.2, "awake_because": "in-use", "wakes_today": 3,
          "usual_wake_ms": 2100,
          "last_wake": { "at": at(-253), "cause": "request", "outcome": "ready", "took_ms": 2130,
                         "engine_ms": 312, "client": "192.0.2.7", "path": "GET /login" } },
        { "name": "wiki", "phase": "ready", "since": at(-1900), "hosts": ["wiki.example.com", "*.wiki.example.com"],
          "container": "wiki", "memory_bytes": 96_468_992_u64, "awake_because": "idle", "sleeps_at": at(665),
          "wakes_today": 1, "last_wake": { "at": at(-1902), "cause": "request" } },
        { "name": "db", "phase": "ready", "since": at(-400_000), "hosts": [], "memory_bytes": 212_860_928_u64,
          "awake_because": "never", "last_wake": { "at": at(-400_000), "cause": "startup" } },
        { "name": "photos", "phase": "waking", "since": at(-4), "hosts": ["photos.example.com"], "held": 1,
          "usual_wake_ms": 6000, "wakes_today": 2, "last_wake": { "at": at(-86_400), "cause": "request" } },
        { "name": "paperless-office", "phase": "stopping", "since": at(-1), "hosts": ["paper.example.com"],
          "wakes_today": 1, "last_wake": { "at": at(-5000), "cause": "schedule" } },
        { "name": "git", "phase": "asleep", "since": at(-7_300), "hosts": ["git.example.com"], "paused": true,
          "memory_bytes": 1_048_576, "wakes_today": 1, "last_wake": { "at": at(-9000), "cause": "manual" } },
        { "name": "radio", "phase": "asleep", "since": at(-300_000), "hosts": ["radio.example.com"],
          "problems": [{ "key": "wakedock.stop-after", "value": "15", "origin": "label",
                         "reason": "is a bare number, and a duration carries its unit",
                         "mend": "write `15s` for seconds or `15m` for minutes" }] },
        { "name": "forum", "phase": "failed", "since": at(-8), "hosts": ["a-very-long-name-for-a-forum.example.com"],
          "wakes_today": 2, "last_wake": { "at": at(-9), "cause": "request", "outcome": "failed" },
          "failure": { "reason": "exited with code 1 after 0.3 s", "retry_at": at(4) } },
    ]);
    serde_json::from_value(list).unwrap()
}
