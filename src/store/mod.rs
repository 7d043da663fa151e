//! What WakeDock remembers, in redb: intent, idle state and history.
//!
//! Memory holds the newest state of every service in a ledger; one thread of its own carries
//! it to the disk. Callers write to the ledger and go on. Only who must know that something
//! survives a power cut ([`Store::intend_stop`], [`Durable`]) waits, and nobody on the request
//! path does. While the disk is away the ledger goes on holding the newest state, which needs no
//! more memory however long that lasts; only history is dropped, and counted.

mod backup;
mod error;
mod job;
mod ledger;
mod memory;
mod open;
mod record;
mod rehearsal;
pub mod restore;
mod schema;
mod tables;
mod writer;

use std::convert::Infallible;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use redb::StorageBackend;
use tokio::sync::{Semaphore, oneshot, watch};

pub use backup::{Backup, BackupError};
pub use error::{CommitError, OpenStoreError, ReadStoreError};
pub use job::ChangeError;
pub use memory::{
    Activity, AskedBy, Remembered, ServiceMemory, Session, SessionEnd, SessionReady, SessionStart,
    SessionStop, StopIntent, StoreHealth, Wake, WakeFailed,
};
pub use open::{Migrated, directory_of, migrate};
pub use tables::{Interrupted, Order, Reading, StorageFault, Table, Writing, number_key};

use crate::domain::name::ServiceName;
use crate::domain::time::Timestamp;
use job::Job;
use ledger::{Read, Shared};
use open::Opener;
use writer::Writer;

/// The newest wakes that are remembered for the usual duration.
pub const REMEMBERED_WAKES: usize = 20;
/// Records that may be on their way to a disk that hangs, of those that nobody waits for.
const POSTED: usize = 1_000;
/// The newest sessions that are kept of each service.
pub const KEPT_SESSIONS: u64 = 1_000;

/// The way to the store; cheap to clone. When the last one is dropped, the store saves what it
/// has and ends.
#[derive(Debug, Clone)]
pub struct Store(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    path: PathBuf,
    /// One for each of [`POSTED`].
    posts: Arc<Semaphore>,
    /// Ends when the writer has; holds whether everything was saved.
    ended: watch::Receiver<Option<Result<(), CommitError>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.begin_close();
    }
}

impl Store {
    /// Opens the file, or makes it (mode 0600, missing directories 0700), and reads what is
    /// remembered. Blocks on the disk.
    ///
    /// # Errors
    /// Says what is wrong with the file and what to do. A file that is damaged, or was written by
    /// a newer WakeDock, is left as it is.
    pub fn open(path: &Path) -> Result<(Self, Remembered), OpenStoreError> {
        Self::start(Opener::file(path))
    }

    /// Opens a store over storage of another kind. `factory` is asked again each time the store
    /// reopens itself after a fault.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn with_backend<B: StorageBackend>(
        factory: impl Fn() -> std::io::Result<B> + Send + 'static,
    ) -> Result<(Self, Remembered), OpenStoreError> {
        Self::start(Opener::backend(factory))
    }

    fn start(opener: Opener) -> Result<(Self, Remembered), OpenStoreError> {
        let open::Loaded { database, states, last, next_event } = opener.open_and_load()?;
        let remembered = memory::remembered(&states, last, next_event);
        let shared = Arc::new(Shared::new(states));
        let path = opener.path().to_owned();
        let (end, ended) = watch::channel(None);
        let writer = Writer::new(Arc::clone(&shared), opener, database);
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run(&end))
            .map_err(OpenStoreError::Thread)?;
        let posts = Arc::new(Semaphore::new(POSTED));
        let handle = Handle { shared, path, posts, ended, thread: Mutex::new(Some(thread)) };
        Ok((Self(Arc::new(handle)), remembered))
    }

    /// Notes who is used and who is quiet since when, in one commit.
    ///
    /// Nobody needs to wait. The future that comes back tells when this, or something newer about
    /// the same services, is on the disk; while the store is away it waits for its return.
    pub fn activities(&self, news: Vec<(ServiceName, Activity)>) -> Durable {
        let (answer, durable) = oneshot::channel();
        self.0.shared.write(|ledger| {
            for (service, activity) in news {
                ledger.change(service, |state| state.activity = Some(activity));
            }
            ledger.wait_for_save(answer);
        });
        Durable(durable)
    }

    /// A session begins: a wake was ordered, or a container was found running. One that never
    /// ended (WakeDock was killed) goes into the history as it is.
    pub fn session_started(&self, start: SessionStart) {
        self.0.shared.write(|ledger| ledger.start_session(start));
    }

    /// The application answers. Clears the intent to stop.
    pub fn session_ready(&self, ready: SessionReady) {
        self.0.shared.write(|ledger| ledger.make_ready(ready));
    }

    /// The wake failed, and with it the session ends.
    pub fn wake_failed(&self, failed: WakeFailed) {
        self.0.shared.write(|ledger| ledger.fail_wake(failed));
    }

    /// The service is off, or paused. Clears the intent to stop.
    pub fn session_ended(&self, end: SessionEnd) {
        self.0.shared.write(|ledger| ledger.end_session(end));
    }

    /// Writes down that a container is about to be stopped or paused. Returns when that would
    /// survive a power cut: only then may the order go out.
    ///
    /// # Errors
    /// [`CommitError`], at once while the store is away. Then nothing is intended.
    pub async fn intend_stop(&self, service: ServiceName, intent: StopIntent) -> Result<(), CommitError> {
        let (answer, committed) = oneshot::channel();
        self.0.shared.write(|ledger| ledger.intend(service, intent, answer));
        committed.await.unwrap_or(Err(CommitError::Closed))
    }

    /// The stop was called off before the order went out.
    pub fn clear_intent(&self, service: ServiceName) {
        self.0.shared.write(|ledger| ledger.change(service, |state| state.intent = None));
    }

    /// Not to be put to sleep for want of use before then; `None` ends that. It survives a restart.
    pub fn keep_awake(&self, service: ServiceName, until: Option<Timestamp>) {
        self.0.shared.write(|ledger| ledger.change(service, |state| state.keep_awake = until));
    }

    /// The newest sessions of a service, the newest first; the one that is not over, if any, leads.
    ///
    /// # Errors
    /// [`ReadStoreError`] while the store is away.
    pub async fn sessions(&self, service: ServiceName, limit: usize) -> Result<Vec<Session>, ReadStoreError> {
        let found = self.sessions_before(service, None, limit).await?;
        Ok(found.into_iter().map(|(_, session)| session).collect())
    }

    /// The same, each with its number, from the one before number `before` on: numbers grow by one
    /// from session to session of a service, and one that goes on has the next.
    ///
    /// # Errors
    /// [`ReadStoreError`] while the store is away.
    pub async fn sessions_before(
        &self,
        service: ServiceName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Session)>, ReadStoreError> {
        let (answer, read) = oneshot::channel();
        self.0.shared.write(|ledger| ledger.read(Read { service, before, limit, answer }));
        read.await.unwrap_or(Err(ReadStoreError::Closed))
    }

    /// Changes tables in one commit of its own, on the store's thread. When it returns, the change
    /// would survive a power cut.
    ///
    /// # Errors
    /// The caller's refusal, or [`CommitError`], at once while the store is away. Then nothing is
    /// written.
    pub async fn change<T: Send + 'static, E: Send + 'static>(
        &self,
        work: impl FnOnce(&Writing<'_>) -> Result<T, Interrupted<E>> + Send + 'static,
    ) -> Result<T, ChangeError<E>> {
        let (answer, done) = oneshot::channel();
        self.0.shared.write(|ledger| ledger.job(Job::change(work, answer)));
        done.await.unwrap_or(Err(ChangeError::Commit(CommitError::Closed)))
    }

    /// Hands over a change that nobody needs to wait for, and returns at once. Whoever reads later sees
    /// it, and [`Store::close`] saves it first. What comes back tells when it is on the disk.
    pub fn post(
        &self,
        work: impl FnOnce(&Writing<'_>) -> Result<(), StorageFault> + Send + 'static,
    ) -> Posted {
        let (answer, done) = oneshot::channel();
        // Callers do not wait, so that nothing else keeps them from piling up.
        match Arc::clone(&self.0.posts).try_acquire_owned() {
            Ok(place) => self.0.shared.write(|ledger| {
                let work = move |tables: &Writing<'_>| {
                    drop(place);
                    Ok(work(tables)?)
                };
                ledger.job(Job::change(work, answer));
            }),
            Err(_) => {
                let reason = "too much waits for the disk already".into();
                let _ = answer.send(Err(CommitError::Unavailable { reason }.into()));
            }
        }
        Posted(done)
    }

    /// Reads tables as they are after every change that was asked for before.
    ///
    /// # Errors
    /// As [`Store::change`].
    pub async fn read<T: Send + 'static, E: Send + 'static>(
        &self,
        work: impl FnOnce(&Reading<'_>) -> Result<T, Interrupted<E>> + Send + 'static,
    ) -> Result<T, ChangeError<E>> {
        let (answer, done) = oneshot::channel();
        self.0.shared.write(|ledger| ledger.job(Job::read(work, answer)));
        done.await.unwrap_or(Err(ChangeError::Commit(CommitError::Closed)))
    }

    /// Copies the whole store, as it is this moment, into a new file (mode 0600) that takes its name
    /// when it is whole; an older backup of that name is replaced. Writing goes on meanwhile.
    ///
    /// # Errors
    /// While the store is away, or where the file cannot be written. Then there is no new file.
    pub async fn backup(&self, path: &Path) -> Result<Backup, BackupError> {
        let path = std::path::absolute(path)
            .map_err(|error| BackupError::Write { path: path.to_owned(), reason: error.to_string() })?;
        backup::may_replace(&path, &self.0.path)?;
        let (answer, seen) = oneshot::channel();
        self.0.shared.write(|ledger| ledger.job(Job::snapshot(answer)));
        let seen = match seen.await {
            Ok(Ok(seen)) => seen,
            Ok(Err(ChangeError::Commit(error))) => return Err(error.into()),
            Ok(Err(ChangeError::Refused(never))) => match never {},
            Err(_) => return Err(CommitError::Closed.into()),
        };
        let named = path.clone();
        let written = tokio::task::spawn_blocking(move || backup::write(&seen, &path));
        written
            .await
            .unwrap_or_else(|panic| Err(BackupError::Write { path: named, reason: panic.to_string() }))
    }

    /// Where the file is. Storage of another kind has a name that is no file's.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Makes the file as small as what is in it. Whoever writes meanwhile waits. `false`: nothing was
    /// gained, or it was not the time for it.
    pub async fn compact(&self) -> bool {
        let (answer, done) = oneshot::channel();
        self.0.shared.write(|ledger| ledger.compact(answer));
        done.await.unwrap_or(false)
    }

    /// Bytes of the file; `None` where there is none.
    #[must_use]
    pub fn file_size(&self) -> Option<u64> {
        std::fs::metadata(&self.0.path).ok().map(|file| file.len())
    }

    /// Whether the store can write.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        self.0.shared.health().borrow().clone()
    }

    /// Every change of [`Store::health`] from now on.
    #[must_use]
    pub fn watch_health(&self) -> watch::Receiver<StoreHealth> {
        self.0.shared.health()
    }

    /// How many finished sessions were lost to faults since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.shared.dropped()
    }

    /// Saves what is not saved yet, closes the file and ends the thread.
    ///
    /// # Errors
    /// [`CommitError::Unavailable`] where the disk is away and the newest state is lost.
    pub async fn close(&self) -> Result<(), CommitError> {
        self.0.shared.begin_close();
        let mut ended = self.0.ended.clone();
        let outcome = match ended.wait_for(Option::is_some).await {
            Ok(outcome) => (*outcome).clone().unwrap_or(Err(CommitError::Closed)),
            Err(_) => Err(CommitError::Closed),
        };
        if let Some(thread) = lock(&self.0.thread).take() {
            // The outcome is the last thing it sends. A panic in it has become `Closed` above.
            let _ = thread.join();
        }
        outcome
    }
}

/// Resolves when what was noted is on the disk. Dropping it changes nothing.
#[derive(Debug)]
pub struct Durable(oneshot::Receiver<Result<(), CommitError>>);

impl Future for Durable {
    type Output = Result<(), CommitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(CommitError::Closed)))
    }
}

/// Resolves when what was posted is on the disk, or never will be. Dropping it changes nothing.
#[derive(Debug)]
pub struct Posted(oneshot::Receiver<Result<(), ChangeError<Infallible>>>);

impl Future for Posted {
    type Output = Result<(), CommitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| match answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(ChangeError::Commit(error))) => Err(error),
            Ok(Err(ChangeError::Refused(never))) => match never {},
            Err(_) => Err(CommitError::Closed),
        })
    }
}

/// A lock whose holder panicked guards plain values that are whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
