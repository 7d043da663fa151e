//! Looks for containers that ask for WakeDock by their labels: when Docker tells of one that came or
//! went, at each connection, and every minute; and writes down what it found.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock;
use crate::ports::{Listed, Listing, ReadError};
use crate::store::{ChangeError, CommitError, Interrupted};
use crate::supervisor::catalog::contenders::Contenders;
use crate::supervisor::catalog::handle::{CatalogHandle, Inner};
use crate::supervisor::catalog::records;
use crate::supervisor::stir::Stir;

/// What comes together is looked at together.
const TOGETHER: Duration = Duration::from_millis(100);
/// Between two looks, however much happens.
const PAUSE: Duration = Duration::from_millis(400);
/// After what was found could not be written down.
const AGAIN: Duration = Duration::from_secs(5);
/// The label without which a container is none of ours.
const ENABLE: &str = "wakedock.enable";

impl CatalogHandle {
    /// Looks at all containers once; returns when that is done or `patience` is over.
    pub async fn look(&self, patience: Duration) {
        if tokio::time::timeout(patience, self.0.look()).await.is_err() {
            tracing::warn!("the containers were not listed within {patience:?}; going on with those known");
        }
    }

    /// From now on looks whenever something happens.
    pub fn follow(&self) {
        let fleet = &self.0.parts.fleet;
        let task = tokio::spawn(follow(Arc::downgrade(&self.0), fleet.stir(), Arc::clone(&self.0.unsaved)));
        self.0.own(task);
    }

    /// All containers that the engine has.
    ///
    /// # Errors
    /// Where the engine does not say.
    pub async fn containers(&self) -> Result<Vec<Listed>, ReadError> {
        self.0.parts.fleet.engine().list(Listing::All).await
    }
}

async fn follow(inner: Weak<Inner>, stir: Arc<Stir>, unsaved: Arc<Notify>) {
    loop {
        let is_news = tokio::select! {
            () = stir.rung() => true,
            () = unsaved.notified() => false,
        };
        if is_news {
            tokio::time::sleep(TOGETHER).await;
            let Some(inner) = inner.upgrade() else { return };
            inner.look().await;
        }
        let Some(inner) = inner.upgrade() else { return };
        if let Err(error) = inner.save().await {
            tracing::debug!(%error, "what labels say was not written down");
            let unsaved = Arc::clone(&unsaved);
            drop(tokio::spawn(async move {
                tokio::time::sleep(AGAIN).await;
                unsaved.notify_one();
            }));
        }
        drop(inner);
        if is_news {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Inner {
    /// Lists the containers, and takes in what their labels say.
    pub(super) async fn look(&self) {
        let _alone = self.looking.lock().await;
        let stir = self.parts.fleet.stir();
        let mark = stir.mark();
        if !self.state().labels {
            self.change(|state| std::mem::take(&mut state.contenders) != Contenders::default());
            return stir.looked(mark);
        }
        match self.list().await {
            Ok(listed) => {
                self.change(|state| {
                    if !state.labels {
                        // Switched off while the list was under way.
                        return false;
                    }
                    let seen = state.contenders.seen(&listed, state.rules, clock::wall());
                    let is_news = seen != state.contenders;
                    state.contenders = seen;
                    is_news
                });
                self.state().is_refused = false;
                stir.looked(mark);
            }
            Err(error) => self.tell_unlisted(&error),
        }
    }

    async fn list(&self) -> Result<Vec<Listed>, ReadError> {
        let engine = self.parts.fleet.engine();
        let listed = engine.list(Listing::WithLabel(ENABLE)).await?;
        let is_missing = {
            let names: std::collections::HashSet<_> = listed.iter().map(|listed| &listed.name).collect();
            self.state().contenders.known.keys().any(|name| !names.contains(name))
        };
        // Gone, or there without the label: that makes a difference.
        if is_missing { engine.list(Listing::All).await } else { Ok(listed) }
    }

    fn tell_unlisted(&self, error: &ReadError) {
        let is_refused = matches!(error, ReadError::Refused { .. });
        let was_refused = std::mem::replace(&mut self.state().is_refused, is_refused);
        if is_refused && !was_refused {
            tracing::warn!(
                %error,
                "Docker does not list its containers: services by label stay as they are; a socket proxy \
                 must allow GET /containers/json and /images/NAME/json"
            );
        } else {
            tracing::debug!(%error, "the containers were not listed");
        }
    }

    /// Writes down the services that labels make, where that is news.
    pub(super) async fn save(&self) -> Result<(), CommitError> {
        let _alone = self.saving.lock().await;
        let (changes, written) = {
            let state = self.state();
            if state.unread.is_some() {
                // What is there is not known yet, and nothing of it is to be lost.
                return Ok(());
            }
            let mut changes = Vec::new();
            let mut written = BTreeMap::new();
            for (container, known) in state.contenders.known.iter().filter(|(_, known)| known.was.is_some()) {
                let record = records::of_known(known);
                let hash = hash(&record.to_string());
                if state.written.get(container) != Some(&hash) {
                    changes.push((container.clone(), Some(record)));
                }
                written.insert(container.clone(), hash);
            }
            let gone = state.written.keys().filter(|container| !written.contains_key(*container));
            changes.extend(gone.map(|container| (container.clone(), None)));
            (changes, written)
        };
        if changes.is_empty() {
            return Ok(());
        }
        let change = self.parts.store.change(move |tables| {
            for (container, record) in &changes {
                match record {
                    Some(record) => tables.put(&records::LABELLED, container, record)?,
                    None => drop(tables.remove(&records::LABELLED, container)?),
                }
            }
            Ok::<_, Interrupted<std::convert::Infallible>>(())
        });
        change.await.map_err(|error| match error {
            ChangeError::Refused(never) => match never {},
            ChangeError::Commit(error) => error,
        })?;
        self.state().written = written;
        Ok(())
    }
}

/// Tells a record that was written down from one that was not.
pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
