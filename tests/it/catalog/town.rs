//! A catalog whose engine, store and clock belong to the test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use wakedock::caddy::sites::OwnAddresses;
use wakedock::config::{self, CaddyConfig, CaddyMode, Listen, Loaded};
use wakedock::domain::name::ServiceName;
use wakedock::domain::words::Refusal;
use wakedock::ports::ProbeAnswer;
use wakedock::store::Store;
use wakedock::supervisor::catalog::{self, CatalogHandle, Entry};
use wakedock::supervisor::fleet::{Fleet, Parts};
use wakedock::supervisor::handle::Asker;
use wakedock::supervisor::lease::Lease;
use wakedock::supervisor::publish::{Publisher, PublisherHandle};

use crate::support::fake_engine::FakeEngine;
use crate::support::fake_prober::FakeProber;
use crate::support::memory_disk::MemoryDisk;

pub(super) struct Town {
    pub(super) engine: FakeEngine,
    pub(super) fleet: Arc<Fleet>,
    pub(super) catalog: CatalogHandle,
    pub(super) store: Store,
    pub(super) disk: MemoryDisk,
    pub(super) publisher: PublisherHandle,
}

impl Town {
    /// A WakeDock with this configuration file.
    pub(super) async fn new(file: &str) -> Self {
        Self::with(FakeEngine::new(), MemoryDisk::default(), file).await
    }

    pub(super) async fn with(engine: FakeEngine, disk: MemoryDisk, file: &str) -> Self {
        let town = Self::unconfigured(engine, disk, false).await;
        town.configure(file);
        town
    }

    /// One that has just started. Where `breaks`, its disk breaks as soon as the store is open.
    pub(super) async fn unconfigured(engine: FakeEngine, disk: MemoryDisk, breaks: bool) -> Self {
        let (store, remembered) = disk.open();
        disk.break_down(breaks);
        let fleet = Fleet::start(Parts {
            engine: Arc::new(engine.clone()),
            prober: Arc::new(FakeProber::answering(ProbeAnswer::Status(200))),
            store: store.clone(),
            remembered,
            workers: 1,
            max_held: 100,
        });
        let here: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let (publisher, task) = Publisher::new(
            CaddyConfig { mode: CaddyMode::Off, ..CaddyConfig::default() },
            OwnAddresses { proxy: Listen::Tcp(here), admin: here },
            Box::new(|_| unreachable!("Caddy is not asked")),
            Box::new(|_| {}),
        );
        tokio::spawn(task.run());
        let parts =
            catalog::Parts { fleet: Arc::clone(&fleet), publisher: publisher.clone(), store: store.clone() };
        let catalog = CatalogHandle::open(parts).await;
        Self { engine, fleet, catalog, store, disk, publisher }
    }

    /// One that looks at containers as soon as something happens to them.
    pub(super) async fn following(file: &str) -> Self {
        let town = Self::new(file).await;
        town.catalog.follow();
        town
    }

    /// A container with the two labels, and more.
    pub(super) fn service(&self, container: &str, hosts: &str, more: &[(&str, &str)]) {
        self.engine.create_as(container, |container| {
            container.label(&[("wakedock.enable", "true"), ("wakedock.host", hosts)]);
            container.label(more);
        });
    }

    /// A request that waits.
    pub(super) fn hold(&self, service: &str) -> JoinHandle<Result<Lease, Refusal>> {
        let handle = self.fleet.get(service).unwrap();
        tokio::spawn(async move {
            let patience = handle.spec().hold_timeout;
            handle.hold(patience, &Asker::default()).await
        })
    }

    /// Waits until what was found is written down.
    pub(super) async fn saved(&self) {
        // The task writes after each look.
        self.catalog.look(Duration::from_secs(5)).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    pub(super) fn configure(&self, file: &str) {
        self.catalog.configure(&loaded(file));
    }

    /// The process is killed: what is left.
    pub(super) async fn kill(self) -> (FakeEngine, MemoryDisk) {
        let Self { engine, fleet, catalog, store, disk, publisher } = self;
        drop((fleet, catalog, publisher));
        store.close().await.unwrap();
        (engine, disk)
    }

    /// The process is killed and started again: only the disk and the containers are left.
    pub(super) async fn kill_and_return(self, file: &str) -> Self {
        let (engine, disk) = self.kill().await;
        Self::with(engine, disk, file).await
    }

    pub(super) fn entry(&self, name: &str) -> Arc<Entry> {
        self.find(name).unwrap_or_else(|| panic!("there is no service {name}: {:?}", self.catalog.current()))
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<Entry>> {
        self.catalog.current().entries.get(&ServiceName::parse(name).unwrap()).cloned()
    }

    /// The service that answers at a host.
    pub(super) fn at(&self, host: &str) -> Option<String> {
        self.fleet.routes().load().find(host, "/").map(|handle| handle.name().to_string())
    }
}

/// Waits until something holds.
pub(super) async fn until(holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to hold");
}

pub(super) fn loaded(file: &str) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    std::fs::write(&path, file).unwrap();
    config::load(Some(&path), std::iter::empty()).unwrap()
}

pub(super) fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}
