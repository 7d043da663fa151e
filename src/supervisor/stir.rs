//! What happens to containers, for whoever reads their labels: rung when one comes or goes, and
//! waited for by whoever is about to stop one. A container that was made anew without its labels is
//! nobody's, and must not be stopped in the moment before that is seen.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// A stop waits no longer for a look: a second late is the most it may be.
const PATIENCE: Duration = Duration::from_millis(800);

#[derive(Debug, Default)]
pub(super) struct Stir {
    bell: Notify,
    rung: AtomicU64,
    /// How much of that has been looked at.
    seen: watch::Sender<u64>,
    /// Somebody looks at all.
    is_followed: AtomicBool,
}

impl Stir {
    /// A container came or went, or may have.
    pub(super) fn ring(&self) {
        self.rung.fetch_add(1, Ordering::AcqRel);
        self.bell.notify_one();
    }

    /// For the one who looks: returns when there is something to look at.
    pub(super) async fn rung(&self) {
        self.is_followed.store(true, Ordering::Release);
        self.bell.notified().await;
    }

    /// Where a look begins: what it does not see happens later.
    pub(super) fn mark(&self) -> u64 {
        self.rung.load(Ordering::Acquire)
    }

    /// Everything up to a mark has been looked at.
    pub(super) fn looked(&self, mark: u64) {
        self.seen.send_if_modified(|seen| std::mem::replace(seen, mark.max(*seen)) < mark);
    }

    /// Returns when everything so far has been looked at, or when that takes too long.
    pub(super) async fn settled(&self) {
        if !self.is_followed.load(Ordering::Acquire) {
            return;
        }
        let mark = self.mark();
        let mut seen = self.seen.subscribe();
        let _ = tokio::time::timeout(PATIENCE, seen.wait_for(|seen| *seen >= mark)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_a_look_and_not_for_ever() {
        let stir = Stir::default();
        stir.ring();
        tokio::time::timeout(Duration::from_millis(1), stir.settled()).await.expect("nobody looks");
        stir.rung().await;
        let mark = stir.mark();
        stir.ring();
        stir.looked(mark);
        assert!(tokio::time::timeout(Duration::from_millis(500), stir.settled()).await.is_err());
        stir.looked(stir.mark());
        tokio::time::timeout(Duration::from_millis(1), stir.settled()).await.expect("all is seen");
        stir.ring();
        tokio::time::timeout(Duration::from_secs(1), stir.settled()).await.expect("no later than this");
    }
}
