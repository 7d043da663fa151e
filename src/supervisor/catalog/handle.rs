//! The way to talk to the catalog.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::config::Loaded;
use crate::store::{ChangeError, CommitError, Order, Store};
use crate::supervisor::catalog::state::State;
use crate::supervisor::catalog::{Catalog, records};
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
    current: watch::Sender<Arc<Catalog>>,
}

impl CatalogHandle {
    /// A catalog of what the API said, as far as the store has it. Nothing is taken up before
    /// [`CatalogHandle::configure`].
    pub async fn open(parts: Parts) -> Self {
        let inner = Inner {
            parts,
            state: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            current: watch::Sender::default(),
        };
        if let Err(error) = inner.recall().await {
            tracing::error!(%error, "what API and dashboard said about services was not read");
        }
        Self(Arc::new(inner))
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
        self.0.change(|state| state.configure(loaded));
    }

    /// From now on Caddy is told the sites. Not before there is somebody to serve them: a WakeDock
    /// that has just started must not take routes away.
    pub fn begin_to_publish(&self) {
        self.0.change(|state| state.publishes = true);
    }
}

impl Inner {
    pub(super) fn current(&self) -> Arc<Catalog> {
        Arc::clone(&self.current.borrow())
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // What is behind this lock is whole at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what the sources say, and brings catalog, fleet and publisher in step.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let catalog = state.catalog(&self.current());
        let specs = catalog.entries.values().filter_map(|entry| entry.spec.clone());
        self.parts.fleet.take_in(specs.collect());
        self.current.send_if_modified(|current| {
            let is_news = **current != catalog;
            if is_news {
                *current = Arc::new(catalog);
            }
            is_news
        });
        if state.publishes {
            self.parts.publisher.set_sites(self.parts.fleet.hosts());
        }
    }

    /// Reads what was written down.
    async fn recall(&self) -> Result<(), CommitError> {
        let read = self.parts.store.read(|tables| {
            Ok::<_, crate::store::Interrupted<std::convert::Infallible>>(tables.scan(
                &records::API,
                ..,
                Order::Ascending,
                usize::MAX,
            )?)
        });
        let found = read.await.map_err(|error| match error {
            ChangeError::Refused(never) => match never {},
            ChangeError::Commit(error) => error,
        })?;
        let mut state = self.state();
        for (key, record) in found {
            match records::to_api(&key, record) {
                Some((name, layer)) => drop(state.api.insert(name, Arc::new(layer))),
                None => tracing::error!(
                    service = key,
                    "what the API said about it cannot be read, and is left out"
                ),
            }
        }
        Ok(())
    }
}
