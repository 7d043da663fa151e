//! Docker's news: the event stream, its reconnection, and the comparison of everything with the
//! engine at each connection and every minute. A stream that ends is a state, never an end.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;

use crate::clock;
use crate::domain::time::Timestamp;
use crate::ports::ContainerEngine;
use crate::supervisor::fleet::Fleet;

/// Between two comparisons of everything.
const EVERY: Duration = Duration::from_secs(60);
/// A stream that lived this long was a good one; one that ends at once, time after time, is refused
/// by something in between.
const GOOD: Duration = Duration::from_secs(5);
/// Between two attempts to reach Docker: from, to.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Whether Docker answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineStatus {
    pub connected: bool,
    /// Since when that is so.
    pub since: Timestamp,
    /// Engine and API version, while it answers.
    pub version: Option<String>,
}

impl EngineStatus {
    pub(super) fn unknown() -> Self {
        Self { connected: false, since: clock::wall(), version: None }
    }
}

/// Reads the news for ever.
pub(super) async fn read(
    fleet: Weak<Fleet>,
    engine: Arc<dyn ContainerEngine>,
    status: watch::Sender<EngineStatus>,
) {
    // A little overlap: an event that is seen twice is only one more look.
    let overlap = 1_000;
    let mut since = Timestamp::from_millis(clock::wall().as_millis() - overlap);
    let mut pause = BACK_OFF.0;
    loop {
        match engine.version().await {
            Ok(version) => {
                let text = format!("{} (API {})", version.engine, version.api);
                if !status.borrow().connected {
                    tracing::info!(version = %text, "Docker answers");
                }
                tell(&status, true, Some(text));
                let began = clock::now();
                let (newest, error) = follow(&fleet, &*engine, since).await;
                let was_good = newest > since || clock::now().since(began) >= GOOD;
                if was_good {
                    pause = BACK_OFF.0;
                }
                if was_good || pause == BACK_OFF.0 {
                    tracing::warn!(error, "Docker's event stream ended");
                }
                since = Timestamp::from_millis(newest.as_millis() - overlap);
            }
            Err(error) => {
                if status.borrow().connected || pause == BACK_OFF.0 {
                    tracing::warn!(%error, "Docker does not answer; what is awake is still served");
                }
            }
        }
        if engine.version().await.is_err() {
            tell(&status, false, None);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(BACK_OFF.1);
    }
}

fn tell(status: &watch::Sender<EngineStatus>, connected: bool, version: Option<String>) {
    status.send_if_modified(|status| {
        let changed = status.connected != connected || status.version != version;
        if status.connected != connected {
            status.since = clock::wall();
        }
        status.connected = connected;
        status.version = version;
        changed
    });
}

/// Follows one stream to its end. Returns when the newest event happened,
/// and why it ended.
async fn follow(
    fleet: &Weak<Fleet>,
    engine: &dyn ContainerEngine,
    since: Timestamp,
) -> (Timestamp, Option<String>) {
    let mut events = engine.events(Some(since));
    let mut newest = since;
    let mut next_look = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => {
                    newest = newest.max(event.at);
                    if let Some(fleet) = fleet.upgrade() {
                        fleet.event(&event);
                    }
                }
                Some(Err(error)) => return (newest, Some(error.to_string())),
                None => return (newest, None),
            },
            // The first tick is at once: everything is compared when the stream begins.
            _ = next_look.tick() => {
                if let Some(fleet) = fleet.upgrade() {
                    fleet.look_at_all();
                }
            }
        }
    }
}
