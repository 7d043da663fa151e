//! The way to talk to the catalog.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::config::{FileSources, Layer, Loaded};
use crate::domain::service::ServiceSpec;
use crate::domain::words::Origin;
use crate::supervisor::catalog::{Catalog, Entry};
use crate::supervisor::fleet::Fleet;
use crate::supervisor::publish::PublisherHandle;

/// What a catalog is made of.
#[derive(Debug)]
pub struct Parts {
    pub fleet: Arc<Fleet>,
    pub publisher: PublisherHandle,
}

/// The way to talk to the catalog; cheap to clone.
#[derive(Debug, Clone)]
pub struct CatalogHandle(Arc<Inner>);

/// What an assembly works with.
#[derive(Debug, Default)]
struct Assembling {
    /// Whether the publisher is told the sites.
    publishes: bool,
}

#[derive(Debug)]
struct Inner {
    parts: Parts,
    /// One assembly at a time.
    assembling: Mutex<Assembling>,
    current: watch::Sender<Arc<Catalog>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind this lock is whole at every step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CatalogHandle {
    /// A catalog without services.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner { parts, assembling: Mutex::default(), current: watch::Sender::default() }))
    }

    /// All services as of now.
    #[must_use]
    pub fn current(&self) -> Arc<Catalog> {
        Arc::clone(&self.0.current.borrow())
    }

    /// Every change from now on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Catalog>> {
        self.0.current.subscribe()
    }

    /// The configuration was read, or edited. When this returns, the fleet has its services and
    /// the publisher its sites.
    pub fn configure(&self, loaded: &Loaded) {
        let assembling = lock(&self.0.assembling);
        let catalog = of_file(&loaded.config.services, &loaded.sources);
        self.0.parts.fleet.apply(&loaded.config.services);
        self.0.current.send_replace(Arc::new(catalog));
        if assembling.publishes {
            self.0.parts.publisher.set_sites(self.0.parts.fleet.hosts());
        }
    }

    /// From now on Caddy is told the sites. Not before there is somebody to serve them: a WakeDock
    /// that has just started must not take routes away.
    pub fn begin_to_publish(&self) {
        let mut assembling = lock(&self.0.assembling);
        assembling.publishes = true;
        self.0.parts.publisher.set_sites(self.0.parts.fleet.hosts());
    }
}

fn of_file(services: &[ServiceSpec], sources: &FileSources) -> Catalog {
    let entry = |spec: &ServiceSpec| {
        let said = sources.services.iter().find(|(name, _)| *name == spec.name).map(|(_, layer)| layer);
        let mut origins: Vec<_> =
            said.into_iter().flat_map(Layer::iter).map(|(key, _)| (key, Origin::File)).collect();
        for (key, _) in sources.defaults.iter() {
            if !origins.iter().any(|(own, _)| *own == key) {
                origins.push((key, Origin::Shared));
            }
        }
        Entry {
            name: spec.name.clone(),
            spec: Some(Arc::new(spec.clone())),
            sources: vec![Origin::File],
            problems: Vec::new(),
            api: None,
            container: spec.container.to_string(),
            removed: false,
            origins,
        }
    };
    let entries = services.iter().map(|spec| (spec.name.clone(), Arc::new(entry(spec)))).collect();
    Catalog { entries, problems: Vec::new() }
}
