//! Opening a file without changing it.
//!
//! redb writes while it opens, and repairs what it finds. A damaged file must stay as it is for
//! whoever wants to rescue it, so it is opened once for a rehearsal: reads come from the file,
//! writes stay in memory.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::ops::Bound;
use std::sync::Mutex;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use crate::store::lock;

const PAGE: u64 = 4096;

/// A file and what would be written to it.
#[derive(Debug)]
pub(super) struct Rehearsal {
    file: FileBackend,
    draft: Mutex<Draft>,
}

#[derive(Debug)]
struct Draft {
    len: u64,
    /// The part of the file that is still as it lies there.
    original: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Rehearsal {
    pub(super) fn new(file: FileBackend) -> std::io::Result<Self> {
        let len = file.len()?;
        Ok(Self { file, draft: Mutex::new(Draft { len, original: len, pages: BTreeMap::new() }) })
    }
}

impl Draft {
    fn page(&self, file: &FileBackend, number: u64) -> std::io::Result<Vec<u8>> {
        if let Some(page) = self.pages.get(&number) {
            return Ok(page.clone());
        }
        let mut page = vec![0; to_usize(PAGE)?];
        let start = number * PAGE;
        let there = self.original.saturating_sub(start).min(PAGE);
        file.read(start, &mut page[..to_usize(there)?])?;
        Ok(page)
    }

    fn check(&self, offset: u64, len: usize) -> std::io::Result<()> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(Error::from(ErrorKind::UnexpectedEof)),
        }
    }
}

fn to_usize(number: u64) -> std::io::Result<usize> {
    usize::try_from(number).map_err(Error::other)
}

/// The pages that a range touches: number of the page, and where in it and in the range.
fn pieces(
    offset: u64,
    len: usize,
) -> impl Iterator<Item = std::io::Result<(u64, std::ops::Range<usize>, std::ops::Range<usize>)>> {
    let end = offset + len as u64;
    let mut at = offset;
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let (number, start) = (at / PAGE, at);
        let stop = end.min((number + 1) * PAGE);
        at = stop;
        let within = |base: u64| Ok(to_usize(start - base)?..to_usize(stop - base)?);
        Some(within(number * PAGE).and_then(|page| Ok((number, page, within(offset)?))))
    })
}

impl StorageBackend for Rehearsal {
    fn len(&self) -> std::io::Result<u64> {
        Ok(lock(&self.draft).len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let draft = lock(&self.draft);
        draft.check(offset, out.len())?;
        for piece in pieces(offset, out.len()) {
            let (number, in_page, in_range) = piece?;
            out[in_range].copy_from_slice(&draft.page(&self.file, number)?[in_page]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        let mut draft = lock(&self.draft);
        draft.len = len;
        draft.original = draft.original.min(len);
        draft.pages.retain(|number, _| number * PAGE < len);
        if let Some(last) = draft.pages.get_mut(&(len / PAGE)) {
            last[to_usize(len % PAGE)?..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        let mut draft = lock(&self.draft);
        draft.check(offset, data.len())?;
        for piece in pieces(offset, data.len()) {
            let (number, in_page, in_range) = piece?;
            let mut page = draft.page(&self.file, number)?;
            page[in_page].copy_from_slice(&data[in_range]);
            draft.pages.insert(number, page);
        }
        Ok(())
    }

    // The locks are real: nobody else may write meanwhile.

    fn close(&self) -> std::io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}
