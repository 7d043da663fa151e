//! The way to talk to the catalog.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::config::Loaded;
use crate::store::Store;
use crate::supervisor::catalog::Catalog;
use crate::supervisor::catalog::state::State;
use crate::supervisor::catalog::told::tell_problems;
use crate::supervisor::fleet::Fleet;
use crate::supervisor::publish::PublisherHandle;

/// What a catalog is made of.
#[derive(Debug)]
pub struct Parts {
    pub fleet: Arc<Fleet>,
    pub publisher: PublisherHandle,
    pub store: Store,
}

/// The way to talk to the catalog; cheap to clone.
#[derive(Debug, Clone)]
pub struct CatalogHandle(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) parts: Parts,
    state: Mutex<State>,
    /// One change by the API at a time.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// One look at the containers at a time.
    pub(super) looking: tokio::sync::Mutex<()>,
    /// One record of what was found at a time.
    pub(super) saving: tokio::sync::Mutex<()>,
    /// Rung when what labels make is to be written down.
    pub(super) unsaved: Arc<Notify>,
    current: watch::Sender<Arc<Catalog>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Without a catalog nobody looks.
impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole at every step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CatalogHandle {
    /// A catalog of what the API said and what labels made. Where the store does not say, it is asked
    /// again until it does. Nothing is taken up before [`CatalogHandle::configure`].
    pub async fn open(parts: Parts) -> Self {
        let inner = Arc::new(Inner {
            parts,
            state: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            saving: tokio::sync::Mutex::default(),
            unsaved: Arc::default(),
            current: watch::Sender::default(),
            task: Mutex::default(),
        });
        inner.recall().await;
        Self(inner)
    }

    /// All services as of now.
    #[must_use]
    pub fn current(&self) -> Arc<Catalog> {
        self.0.current()
    }

    /// Every change from now on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Catalog>> {
        self.0.current.subscribe()
    }

    /// The configuration was read, or edited. When this returns, the fleet has its services and
    /// the publisher its sites.
    pub fn configure(&self, loaded: &Loaded) {
        self.0.change(|state| {
            state.configure(loaded);
            true
        });
        // Other labels may count now.
        self.0.parts.fleet.stir().ring();
    }

    /// From now on Caddy is told the sites. Not before there is somebody to serve them: a WakeDock
    /// that has just started must not take routes away.
    pub fn begin_to_publish(&self) {
        self.0.parts.fleet.begin();
        self.0.change(|state| {
            state.publishes = true;
            true
        });
    }
}

impl Inner {
    pub(super) fn current(&self) -> Arc<Catalog> {
        Arc::clone(&self.current.borrow())
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Keeps a task until the catalog is gone.
    pub(super) fn own(&self, task: JoinHandle<()>) {
        if let Some(before) = lock(&self.task).replace(task) {
            before.abort();
        }
    }

    /// Changes what the sources say, and brings catalog, fleet and publisher in step where that
    /// changed anything.
    pub(super) fn change(&self, change: impl FnOnce(&mut State) -> bool) {
        let mut state = self.state();
        if !change(&mut state) || !state.is_configured {
            return;
        }
        let before = self.current();
        let (catalog, is_unsaved) = state.catalog(&before);
        if is_unsaved {
            self.unsaved.notify_one();
        }
        let fleet = &self.parts.fleet;
        fleet.take_in(catalog.entries.values().filter_map(|entry| entry.spec.clone()).collect());
        for handle in fleet.services().iter() {
            let entry = catalog.entries.get(&handle.name());
            handle.comes_back(entry.is_some_and(|entry| entry.removed));
        }
        if *before != catalog {
            tell_problems(fleet.journal(), &before, &catalog);
            self.current.send_replace(Arc::new(catalog));
        }
        // Without what the API said, hosts would be missing that Caddy has.
        if state.publishes && state.unread.is_none() {
            self.parts.publisher.set_sites(fleet.hosts());
        }
    }
}
