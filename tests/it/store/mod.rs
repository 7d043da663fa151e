//! The store over real files and over faulty storage.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod backup;
mod crash;
mod disk;
mod faults;
mod files;
mod made;
mod memory;
mod tables;

use std::time::Duration;

use wakedock::domain::lifecycle::How;
use wakedock::domain::name::ServiceName;
use wakedock::domain::time::Timestamp;
use wakedock::domain::words::{StopCause, WakeCause};
use wakedock::store::{
    Activity, AskedBy, SessionEnd, SessionReady, SessionStart, SessionStop, StopIntent, Store,
};

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
}

fn quiet(seconds: i64) -> Activity {
    Activity::Quiet { since: at(seconds) }
}

fn intent(container: &str) -> StopIntent {
    StopIntent { container_id: container.into(), how: How::Stop, cause: StopCause::Idle, at: at(90) }
}

fn start(service: &str, seconds: i64) -> SessionStart {
    SessionStart {
        service: name(service),
        cause: WakeCause::Request,
        ordered_at: at(seconds),
        by: AskedBy::default(),
    }
}

fn ready(service: &str, seconds: i64, wake: Duration) -> SessionReady {
    SessionReady { service: name(service), at: at(seconds), wake: Some(wake), engine: None }
}

fn end(service: &str, seconds: i64) -> SessionEnd {
    let stop =
        SessionStop { cause: StopCause::Idle, at: at(seconds), took: Some(Duration::from_millis(250)) };
    SessionEnd { service: name(service), stop }
}

/// One whole session, a second long.
fn session(store: &Store, service: &str, seconds: i64) {
    store.session_started(start(service, seconds));
    store.session_ready(ready(service, seconds, Duration::from_millis(300)));
    store.session_ended(end(service, seconds + 1));
}

/// Waits for a step that must come, and fails where it doesn't.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("did not happen within 20 s")
}
