//! A disk that fails when it is told to.

use std::io::{Error, Result};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use tokio::sync::watch;
use wakedock::store::{Remembered, Store, StoreHealth};

use super::soon;

/// A disk that outlives the databases on it, with a cache that a power cut empties.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(pub(super) Arc<DiskState>);

#[derive(Debug, Default)]
pub(super) struct DiskState {
    /// How often it was opened.
    pub(super) opened: watch::Sender<u32>,
    pub(super) live: Mutex<Vec<u8>>,
    /// As of the last sync.
    pub(super) durable: Mutex<Vec<u8>>,
    /// Both of them, as the failed operation left them.
    pub(super) at_fault: Mutex<Vec<Vec<u8>>>,
    pub(super) broken: AtomicBool,
    /// How many writes, syncs and changes of length go well before one fails; negative: all.
    pub(super) countdown: AtomicI64,
    /// How often it was synced.
    pub(super) syncs: AtomicU64,
}

impl Disk {
    pub(super) fn new() -> Self {
        let disk = Self::default();
        disk.0.countdown.store(-1, Ordering::SeqCst);
        disk
    }

    pub(super) fn open(&self) -> std::result::Result<(Store, Remembered), wakedock::store::OpenStoreError> {
        let disk = self.clone();
        Store::with_backend(move || {
            disk.0.opened.send_modify(|times| *times += 1);
            Ok(disk.clone())
        })
    }

    pub(super) fn fail_at(&self, operation: i64) {
        self.0.countdown.store(operation, Ordering::SeqCst);
    }

    pub(super) fn has_failed(&self) -> bool {
        !self.0.at_fault.lock().unwrap().is_empty()
    }

    pub(super) fn break_down(&self, broken: bool) {
        self.0.broken.store(broken, Ordering::SeqCst);
    }

    pub(super) fn holding(image: Vec<u8>) -> Self {
        let disk = Self::new();
        *disk.0.live.lock().unwrap() = image;
        disk
    }

    /// A healthy disk with what is left of this one.
    pub(super) fn after_power_cut(&self) -> Self {
        Self::holding(self.0.durable.lock().unwrap().clone())
    }

    fn check(&self) -> Result<()> {
        if self.0.broken.load(Ordering::SeqCst) {
            return Err(Error::other("the disk is broken"));
        }
        Ok(())
    }

    fn count(&self) -> Result<()> {
        self.check()?;
        let left = self
            .0
            .countdown
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| (left >= 0).then_some(left - 1));
        if left != Ok(0) {
            return Ok(());
        }
        for image in [&self.0.live, &self.0.durable] {
            self.0.at_fault.lock().unwrap().push(image.lock().unwrap().clone());
        }
        Err(Error::other("the disk failed once"))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64> {
        self.check()?;
        Ok(self.0.live.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.check()?;
        let start = usize::try_from(offset).unwrap();
        let live = self.0.live.lock().unwrap();
        out.copy_from_slice(live.get(start..start + out.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.count()?;
        self.0.live.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        self.count()?;
        self.0.syncs.fetch_add(1, Ordering::SeqCst);
        self.0.durable.lock().unwrap().clone_from(&self.0.live.lock().unwrap());
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.count()?;
        let start = usize::try_from(offset).unwrap();
        self.0.live.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

pub(super) async fn until_read_only(store: &Store) {
    let mut health = store.watch_health();
    soon(health.wait_for(|health| *health != StoreHealth::Ok)).await.unwrap();
}

pub(super) async fn until_ok(store: &Store) {
    let mut health = store.watch_health();
    soon(health.wait_for(|health| *health == StoreHealth::Ok)).await.unwrap();
}
