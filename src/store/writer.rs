//! The thread that owns the database and carries the ledger to the disk.
//!
//! After one I/O error an open redb database stays unusable, so the writer drops it and opens it
//! again, with a growing back-off.

use std::sync::Arc;
use std::time::Duration;

use redb::{CompactionError, Database, Durability};
use tokio::sync::watch;

use crate::clock;
use crate::domain::time::Moment;
use crate::store::error::{CommitError, Fault, ReadStoreError, guarded};
use crate::store::job::Job;
use crate::store::ledger::{Batch, Read, Shared};
use crate::store::memory::Session;
use crate::store::open::Opener;
use crate::store::schema;

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    opener: Opener,
    /// `None` after a fault.
    database: Option<Database>,
    /// Of the last fault.
    reason: Arc<str>,
    retry_at: Moment,
    retry_after: Duration,
}

/// Says that the writer has ended, however it did.
struct End<'a> {
    shared: Arc<Shared>,
    outcome: Result<(), CommitError>,
    ended: &'a watch::Sender<Option<Result<(), CommitError>>>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.shared.end();
        self.ended.send_replace(Some(self.outcome.clone()));
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, opener: Opener, database: Database) -> Self {
        Self {
            shared,
            opener,
            database: Some(database),
            reason: "".into(),
            retry_at: clock::now(),
            retry_after: FIRST_RETRY,
        }
    }

    /// Works until the store is closed.
    pub(super) fn run(mut self, ended: &watch::Sender<Option<Result<(), CommitError>>>) {
        let mut end = End { shared: Arc::clone(&self.shared), outcome: Err(CommitError::Closed), ended };
        let outcome = self.work();
        self.discard();
        end.outcome = outcome;
    }

    fn work(&mut self) -> Result<(), CommitError> {
        loop {
            let closing = self.shared.is_closing();
            if self.database.is_none() && (closing || clock::now() >= self.retry_at) {
                self.reopen();
            }
            let was_open = self.database.is_some();
            let patience = (!was_open).then(|| self.retry_at.since(clock::now()));
            let mut batch = self.shared.take(patience);
            let done = batch.last && batch.is_clean();
            let (reads, jobs) = (std::mem::take(&mut batch.reads), std::mem::take(&mut batch.jobs));
            let compactions = std::mem::take(&mut batch.compactions);
            let saved = self.save(batch);
            for (read, open) in reads {
                self.answer(read, open);
            }
            self.work_on(jobs);
            if !compactions.is_empty() {
                let done = self.compact();
                for answer in compactions {
                    // Who asked may have gone away.
                    let _ = answer.send(done);
                }
            }
            if saved && done {
                return Ok(());
            }
            if closing && !was_open {
                return Err(CommitError::Unavailable { reason: Arc::clone(&self.reason) });
            }
        }
    }

    fn save(&mut self, mut batch: Batch) -> bool {
        if let Some(database) = &self.database {
            let outcome = if batch.is_clean() {
                Ok(())
            } else {
                guarded(|| schema::save(database, &batch.states, &batch.finished))
            };
            match outcome {
                Ok(()) => {
                    batch.saved();
                    self.retry_after = FIRST_RETRY;
                    return true;
                }
                Err(fault) => self.broke(&fault),
            }
        }
        self.shared.fail(batch, &self.reason);
        false
    }

    fn answer(&mut self, read: Read, open: Option<(u64, Session)>) {
        let Some(database) = &self.database else {
            let reason = Arc::clone(&self.reason);
            // Who asked may have gone away; so below.
            let _ = read.answer.send(Err(ReadStoreError::Unavailable { reason }));
            return;
        };
        let rest = read.limit.saturating_sub(usize::from(open.is_some()));
        match guarded(|| schema::sessions(database, &read.service, read.before, rest)) {
            Ok(finished) => {
                let sessions = open.into_iter().chain(finished).take(read.limit).collect();
                let _ = read.answer.send(Ok(sessions));
            }
            Err(fault) => {
                self.broke(&fault);
                self.shared.fail(Batch::default(), &self.reason);
                let reason = Arc::clone(&self.reason);
                let _ = read.answer.send(Err(ReadStoreError::Unavailable { reason }));
            }
        }
    }

    /// Carries out the jobs that wait together. All of them share the last commit.
    fn work_on(&mut self, jobs: Vec<Job>) {
        let together = jobs.len() > 1;
        let durability = if together { Durability::None } else { Durability::Immediate };
        let mut done = Vec::with_capacity(jobs.len());
        let mut broken = false;
        for job in jobs {
            let mut one = job.run(self.database.as_ref().ok_or(&self.reason), durability);
            if let Some(fault) = one.fault.take() {
                // What was not durable yet is lost with the database, also that of those before.
                broken = true;
                self.broke(&fault);
            }
            done.push(one);
        }
        if let Some(database) = &self.database
            && together
            && !broken
            && done.iter().any(|one| one.wrote)
            && let Err(fault) = guarded(|| Ok(database.begin_write()?.commit()?))
        {
            broken = true;
            self.broke(&fault);
        }
        if broken {
            self.shared.fail(Batch::default(), &self.reason);
        }
        for one in done {
            one.tell(if broken { Err(&self.reason) } else { Ok(()) });
        }
    }

    /// Makes the file as small as what is in it, where nobody reads a moment of its past.
    fn compact(&mut self) -> bool {
        let Some(database) = &mut self.database else { return false };
        let done = guarded(|| match database.compact() {
            Ok(done) => Ok(done),
            Err(CompactionError::Storage(error)) => Err(error.into()),
            // A backup is on its way: another time.
            Err(_) => Ok(false),
        });
        done.unwrap_or_else(|fault| {
            self.broke(&fault);
            self.shared.fail(Batch::default(), &self.reason);
            false
        })
    }

    /// Opens the database again. It counts as open when a commit went through.
    fn reopen(&mut self) {
        let states = self.shared.states();
        let database = match self.opener.open() {
            Ok(database) => database,
            Err(error) => {
                self.postpone(with_cause(&error));
                self.shared.fail(Batch::default(), &self.reason);
                return;
            }
        };
        // Everything, because nobody knows how much of the last commit arrived.
        let outcome = guarded(|| schema::save(&database, &states, &[]));
        self.database = Some(database);
        match outcome {
            Ok(()) => {
                self.retry_after = FIRST_RETRY;
                self.shared.recovered();
                tracing::info!("the store can write again");
            }
            Err(fault) => {
                self.broke(&fault);
                self.shared.fail(Batch::default(), &self.reason);
            }
        }
    }

    fn broke(&mut self, fault: &Fault) {
        self.discard();
        self.postpone(fault.to_string());
    }

    fn postpone(&mut self, reason: String) {
        // Said once for each outage.
        if self.retry_after == FIRST_RETRY {
            tracing::warn!(reason, "the store cannot write");
        } else {
            tracing::debug!(reason, retry_after = ?self.retry_after, "the store still cannot write");
        }
        self.reason = reason.into();
        self.retry_at = clock::now() + self.retry_after;
        self.retry_after = (self.retry_after * 2).min(LAST_RETRY);
    }

    fn discard(&mut self) {
        let database = self.database.take();
        // What closing a broken database says is of no use any more.
        let _ = guarded(|| {
            drop(database);
            Ok(())
        });
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
