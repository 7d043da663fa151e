//! A disk in memory that outlives the databases on it: commits cost no time, so that a stopped
//! clock and the store's own thread can live together.

use std::io::Result;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use wakedock::store::{Remembered, Store};

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<Vec<u8>>>);

impl MemoryDisk {
    pub(crate) fn open(&self) -> (Store, Remembered) {
        let disk = self.clone();
        Store::with_backend(move || Ok(disk.clone())).unwrap()
    }
}

fn place(offset: u64, length: usize) -> std::ops::Range<usize> {
    let start = usize::try_from(offset).unwrap();
    start..start + length
}

impl StorageBackend for MemoryDisk {
    fn len(&self) -> Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        out.copy_from_slice(&self.0.lock().unwrap()[place(offset, out.len())]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.0.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.0.lock().unwrap()[place(offset, data.len())].copy_from_slice(data);
        Ok(())
    }
}
