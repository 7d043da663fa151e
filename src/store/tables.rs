//! Tables of records for the control plane: users, tokens, settings and the like.
//!
//! A [`Table`] holds records of one kind, as JSON, under text keys that are read in their order.
//! Several tables are changed in one commit by [`crate::store::Store::change`].

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeBounds;

use redb::{
    ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableError, WriteTransaction,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;
use crate::store::error::Fault;
use crate::store::record::RecordError;
use crate::store::schema;

/// The highest number that [`Writing::append`] gave in each table, by its name.
pub(super) const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");

/// A table and the kind of its records.
pub struct Table<R> {
    name: &'static str,
    records: PhantomData<fn() -> R>,
}

impl<R> Table<R> {
    /// # Panics
    /// While compiling, where the name is one of the store's own tables.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(!is_own(name.as_bytes()), "the store has a table of that name");
        Self { name, records: PhantomData }
    }

    fn definition(&self) -> TableDefinition<'static, &'static str, &'static [u8]> {
        TableDefinition::new(self.name)
    }
}

/// Whether the store has a table of this name, with records of another kind.
const fn is_own(name: &[u8]) -> bool {
    matches!(name, b"meta" | b"counters" | b"states" | b"sessions")
}

impl<R> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table").field(&self.name).finish()
    }
}

/// Why a change or a reading ended early: for a reason of the caller's, or for the disk's.
#[derive(Debug)]
pub enum Interrupted<E> {
    /// The caller's own "no". Nothing is written.
    Refused(E),
    /// The disk's.
    Broken(StorageFault),
}

/// The disk failed, or holds what is no record.
#[derive(Debug)]
pub struct StorageFault(pub(super) Fault);

impl<E> From<StorageFault> for Interrupted<E> {
    fn from(fault: StorageFault) -> Self {
        Self::Broken(fault)
    }
}

impl<E: Into<Fault>> From<E> for StorageFault {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<RecordError> for StorageFault {
    fn from(error: RecordError) -> Self {
        Self(Fault::Record(error))
    }
}

/// The tables as they are, for reading.
pub struct Reading<'a>(pub(super) &'a ReadTransaction);

/// The tables, for one commit.
pub struct Writing<'a>(pub(super) &'a WriteTransaction);

impl fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}

impl fmt::Debug for Writing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writing")
    }
}

/// Which way a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

impl Reading<'_> {
    /// The record under a key.
    ///
    /// # Errors
    /// Where the disk fails, or holds no such record.
    pub fn get<R: DeserializeOwned>(&self, table: &Table<R>, key: &str) -> Result<Option<R>, StorageFault> {
        match self.0.open_table(table.definition()) {
            Ok(open) => get(&open, table.name, key),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Records by key, at most `limit`.
    ///
    /// # Errors
    /// As [`Reading::get`].
    pub fn scan<'k, R: DeserializeOwned>(
        &self,
        table: &Table<R>,
        keys: impl RangeBounds<&'k str> + 'k,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(String, R)>, StorageFault> {
        match self.0.open_table(table.definition()) {
            Ok(open) => scan(&open, table.name, keys, order, limit),
            Err(TableError::TableDoesNotExist(_)) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Writing<'_> {
    /// The record under a key.
    ///
    /// # Errors
    /// Where the disk fails, or holds no such record.
    pub fn get<R: DeserializeOwned>(&self, table: &Table<R>, key: &str) -> Result<Option<R>, StorageFault> {
        get(&self.0.open_table(table.definition())?, table.name, key)
    }

    /// Records by key, at most `limit`.
    ///
    /// # Errors
    /// As [`Writing::get`].
    pub fn scan<'k, R: DeserializeOwned>(
        &self,
        table: &Table<R>,
        keys: impl RangeBounds<&'k str> + 'k,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(String, R)>, StorageFault> {
        scan(&self.0.open_table(table.definition())?, table.name, keys, order, limit)
    }

    /// Writes a record, over one that is there already.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn put<R: Serialize>(&self, table: &Table<R>, key: &str, record: &R) -> Result<(), StorageFault> {
        let unwritable = |source| RecordError::Unwritable { table: table.name, key: key.to_owned(), source };
        let bytes = serde_json::to_vec(record).map_err(unwritable)?;
        self.0.open_table(table.definition())?.insert(key, bytes.as_slice())?;
        Ok(())
    }

    /// Takes a record out; whether there was one.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn remove<R>(&self, table: &Table<R>, key: &str) -> Result<bool, StorageFault> {
        let removed = self.0.open_table(table.definition())?.remove(key)?.is_some();
        Ok(removed)
    }

    /// Takes out the records of a range, in the order of their keys, at most `limit`; how many.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn remove_range<'k, R>(
        &self,
        table: &Table<R>,
        keys: impl RangeBounds<&'k str> + 'k,
        limit: usize,
    ) -> Result<usize, StorageFault> {
        let mut open = self.0.open_table(table.definition())?;
        let mut removed = 0;
        for entry in open.extract_from_if(keys, |_, _| true)?.take(limit) {
            entry?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Takes out the oldest records of a numbered table that are from before `cutoff`, at most `limit`;
    /// how many. Each says when it was in `at`, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn remove_older<R>(
        &self,
        table: &Table<R>,
        cutoff: Timestamp,
        limit: usize,
    ) -> Result<usize, StorageFault> {
        let mut open = self.0.open_table(table.definition())?;
        let mut removed = 0;
        while removed < limit {
            let old = match open.first()? {
                // What is not understood is as old as its neighbours.
                Some((_, bytes)) => Dated::of(bytes.value()).is_none_or(|at| at < cutoff.as_millis()),
                None => false,
            };
            if !old {
                break;
            }
            open.pop_first()?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Takes out the oldest sessions of each service that began before `cutoff`, at most `limit` in
    /// all; how many.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn remove_older_sessions(&self, cutoff: Timestamp, limit: usize) -> Result<usize, StorageFault> {
        Ok(schema::remove_sessions(self.0, cutoff, limit)?)
    }

    /// Bytes that records and their pages take, whatever the size of the file. Looks at every page.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn used(&self) -> Result<u64, StorageFault> {
        let stats = self.0.stats()?;
        Ok(stats.allocated_pages() * stats.page_size() as u64)
    }

    /// How many records a table has.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn count<R>(&self, table: &Table<R>) -> Result<u64, StorageFault> {
        Ok(self.0.open_table(table.definition())?.len()?)
    }

    /// The next number of a table, beyond `above` in any case. None is given twice, in the life of the
    /// store and of what is restored in its place.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn number<R>(&self, table: &Table<R>, above: u64) -> Result<u64, StorageFault> {
        let mut counters = self.0.open_table(COUNTERS)?;
        let last = counters.get(table.name)?.map_or(0, |last| last.value());
        let next = last.max(above) + 1;
        counters.insert(table.name, next)?;
        Ok(next)
    }

    /// Writes a record under the next number, which orders records by age, and returns its key:
    /// twenty figures, so that text order is that of numbers. A number is never given twice, also
    /// where its record is gone.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn append<R: Serialize>(&self, table: &Table<R>, record: &R) -> Result<String, StorageFault> {
        let key = number_key(self.number(table, 0)?);
        self.put(table, &key, record)?;
        Ok(key)
    }
}

/// When something was, of whatever kind it is.
#[derive(Deserialize)]
struct Dated {
    at: i64,
}

impl Dated {
    fn of(bytes: &[u8]) -> Option<i64> {
        serde_json::from_slice::<Self>(bytes).ok().map(|dated| dated.at)
    }
}

/// The key of a number: its text order is that of numbers.
#[must_use]
pub fn number_key(number: u64) -> String {
    format!("{number:020}")
}

fn get<R: DeserializeOwned>(
    open: &impl ReadableTable<&'static str, &'static [u8]>,
    table: &'static str,
    key: &str,
) -> Result<Option<R>, StorageFault> {
    let Some(bytes) = open.get(key)? else { return Ok(None) };
    let unreadable = |source| RecordError::Unreadable { table, key: key.to_owned(), source };
    Ok(Some(serde_json::from_slice(bytes.value()).map_err(unreadable)?))
}

fn scan<'k, R: DeserializeOwned>(
    open: &impl ReadableTable<&'static str, &'static [u8]>,
    table: &'static str,
    keys: impl RangeBounds<&'k str> + 'k,
    order: Order,
    limit: usize,
) -> Result<Vec<(String, R)>, StorageFault> {
    let mut range = open.range(keys)?;
    let mut found = Vec::new();
    while found.len() < limit {
        let entry = match order {
            Order::Ascending => range.next(),
            Order::Descending => range.next_back(),
        };
        let Some(entry) = entry else { break };
        let (key, bytes) = entry?;
        let key = key.value().to_owned();
        match serde_json::from_slice(bytes.value()) {
            Ok(record) => found.push((key, record)),
            // One that is not understood hides nobody else.
            Err(error) => tracing::warn!(table, key, %error, "a record in the store is not readable"),
        }
    }
    Ok(found)
}
