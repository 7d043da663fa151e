//! A fleet whose engine, prober and clock belong to the test.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use wakedock::domain::name::{ContainerName, ServiceName};
use wakedock::domain::service::ServiceSpec;
use wakedock::domain::words::{Phase, Refusal};
use wakedock::ports::ProbeAnswer;
use wakedock::store::{Remembered, Store};
use wakedock::supervisor::fleet::{Fleet, Parts};
use wakedock::supervisor::handle::{Asker, ServiceHandle};
use wakedock::supervisor::lease::Lease;

use crate::support::fake_engine::FakeEngine;
use crate::support::fake_prober::FakeProber;
use crate::support::memory_disk::MemoryDisk;

/// How far the clock goes on at once.
const STEP: Duration = Duration::from_millis(10);

pub(super) struct World {
    pub(super) engine: FakeEngine,
    pub(super) prober: FakeProber,
    pub(super) fleet: Arc<Fleet>,
    pub(super) store: Store,
    pub(super) disk: MemoryDisk,
}

pub(super) fn spec(name: &str) -> ServiceSpec {
    let mut spec = ServiceSpec::new(ServiceName::parse(name).unwrap(), ContainerName::parse(name).unwrap());
    spec.idle.stop_after = Some(Duration::from_secs(5));
    spec.wake_timeout = Duration::from_secs(10);
    spec.hold_timeout = Duration::from_secs(10);
    spec
}

impl World {
    /// A world whose applications answer at once.
    pub(super) fn new() -> Self {
        Self::with(FakeEngine::new(), MemoryDisk::default())
    }

    pub(super) fn with(engine: FakeEngine, disk: MemoryDisk) -> Self {
        let prober = FakeProber::answering(ProbeAnswer::Status(200));
        let (store, remembered) = disk.open();
        let fleet = start(&engine, &prober, &store, remembered);
        Self { engine, prober, fleet, store, disk }
    }

    /// One service, asleep, its container created and never started.
    pub(super) async fn one(spec: &ServiceSpec) -> (Self, ServiceHandle) {
        let world = Self::new();
        world.engine.create(spec.container.as_str());
        let handle = world.take_up(spec).await;
        (world, handle)
    }

    pub(super) async fn take_up(&self, spec: &ServiceSpec) -> ServiceHandle {
        self.fleet.apply(std::slice::from_ref(spec));
        settle().await;
        self.fleet.get(spec.name.as_str()).unwrap()
    }

    /// The process is killed and started again: only the disk and the containers are left.
    pub(super) async fn kill_and_return(self, specs: &[ServiceSpec]) -> Self {
        let Self { engine, fleet, store, disk, .. } = self;
        drop(fleet);
        settle().await;
        // A killed process writes nothing more; closing writes nothing that was not noted before.
        store.close().await.unwrap();
        let world = Self::with(engine, disk);
        world.fleet.apply(specs);
        settle().await;
        world
    }
}

fn start(engine: &FakeEngine, prober: &FakeProber, store: &Store, remembered: Remembered) -> Arc<Fleet> {
    Fleet::start(Parts {
        engine: Arc::new(engine.clone()),
        prober: Arc::new(prober.clone()),
        store: store.clone(),
        remembered,
        workers: 1,
        max_held: 10_000,
    })
}

/// Lets everything happen that needs no time. The store's thread lives outside of the runtime and
/// its clock: it is given a little real time.
pub(super) async fn settle() {
    for _ in 0..12 {
        for _ in 0..40 {
            tokio::task::yield_now().await;
        }
        real_pause();
    }
}

#[allow(clippy::disallowed_methods, reason = "the store's thread needs real time; the clock is stopped")]
fn real_pause() {
    std::thread::sleep(Duration::from_micros(150));
}

/// Lets time pass, a step at a time, so that timers fire in order.
pub(super) async fn pass(time: Duration) {
    settle().await;
    let mut left = time;
    while left > Duration::ZERO {
        let step = left.min(STEP);
        tokio::time::advance(step).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        real_pause();
        left -= step;
    }
    settle().await;
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A request that waits.
pub(super) fn request(handle: &ServiceHandle) -> JoinHandle<Result<Lease, Refusal>> {
    request_of(handle, Asker::default())
}

/// The same, by somebody.
pub(super) fn request_of(
    handle: &ServiceHandle,
    asker: Asker<'static>,
) -> JoinHandle<Result<Lease, Refusal>> {
    let handle = handle.clone();
    tokio::spawn(async move {
        let patience = handle.spec().hold_timeout;
        handle.hold(patience, &asker).await
    })
}

pub(super) fn phase(handle: &ServiceHandle) -> Phase {
    handle.snapshot().phase
}

/// A service that was just woken, and is not used.
pub(super) async fn ready(spec: &ServiceSpec) -> (World, ServiceHandle) {
    let (world, handle) = World::one(spec).await;
    let lease = request(&handle);
    settle().await;
    drop(lease.await.unwrap().unwrap());
    assert_eq!(phase(&handle), Phase::Ready);
    (world, handle)
}

/// The value of a metric, as a scraper reads it.
pub(super) fn metric(fleet: &Fleet, line: &str) -> f64 {
    let text = fleet.metrics_text();
    let value = text.lines().find_map(|candidate| candidate.strip_prefix(line));
    value.unwrap_or_else(|| panic!("no {line}")).trim().parse().unwrap()
}
