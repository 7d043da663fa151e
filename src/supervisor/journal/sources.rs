//! What others tell the journal: Docker's connection, the disk, Caddy.

use tokio::sync::watch;

use crate::domain::words::PublishOutcome;
use crate::store::StoreHealth;
use crate::supervisor::journal::{Journal, What};
use crate::supervisor::news::EngineStatus;
use crate::supervisor::publish::PublishState;

impl Journal {
    /// Tells of Docker's comings and goings.
    pub(in crate::supervisor) async fn follow_engine(self, mut status: watch::Receiver<EngineStatus>) {
        let mut before = None;
        while status.changed().await.is_ok() {
            let EngineStatus { connected, version, .. } = status.borrow_and_update().clone();
            if before.replace(connected) != Some(connected) {
                self.publish(None, What::Engine { connected, version });
            }
        }
    }

    /// Tells when the store cannot write any more, and when it can again.
    pub(in crate::supervisor) async fn follow_store(self, mut health: watch::Receiver<StoreHealth>) {
        let mut lost = 0;
        let mut writable = true;
        while health.changed().await.is_ok() {
            let now = health.borrow_and_update().clone();
            let what = match now {
                StoreHealth::Ok if writable => continue,
                StoreHealth::Ok => What::Store { writable: true, reason: None, dropped: lost },
                StoreHealth::ReadOnly { reason, dropped, .. } => {
                    lost = dropped;
                    if !writable {
                        // The same outage: how much was lost is told at its end.
                        continue;
                    }
                    What::Store { writable: false, reason: Some(reason.to_string()), dropped }
                }
            };
            writable = matches!(what, What::Store { writable: true, .. });
            self.publish(None, what);
        }
    }

    /// Tells how Caddy took the routes: each attempt that changed something, and each that failed
    /// in another way than the one before.
    pub async fn follow_publish(self, mut state: watch::Receiver<PublishState>) {
        let mut before = None;
        while state.changed().await.is_ok() {
            let PublishState { outcome, message, hosts, .. } = state.borrow_and_update().clone();
            let Some(outcome) = outcome else { continue };
            let same = before.replace((outcome, message.clone())) == Some((outcome, message.clone()));
            let news = match outcome {
                PublishOutcome::Published => true,
                PublishOutcome::Unchanged | PublishOutcome::Rejected | PublishOutcome::Unreachable => !same,
            };
            if news {
                self.publish(None, What::Published { outcome, hosts, message });
            }
        }
    }
}
