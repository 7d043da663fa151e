//! What can go wrong in each operation of the store.

use std::path::PathBuf;
use std::sync::Arc;

use crate::store::record::RecordError;

/// Why the store was not opened. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    #[error("cannot make the directory `{path}`")]
    Directory {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot read and write `{path}`")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{path}` is in use by another process: is WakeDock running already?")]
    Locked { path: PathBuf },
    #[error(
        "`{path}` is damaged or not a WakeDock database ({detail}): put a backup in its place, or move it \
         away to start with an empty memory"
    )]
    Damaged { path: PathBuf, detail: String },
    #[error(
        "`{path}` was written by a newer WakeDock (schema {found}, this one knows {known}): start that \
         version, or put a backup of this one in its place"
    )]
    TooNew { path: PathBuf, found: u64, known: u64 },
    #[error("cannot bring `{path}` from schema {from} to {to}")]
    Migration {
        path: PathBuf,
        from: u64,
        to: u64,
        #[source]
        source: Box<redb::Error>,
    },
    #[error("cannot start the thread of the store")]
    Thread(#[source] std::io::Error),
}

/// Why something was not written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The disk failed; the store reopens itself.
    #[error("the store cannot write: {reason}")]
    Unavailable { reason: Arc<str> },
    #[error("the store is closed")]
    Closed,
    /// A record is there that nobody understands, or one cannot be written. The disk is fine.
    #[error("{reason}")]
    Record { reason: Arc<str> },
}

/// Why history could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadStoreError {
    /// The disk failed; the store reopens itself.
    #[error("the store cannot read: {reason}")]
    Unavailable { reason: Arc<str> },
    #[error("the store is closed")]
    Closed,
}

/// What a use of redb ended with. Each means that the database must be reopened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Redb(Box<redb::Error>),
    /// redb panics on some damage that it could not foresee.
    #[error("redb gave up: {0}")]
    Panicked(String),
    #[error("a record cannot be written: {0}")]
    Record(#[source] RecordError),
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Redb(Box::new(error.into()))
    }
}

/// Runs a use of redb and turns a panic in it into a [`Fault`]: a damaged page must not take the
/// store's thread with it.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // What `work` touches of redb is dropped by the caller after a fault, never used again.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "panic".into());
        Err(Fault::Panicked(text))
    })
}
