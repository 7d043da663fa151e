//! What happens, as numbered events: kept in memory for who follows, and in the store for who
//! looks back.
//!
//! Nobody who publishes an event waits, for the disk or for a reader. A reader that is too slow
//! loses its place in the feed and resumes with [`Journal::since`] from the last number it has
//! seen. Numbers grow and are never used twice, also over restarts; there may be gaps.

mod event;
mod record;
mod saver;
mod sources;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast};

use crate::clock;
use crate::domain::name::ServiceName;
use crate::metrics::FeedCounts;
use crate::store::{ChangeError, Store};
pub use event::{Event, What};
pub(in crate::supervisor) use record::EVENTS;

/// The newest events that are held in memory.
const RING: usize = 512;
/// How far a subscriber may fall behind before it loses its place.
const FEED: usize = 256;
/// Events that may wait for the disk; beyond it the oldest are lost, and counted.
const UNSAVED: usize = 2_048;

/// The way to the events. Cheap to clone.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    ring: Mutex<Ring>,
    feed: broadcast::Sender<Arc<Event>>,
    /// Rung when there is something to save.
    bell: Notify,
    /// Rung when somebody begins to follow.
    watched: Notify,
    counts: FeedCounts,
    /// One writer at a time.
    saving: tokio::sync::Mutex<()>,
    store: Store,
}

struct Ring {
    next: u64,
    events: VecDeque<Arc<Event>>,
    unsaved: VecDeque<Arc<Event>>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("next", &self.lock().next).finish_non_exhaustive()
    }
}

impl Journal {
    /// A journal over a store. `next` is the first number that it may give
    /// ([`crate::store::Remembered::next_event`]).
    #[must_use]
    pub fn new(store: Store, next: u64) -> Self {
        let ring = Ring { next: next.max(1), events: VecDeque::new(), unsaved: VecDeque::new() };
        Self(Arc::new(Inner {
            ring: Mutex::new(ring),
            feed: broadcast::Sender::new(FEED),
            bell: Notify::new(),
            watched: Notify::new(),
            counts: FeedCounts::default(),
            saving: tokio::sync::Mutex::default(),
            store,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // Whole at every step.
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened, to a service or to WakeDock as a whole. Waits for nobody.
    pub fn publish(&self, service: Option<ServiceName>, what: What) {
        let mut ring = self.lock();
        let event = Arc::new(Event { id: ring.next, at: clock::wall(), service, what });
        ring.next += 1;
        if ring.events.len() == RING {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::clone(&event));
        if ring.unsaved.len() == UNSAVED {
            ring.unsaved.pop_front();
            self.0.counts.unsaved(1);
        }
        ring.unsaved.push_back(Arc::clone(&event));
        // Under the lock, so that the feed is in the order of the numbers. Nobody may be listening.
        let _ = self.0.feed.send(event);
        drop(ring);
        self.0.bell.notify_one();
    }

    /// Every event from now on. Who falls behind is told so by the channel, and catches up with
    /// [`Journal::since`].
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        let feed = self.0.feed.subscribe();
        self.0.watched.notify_one();
        feed
    }

    /// Returns when somebody has begun to follow.
    pub(super) async fn watched(&self) {
        self.0.watched.notified().await;
    }

    /// Whether anybody follows the events at the moment: a dashboard is open.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.0.feed.receiver_count() > 0
    }

    /// The number of the newest event; 0 where there was none yet.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.lock().next - 1
    }

    /// How many events were lost to a disk that was away.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.counts.all_unsaved()
    }

    /// What is counted of events that somebody was too slow for.
    #[must_use]
    pub fn counts(&self) -> &FeedCounts {
        &self.0.counts
    }

    /// The events after number `id`, the oldest first, at most `limit`; those of one service, or of
    /// all. What memory does not hold any more is read from the store; while that is away, there
    /// is a gap.
    pub async fn since(&self, id: u64, service: Option<&ServiceName>, limit: usize) -> Vec<Arc<Event>> {
        let (oldest, recent) = self.recent_after(id, service);
        let mut found = match oldest {
            Some(oldest) if id.saturating_add(1) >= oldest => Vec::new(),
            oldest => {
                // What memory has let go of may not have been written down yet.
                self.flush().await;
                self.saved(id.saturating_add(1), oldest.unwrap_or(u64::MAX), service, limit).await
            }
        };
        found.extend(recent);
        found.truncate(limit);
        found
    }

    /// The newest events before number `before` (`None`: the newest of all), the newest first, at
    /// most `limit`.
    ///
    /// # Errors
    /// Where the store is away, and memory does not hold enough.
    pub async fn before(
        &self,
        before: Option<u64>,
        service: Option<&ServiceName>,
        limit: usize,
    ) -> Result<Vec<Arc<Event>>, ChangeError<std::convert::Infallible>> {
        let before = before.unwrap_or(u64::MAX);
        let (oldest, mut found) = self.recent_after(0, service);
        found.retain(|event| event.id < before);
        found.reverse();
        found.truncate(limit);
        let left = limit - found.len();
        if left > 0 {
            let end = before.min(oldest.unwrap_or(u64::MAX));
            found.extend(self.saved_backwards(end, service, left).await?);
        }
        Ok(found)
    }

    /// The number of the oldest event in memory, and those in memory after `id`.
    fn recent_after(&self, id: u64, service: Option<&ServiceName>) -> (Option<u64>, Vec<Arc<Event>>) {
        let ring = self.lock();
        let wanted = |event: &&Arc<Event>| event.id > id && event.is_of(service);
        let recent = ring.events.iter().filter(wanted).cloned().collect();
        (ring.events.front().map(|event| event.id), recent)
    }
}
