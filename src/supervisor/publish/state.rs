//! How WakeDock stands with Caddy.

use crate::domain::time::Timestamp;
use crate::domain::words::PublishOutcome;

/// How WakeDock stands with Caddy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishState {
    /// Of the last attempt. `None`: there was none yet, or the mode is `off`.
    pub outcome: Option<PublishOutcome>,
    /// When that was.
    pub at: Timestamp,
    /// For the operator: why not, in Caddy's own words where it said some.
    pub message: Option<String>,
    /// Caddy runs somebody else's configuration, which is left alone.
    pub foreign: bool,
    /// How many hosts Caddy was told of last.
    pub hosts: usize,
    /// Options in the operator's files that WakeDock's own take the place of.
    pub notes: Vec<String>,
}

impl PublishState {
    /// Whether Caddy runs what it should, as far as is known.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        use PublishOutcome::{Published, Rejected, Unchanged, Unreachable};
        match self.outcome {
            None | Some(Published | Unchanged) => !self.foreign,
            Some(Rejected | Unreachable) => false,
        }
    }
}
