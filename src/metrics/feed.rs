//! What became of events that somebody was too slow for: the disk, or a reader.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted by the journal of events.
#[derive(Debug, Default)]
pub struct FeedCounts {
    lagged: AtomicU64,
    unsaved: AtomicU64,
}

impl FeedCounts {
    /// A reader fell behind by this many events.
    pub fn lagged(&self, events: u64) {
        self.lagged.fetch_add(events, Ordering::Relaxed);
    }

    /// This many events were not written down, and never will be.
    pub fn unsaved(&self, events: u64) {
        self.unsaved.fetch_add(events, Ordering::Relaxed);
    }

    /// How many events were not written down.
    #[must_use]
    pub fn all_unsaved(&self) -> u64 {
        self.unsaved.load(Ordering::Relaxed)
    }

    /// The families in the text format.
    #[must_use]
    pub fn render(&self) -> String {
        format!(
            "# HELP wakedock_events_lagged_total Events that readers of the stream fell behind by; they are \
             given them again from memory or store.\n\
             # TYPE wakedock_events_lagged_total counter\n\
             wakedock_events_lagged_total {}\n\
             # HELP wakedock_events_lost_total Events that were not written down, because the disk was away.\n\
             # TYPE wakedock_events_lost_total counter\n\
             wakedock_events_lost_total {}\n",
            self.lagged.load(Ordering::Relaxed),
            self.all_unsaved(),
        )
    }
}
