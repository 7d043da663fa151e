//! A disk in memory that outlives the databases on it: commits cost no time, so that a stopped
//! clock and the store's own thread can live together.

use std::io::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use redb::StorageBackend;
use wakedock::store::{Remembered, Store};

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<Vec<u8>>>, Arc<(Mutex<Weather>, Condvar)>, Arc<AtomicBool>);

/// How it does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Weather {
    #[default]
    Fair,
    /// What is written waits.
    Hangs,
    /// What is written fails.
    Broken,
}

/// A disk that does not write; it does again when this is dropped.
pub(crate) struct Storm(MemoryDisk);

impl Drop for Storm {
    fn drop(&mut self) {
        self.0.set(Weather::Fair);
    }
}

impl MemoryDisk {
    pub(crate) fn open(&self) -> (Store, Remembered) {
        let disk = self.clone();
        Store::with_backend(move || Ok(disk.clone())).unwrap()
    }

    /// Every write waits.
    pub(crate) fn hang(&self) -> Storm {
        self.turn(Weather::Hangs)
    }

    /// Every write fails.
    pub(crate) fn fail(&self) -> Storm {
        self.turn(Weather::Broken)
    }

    fn turn(&self, weather: Weather) -> Storm {
        self.set(weather);
        Storm(self.clone())
    }

    fn set(&self, weather: Weather) {
        *self.1.0.lock().unwrap() = weather;
        self.1.1.notify_all();
    }

    fn brave(&self) -> Result<()> {
        let weather = self.1.1.wait_while(self.1.0.lock().unwrap(), |now| *now == Weather::Hangs).unwrap();
        if *weather == Weather::Broken { Err(Error::other("the disk is broken")) } else { Ok(()) }
    }

    /// From now on nothing can be read or written; or it can again.
    pub(crate) fn break_down(&self, broken: bool) {
        self.2.store(broken, Ordering::SeqCst);
    }

    fn check(&self) -> Result<()> {
        if self.2.load(Ordering::SeqCst) { Err(Error::other("the disk is broken")) } else { Ok(()) }
    }
}

fn place(offset: u64, length: usize) -> std::ops::Range<usize> {
    let start = usize::try_from(offset).unwrap();
    start..start + length
}

impl StorageBackend for MemoryDisk {
    fn len(&self) -> Result<u64> {
        self.check()?;
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.check()?;
        out.copy_from_slice(&self.0.lock().unwrap()[place(offset, out.len())]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.check()?;
        self.0.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        self.check()?;
        self.brave()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.check()?;
        self.brave()?;
        self.0.lock().unwrap()[place(offset, data.len())].copy_from_slice(data);
        Ok(())
    }
}
