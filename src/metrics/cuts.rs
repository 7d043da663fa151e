//! What was closed for a limit, without an answer that would count as a refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::words::Limit;

/// A counter for each limit, shared by all workers: none of them is on the way of a request.
#[derive(Debug, Clone, Default)]
pub struct Cuts(Arc<[AtomicU64; Limit::ALL.len()]>);

impl Cuts {
    /// Something was closed for this limit.
    pub fn count(&self, limit: Limit) {
        self.0[limit as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often that has happened.
    #[must_use]
    pub fn of(&self, limit: Limit) -> u64 {
        self.0[limit as usize].load(Ordering::Relaxed)
    }

    /// The family in the text format.
    pub(super) fn render(&self) -> String {
        let mut text = String::from(
            "# HELP wakedock_cuts_total Connections and streams that were closed for a limit, by limit.\n\
             # TYPE wakedock_cuts_total counter\n",
        );
        for limit in Limit::ALL {
            text.push_str(&format!("wakedock_cuts_total{{limit=\"{limit}\"}} {}\n", self.of(*limit)));
        }
        text
    }
}
