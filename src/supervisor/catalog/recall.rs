//! What was written down of services: read at the start, and again until it is read.
//!
//! Until then nobody knows what API and dashboard said, and nothing is done that they might have
//! said against: Caddy keeps its routes, nothing falls asleep, and no change is taken.

use std::collections::btree_map::Entry;
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::Value as Json;

use crate::config::SourceProblem;
use crate::domain::service::IdlePolicy;
use crate::domain::words::Origin;
use crate::store::{ChangeError, CommitError, Interrupted, Order};
use crate::supervisor::catalog::discover::hash;
use crate::supervisor::catalog::handle::Inner;
use crate::supervisor::catalog::records;
use crate::supervisor::catalog::state::State;

/// Between two attempts, at first and at most.
const FIRST_AGAIN: Duration = Duration::from_millis(100);
const LAST_AGAIN: Duration = Duration::from_secs(2);

/// The records of both tables, by their keys.
pub(super) type Written = (Vec<(String, Json)>, Vec<(String, Json)>);

impl Inner {
    /// Reads what was written down, or sees to it that it is read later.
    pub(super) async fn recall(self: &Arc<Self>) {
        match self.read_written().await {
            Ok(written) => self.state().take_in(written),
            Err(error) => {
                tracing::error!(
                    %error,
                    "what API and dashboard said about services was not read: it is tried again, and until \
                     then routes stay as they are and nothing is put to sleep"
                );
                self.state().unread = Some(error.to_string());
                tokio::spawn(recall_again(Arc::downgrade(self)));
            }
        }
    }

    async fn read_written(&self) -> Result<Written, CommitError> {
        let read = self.parts.store.read(|tables| {
            let all = |table| tables.scan(table, .., Order::Ascending, usize::MAX);
            Ok::<_, Interrupted<Infallible>>((all(&records::API)?, all(&records::LABELLED)?))
        });
        read.await.map_err(|error| match error {
            ChangeError::Refused(never) => match never {},
            ChangeError::Commit(error) => error,
        })
    }
}

async fn recall_again(inner: Weak<Inner>) {
    let mut pause = FIRST_AGAIN;
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_AGAIN);
        let Some(inner) = inner.upgrade() else { return };
        match inner.read_written().await {
            Ok(written) => {
                inner.change(|state| {
                    state.take_in(written);
                    true
                });
                tracing::info!("what API and dashboard said about services is read");
                // What labels make was seen without its past.
                inner.parts.fleet.stir().ring();
                inner.unsaved.notify_one();
                return;
            }
            Err(error) => tracing::debug!(%error, "what API and dashboard said is still not read"),
        }
    }
}

impl State {
    /// Takes in what was written down, below what was seen since.
    fn take_in(&mut self, (api, labelled): Written) {
        self.unread = None;
        for (key, record) in api {
            match records::to_api(&key, record) {
                Some((name, layer)) => drop(self.api.insert(name, Arc::new(layer))),
                None => tracing::error!(
                    service = key,
                    "what the API said about it cannot be read, and is left out"
                ),
            }
        }
        for (container, record) in labelled {
            self.written.insert(container.clone(), hash(&record.to_string()));
            let Some(known) = records::to_known(&container, record) else { continue };
            if self.is_configured && !self.labels {
                continue;
            }
            match self.contenders.known.entry(container) {
                Entry::Vacant(place) => drop(place.insert(known)),
                Entry::Occupied(mut seen) => {
                    let seen = seen.get_mut();
                    if seen.id == known.id {
                        seen.created = known.created;
                    }
                    (seen.was, seen.holds) = (known.was, known.holds);
                }
            }
        }
    }

    /// What is told while it is not read.
    pub(super) fn unread_problem(&self) -> Option<SourceProblem> {
        Some(SourceProblem {
            key: "services".to_owned(),
            value: None,
            reason: format!("made by API and dashboard could not be read yet ({})", self.unread.as_ref()?),
            mend: "it is tried again by itself; until then routes stay as they are, and nothing is put to \
                   sleep. Look after the disk of `data_dir`"
                .to_owned(),
            origin: Origin::Api,
            container: None,
        })
    }
}

/// How something sleeps of which nobody knows whether the API said that it must not.
pub(super) fn wakeful(idle: &IdlePolicy) -> IdlePolicy {
    IdlePolicy { pause_after: None, stop_after: None, ..idle.clone() }
}
