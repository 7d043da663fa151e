//! Work on the tables that the store's thread carries out: readings, and changes of several tables
//! in one commit.
//!
//! Changes that wait together share one `fsync`: each has a transaction of its own, so that a
//! refusal takes nothing else with it, and nobody is told before all of them are on the disk.

use std::fmt;
use std::sync::Arc;

use redb::{Database, Durability, ReadTransaction, ReadableDatabase};
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

/// Where the answer of a job goes.
pub(super) type Answer<T, E> = oneshot::Sender<Result<T, ChangeError<E>>>;

/// The database, or the reason why there is none.
type Opened<'a> = Result<&'a Database, &'a Arc<str>>;

/// Work that waits for the store's thread, which has the database.
pub(super) struct Job(Box<dyn FnOnce(Opened<'_>, Durability) -> Done + Send>);

/// A job that was carried out, and whose answer is not given yet.
pub(super) struct Done {
    /// It changed something, which is on the disk when the next durable commit is.
    pub(super) wrote: bool,
    /// What the disk failed with.
    pub(super) fault: Option<Fault>,
    tell: Box<Tell>,
}

type Tell = dyn FnOnce(Result<(), &Arc<str>>);

impl Done {
    /// Gives the answer: everything before is on the disk, or is not.
    pub(super) fn tell(self, durable: Result<(), &Arc<str>>) {
        (self.tell)(durable);
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

impl Job {
    /// Does it. The answer is given by [`Done::tell`].
    pub(super) fn run(self, database: Opened<'_>, durability: Durability) -> Done {
        (self.0)(database, durability)
    }

    pub(super) fn change<T: Send + 'static, E: Send + 'static>(
        work: impl FnOnce(&Writing<'_>) -> Result<T, Interrupted<E>> + Send + 'static,
        answer: Answer<T, E>,
    ) -> Self {
        Self::new(answer, true, move |database, durability| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(durability)?;
            match work(&Writing(&transaction)) {
                Ok(value) => {
                    transaction.commit()?;
                    Ok(Ok(value))
                }
                Err(interrupted) => {
                    transaction.abort()?;
                    refused(interrupted)
                }
            }
        })
    }

    pub(super) fn read<T: Send + 'static, E: Send + 'static>(
        work: impl FnOnce(&Reading<'_>) -> Result<T, Interrupted<E>> + Send + 'static,
        answer: Answer<T, E>,
    ) -> Self {
        Self::new(answer, false, move |database, _| {
            let transaction = database.begin_read()?;
            work(&Reading(&transaction)).map(Ok).or_else(refused)
        })
    }

    /// The tables as they are, for somebody else's thread.
    pub(super) fn snapshot(answer: Answer<ReadTransaction, std::convert::Infallible>) -> Self {
        Self::new(answer, false, |database, _| Ok(Ok(database.begin_read()?)))
    }

    fn new<T: Send + 'static, E: Send + 'static>(
        answer: Answer<T, E>,
        writes: bool,
        work: impl FnOnce(&Database, Durability) -> Result<Result<T, ChangeError<E>>, Fault> + Send + 'static,
    ) -> Self {
        Self(Box::new(move |database, durability| {
            let unavailable = |reason: &str| CommitError::Unavailable { reason: reason.into() }.into();
            let (outcome, fault) = match database {
                Err(reason) => (Err(unavailable(reason)), None),
                Ok(database) => match guarded(|| work(database, durability)) {
                    Ok(outcome) => (outcome, None),
                    Err(fault) => (Err(unavailable(&fault.to_string())), Some(fault)),
                },
            };
            let wrote = writes && outcome.is_ok();
            let tell = move |durable: Result<(), &Arc<str>>| {
                let outcome = match durable {
                    Err(reason) if wrote => Err(unavailable(reason)),
                    Ok(()) | Err(_) => outcome,
                };
                // Who asked may have gone away.
                let _ = answer.send(outcome);
            };
            Done { wrote, fault, tell: Box::new(tell) }
        }))
    }
}

/// What ended a job early, where that was not the disk: then it is the caller's alone.
fn refused<T, E>(interrupted: Interrupted<E>) -> Result<Result<T, ChangeError<E>>, Fault> {
    match interrupted {
        Interrupted::Refused(reason) => Ok(Err(ChangeError::Refused(reason))),
        Interrupted::Broken(StorageFault(Fault::Record(error))) => {
            Ok(Err(CommitError::Record { reason: error.to_string().into() }.into()))
        }
        Interrupted::Broken(StorageFault(fault)) => Err(fault),
    }
}
