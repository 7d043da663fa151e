//! Tables of records for the control plane: users, tokens, settings and the like.
//!
//! A [`Table`] holds records of one kind, as JSON, under text keys that are read in their order.
//! Several tables are changed in one commit by [`crate::store::Store::change`].

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeBounds;

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::error::Fault;
use crate::store::record::RecordError;

/// A table and the kind of its records.
pub struct Table<R> {
    name: &'static str,
    records: PhantomData<fn() -> R>,
}

impl<R> Table<R> {
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, records: PhantomData }
    }

    fn definition(&self) -> TableDefinition<'static, &'static str, &'static [u8]> {
        TableDefinition::new(self.name)
    }
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
            Ok(open) => get(&open, key),
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
            Ok(open) => scan(&open, keys, order, limit),
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
        get(&self.0.open_table(table.definition())?, key)
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
        scan(&self.0.open_table(table.definition())?, keys, order, limit)
    }

    /// Writes a record, over one that is there already.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn put<R: Serialize>(&self, table: &Table<R>, key: &str, record: &R) -> Result<(), StorageFault> {
        let bytes = serde_json::to_vec(record).map_err(RecordError::from)?;
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
        let mut left = limit;
        let mut removed = 0;
        let mut open = self.0.open_table(table.definition())?;
        open.retain_in(keys, |_, _| {
            let stays = left == 0;
            if !stays {
                left -= 1;
                removed += 1;
            }
            stays
        })?;
        Ok(removed)
    }

    /// Writes a record under the next number, which orders records by age, and returns its key:
    /// twenty figures, so that text order is that of numbers.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn append<R: Serialize>(&self, table: &Table<R>, record: &R) -> Result<String, StorageFault> {
        let newest = {
            let open = self.0.open_table(table.definition())?;
            let last = open.last()?;
            last.and_then(|(key, _)| key.value().parse::<u64>().ok()).unwrap_or(0)
        };
        let key = format!("{:020}", newest + 1);
        self.put(table, &key, record)?;
        Ok(key)
    }
}

fn get<R: DeserializeOwned>(
    open: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<R>, StorageFault> {
    let Some(bytes) = open.get(key)? else { return Ok(None) };
    Ok(Some(serde_json::from_slice(bytes.value()).map_err(RecordError::from)?))
}

fn scan<'k, R: DeserializeOwned>(
    open: &impl ReadableTable<&'static str, &'static [u8]>,
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
            Err(error) => tracing::warn!(key, %error, "a record in the store is not readable"),
        }
    }
    Ok(found)
}
