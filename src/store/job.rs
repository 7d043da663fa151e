//! Work on the tables that the store's thread carries out: readings, and changes of several tables
//! in one commit.

use std::fmt;
use std::sync::Arc;

use redb::{Database, ReadableDatabase};
use tokio::sync::oneshot;

use crate::store::error::{CommitError, Fault, guarded};
use crate::store::tables::{Interrupted, Reading, StorageFault, Writing};

/// Why a change was not made. Nothing of it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError<E> {
    /// The caller's own reason.
    #[error("refused")]
    Refused(E),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// The database, or the reason why there is none.
type Opened<'a> = Result<&'a Database, &'a Arc<str>>;

/// Work that tells its outcome to who asked for it, and the disk's faults to the store as well.
type Work = dyn FnOnce(Opened<'_>) -> Result<(), Fault> + Send;

/// Work that waits for the store's thread, which has the database.
pub(super) struct Job(Box<Work>);

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

impl Job {
    /// Does it. What the disk failed with is told to who asked, and returned.
    pub(super) fn run(self, database: Opened<'_>) -> Result<(), Fault> {
        (self.0)(database)
    }

    pub(super) fn change<T: Send + 'static, E: Send + 'static>(
        work: impl FnOnce(&Writing<'_>) -> Result<T, Interrupted<E>> + Send + 'static,
        answer: oneshot::Sender<Result<T, ChangeError<E>>>,
    ) -> Self {
        Self::new(answer, move |database| {
            let transaction = database.begin_write()?;
            match work(&Writing(&transaction)) {
                Ok(value) => {
                    transaction.commit()?;
                    Ok(Ok(value))
                }
                Err(Interrupted::Refused(reason)) => {
                    transaction.abort()?;
                    Ok(Err(reason))
                }
                Err(Interrupted::Broken(StorageFault(fault))) => Err(fault),
            }
        })
    }

    pub(super) fn read<T: Send + 'static, E: Send + 'static>(
        work: impl FnOnce(&Reading<'_>) -> Result<T, Interrupted<E>> + Send + 'static,
        answer: oneshot::Sender<Result<T, ChangeError<E>>>,
    ) -> Self {
        Self::new(answer, move |database| {
            let transaction = database.begin_read()?;
            match work(&Reading(&transaction)) {
                Ok(value) => Ok(Ok(value)),
                Err(Interrupted::Refused(reason)) => Ok(Err(reason)),
                Err(Interrupted::Broken(StorageFault(fault))) => Err(fault),
            }
        })
    }

    fn new<T: Send + 'static, E: Send + 'static>(
        answer: oneshot::Sender<Result<T, ChangeError<E>>>,
        work: impl FnOnce(&Database) -> Result<Result<T, E>, Fault> + Send + 'static,
    ) -> Self {
        Self(Box::new(move |database| {
            let away = |reason: &str| ChangeError::Commit(CommitError::Unavailable { reason: reason.into() });
            // Who asked may have gone away; so below.
            let tell = |outcome| drop(answer.send(outcome));
            match database {
                Err(reason) => tell(Err(away(reason))),
                Ok(database) => match guarded(|| work(database)) {
                    Ok(outcome) => tell(outcome.map_err(ChangeError::Refused)),
                    Err(fault) => {
                        tell(Err(away(&fault.to_string())));
                        return Err(fault);
                    }
                },
            }
            Ok(())
        }))
    }
}
