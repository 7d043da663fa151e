//! The way to talk to the catalog.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::config::Loaded;
use crate::store::{ChangeError, CommitError, Interrupted, Order, Store};
use crate::supervisor::catalog::discover::hash;
use crate::supervisor::catalog::state::State;
use crate::supervisor::catalog::{Catalog, records};
use crate::supervisor::fleet::Fleet;
use crate::supervisor::publish::PublisherHandle;

/// So many problems are logged at once; all of them are in the catalog.
const MOST_TOLD: usize = 20;

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
    /// A catalog of what the API said and what labels made, as far as the store has it. Nothing is taken up before
    /// [`CatalogHandle::configure`].
    pub async fn open(parts: Parts) -> Self {
        let inner = Inner {
            parts,
            state: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            saving: tokio::sync::Mutex::default(),
            unsaved: Arc::default(),
            current: watch::Sender::default(),
            task: Mutex::default(),
        };
        if let Err(error) = inner.recall().await {
            tracing::error!(%error, "what API, dashboard and labels said about services was not read");
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
        self.0.change(|state| {
            state.configure(loaded);
            true
        });
        // Other labels may count now.
        self.0.parts.fleet.stirred().notify_one();
    }

    /// From now on Caddy is told the sites. Not before there is somebody to serve them: a WakeDock
    /// that has just started must not take routes away.
    pub fn begin_to_publish(&self) {
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
            tell_problems(&before, &catalog);
            self.current.send_replace(Arc::new(catalog));
        }
        if state.publishes {
            self.parts.publisher.set_sites(fleet.hosts());
        }
    }

    /// Reads what was written down.
    async fn recall(&self) -> Result<(), CommitError> {
        let read = self.parts.store.read(|tables| {
            let all = |table| tables.scan(table, .., Order::Ascending, usize::MAX);
            Ok::<_, Interrupted<Infallible>>((all(&records::API)?, all(&records::LABELLED)?))
        });
        let (api, labelled) = read.await.map_err(|error| match error {
            ChangeError::Refused(never) => match never {},
            ChangeError::Commit(error) => error,
        })?;
        let mut state = self.state();
        for (key, record) in api {
            match records::to_api(&key, record) {
                Some((name, layer)) => drop(state.api.insert(name, Arc::new(layer))),
                None => tracing::error!(
                    service = key,
                    "what the API said about it cannot be read, and is left out"
                ),
            }
        }
        for (container, record) in labelled {
            state.written.insert(container.clone(), hash(&record.to_string()));
            if let Some(known) = records::to_known(&container, record) {
                state.contenders.known.insert(container, known);
            }
        }
        Ok(())
    }
}

/// What is wrong is told once, when it comes up.
fn tell_problems(before: &Catalog, now: &Catalog) {
    let mut fresh = Vec::new();
    for (name, entry) in &now.entries {
        let known = before.entries.get(name).map_or(&[][..], |before| &before.problems);
        let new = entry.problems.iter().filter(|problem| !known.contains(problem));
        fresh.extend(new.map(|problem| (name.as_str(), &*entry.container, problem)));
    }
    for problem in now.problems.iter().filter(|problem| !before.problems.contains(problem)) {
        fresh.push(("", problem.container.as_deref().unwrap_or_default(), problem));
    }
    for (service, container, problem) in fresh.iter().take(MOST_TOLD) {
        tracing::warn!(service, container, origin = %problem.origin, "{problem}");
    }
    if let Some(more) = fresh.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        tracing::warn!(more, "problems of services that are not listed here");
    }
}
