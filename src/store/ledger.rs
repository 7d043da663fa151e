//! The newest state of every service in memory, and what is on its way to the disk.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::clock;
use crate::domain::name::ServiceName;
use crate::domain::time::Timestamp;
use crate::store::error::{CommitError, ReadStoreError};
use crate::store::job::Job;
use crate::store::memory::{
    ServiceState, Session, SessionEnd, SessionReady, SessionStart, States, StopIntent, StoreHealth, Wake,
    WakeFailed,
};
use crate::store::{REMEMBERED_WAKES, lock};

/// Finished sessions that may wait for a disk that hangs; beyond it the newest are lost.
const WAITING_SESSIONS: usize = 1_000;

/// Who waits for a save.
pub(super) type Answer = oneshot::Sender<Result<(), CommitError>>;

/// A question about the history.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) service: ServiceName,
    /// Only those with a lower number.
    pub(super) before: Option<u64>,
    pub(super) limit: usize,
    pub(super) answer: oneshot::Sender<Result<Vec<(u64, Session)>, ReadStoreError>>,
}

/// An intent that is on its way to the disk.
#[derive(Debug)]
pub(super) struct PendingIntent {
    service: ServiceName,
    intent: StopIntent,
    before: Option<StopIntent>,
    answer: Answer,
}

/// A session for the history, with its number.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) service: ServiceName,
    pub(super) number: u64,
    pub(super) session: Session,
}

/// What the handles and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    ledger: Mutex<Ledger>,
    bell: Condvar,
    health: watch::Sender<StoreHealth>,
    dropped: AtomicU64,
}

impl Shared {
    pub(super) fn new(states: States) -> Self {
        Self {
            ledger: Mutex::new(Ledger { states, ..Ledger::default() }),
            bell: Condvar::new(),
            health: watch::Sender::new(StoreHealth::Ok),
            dropped: AtomicU64::new(0),
        }
    }

    /// Changes the ledger and lets the writer know.
    pub(super) fn write(&self, change: impl FnOnce(&mut Ledger)) {
        let mut ledger = lock(&self.ledger);
        change(&mut ledger);
        self.note_losses(&mut ledger);
        drop(ledger);
        self.bell.notify_one();
    }

    pub(super) fn begin_close(&self) {
        self.write(|ledger| ledger.closing = true);
    }

    pub(super) fn health(&self) -> watch::Receiver<StoreHealth> {
        self.health.subscribe()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// For the writer: waits until there is something to do, for `patience` at most, and takes it.
    pub(super) fn take(&self, patience: Option<Duration>) -> Batch {
        let idle = |ledger: &mut Ledger| ledger.is_idle();
        let mut ledger = match patience {
            None => self.bell.wait_while(lock(&self.ledger), idle).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                let waited = self.bell.wait_timeout_while(lock(&self.ledger), patience, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        ledger.take()
    }

    /// For the writer: nothing was saved, and nothing can be until further notice.
    pub(super) fn fail(&self, batch: Batch, reason: &Arc<str>) {
        let mut ledger = lock(&self.ledger);
        match &mut ledger.outage {
            Some(outage) => outage.reason = Arc::clone(reason),
            None => {
                let (since, reason) = (clock::wall(), Arc::clone(reason));
                ledger.outage = Some(Outage { since, reason, dropped: 0 });
            }
        }
        ledger.put_back(batch, reason);
        self.note_losses(&mut ledger);
        self.publish(&ledger);
    }

    /// For the writer: it can save again.
    pub(super) fn recovered(&self) {
        let mut ledger = lock(&self.ledger);
        ledger.outage = None;
        self.publish(&ledger);
    }

    /// For the writer: every state, for a database of which nobody knows what it holds.
    pub(super) fn states(&self) -> States {
        lock(&self.ledger).states.clone()
    }

    pub(super) fn is_closing(&self) -> bool {
        lock(&self.ledger).closing
    }

    /// For the writer: it ends. Whoever waits, waits for nothing.
    pub(super) fn end(&self) {
        let mut ledger = lock(&self.ledger);
        ledger.ended = true;
        ledger.take();
    }

    fn publish(&self, ledger: &MutexGuard<'_, Ledger>) {
        self.health.send_if_modified(|health| {
            let news = ledger.health();
            let changed = *health != news;
            *health = news;
            changed
        });
    }

    fn note_losses(&self, ledger: &mut MutexGuard<'_, Ledger>) {
        let lost = std::mem::take(&mut ledger.lost);
        if lost > 0 {
            self.dropped.fetch_add(lost, Ordering::Relaxed);
            self.publish(ledger);
        }
    }
}

/// The store was not able to write since then.
#[derive(Debug)]
struct Outage {
    since: Timestamp,
    reason: Arc<str>,
    dropped: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    states: States,
    /// Services whose state is newer than the disk's.
    dirty: BTreeSet<ServiceName>,
    finished: Vec<Finished>,
    waiting: Vec<Answer>,
    intents: Vec<PendingIntent>,
    reads: Vec<Read>,
    jobs: Vec<Job>,
    /// Who wants the file to be made smaller.
    compactions: Vec<oneshot::Sender<bool>>,
    outage: Option<Outage>,
    /// Finished sessions that were lost and are not counted yet.
    lost: u64,
    closing: bool,
    ended: bool,
}

/// What the writer takes at once and saves in one commit.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) states: States,
    pub(super) finished: Vec<Finished>,
    waiting: Vec<Answer>,
    intents: Vec<PendingIntent>,
    pub(super) reads: Vec<(Read, Option<(u64, Session)>)>,
    pub(super) jobs: Vec<Job>,
    pub(super) compactions: Vec<oneshot::Sender<bool>>,
    /// Nothing comes after this one.
    pub(super) last: bool,
}

impl Batch {
    /// Whether there is nothing to save in it.
    pub(super) fn is_clean(&self) -> bool {
        self.states.is_empty() && self.finished.is_empty()
    }

    /// Tells who waits that it is on the disk.
    pub(super) fn saved(&mut self) {
        let intents = self.intents.drain(..).map(|pending| pending.answer);
        for answer in self.waiting.drain(..).chain(intents) {
            // Who does not care has dropped the other end.
            let _ = answer.send(Ok(()));
        }
    }
}

impl Ledger {
    /// Changes the state of a service.
    pub(super) fn change<T>(
        &mut self,
        service: ServiceName,
        change: impl FnOnce(&mut ServiceState) -> T,
    ) -> T {
        let state = self.states.entry(service.clone()).or_default();
        let before = state.clone();
        let answer = change(state);
        if *state != before {
            self.dirty.insert(service);
        }
        answer
    }

    pub(super) fn wait_for_save(&mut self, answer: Answer) {
        if self.ended {
            return;
        }
        // Callers who went away must not pile up while the store is away.
        self.waiting.retain(|answer| !answer.is_closed());
        self.waiting.push(answer);
    }

    pub(super) fn intend(&mut self, service: ServiceName, intent: StopIntent, answer: Answer) {
        if self.ended {
            return;
        }
        if let Some(outage) = &self.outage {
            let _ = answer.send(Err(CommitError::Unavailable { reason: Arc::clone(&outage.reason) }));
            return;
        }
        let wanted = intent.clone();
        let before = self.change(service.clone(), |state| state.intent.replace(wanted));
        self.intents.push(PendingIntent { service, intent, before, answer });
    }

    pub(super) fn read(&mut self, read: Read) {
        if !self.ended {
            self.reads.push(read);
        }
    }

    pub(super) fn job(&mut self, job: Job) {
        if !self.ended {
            self.jobs.push(job);
        }
    }

    pub(super) fn compact(&mut self, answer: oneshot::Sender<bool>) {
        if !self.ended {
            self.compactions.push(answer);
        }
    }

    pub(super) fn start_session(&mut self, start: SessionStart) {
        let SessionStart { service, cause, ordered_at, by } = start;
        let unfinished = self.change(service.clone(), |state| {
            state.activity = None;
            state.ready_since = None;
            state.intent = None;
            state.open.replace(Session { cause, ordered_at, by, wake: Wake::Pending, stop: None })
        });
        if let Some(session) = unfinished {
            self.finish(service, session);
        }
    }

    pub(super) fn make_ready(&mut self, ready: SessionReady) {
        self.change(ready.service, |state| {
            state.ready_since = Some(ready.at);
            state.intent = None;
            if let Some(took) = ready.wake {
                state.wakes.push_back(took);
                let surplus = state.wakes.len().saturating_sub(REMEMBERED_WAKES);
                state.wakes.drain(..surplus);
            }
            if let Some(session) = &mut state.open {
                session.wake = Wake::Ready { at: ready.at, took: ready.wake, engine: ready.engine };
            }
        });
    }

    pub(super) fn fail_wake(&mut self, failed: WakeFailed) {
        let WakeFailed { service, outcome, reason, at } = failed;
        self.close_session(service, |session| session.wake = Wake::Failed { at, outcome, reason });
    }

    pub(super) fn end_session(&mut self, end: SessionEnd) {
        self.close_session(end.service, |session| session.stop = Some(end.stop));
    }

    fn close_session(&mut self, service: ServiceName, how: impl FnOnce(&mut Session)) {
        let session = self.change(service.clone(), |state| {
            // The activity stays: a paused container is stopped for good so long after it.
            state.ready_since = None;
            state.intent = None;
            state.open.take()
        });
        if let Some(mut session) = session {
            how(&mut session);
            self.finish(service, session);
        }
    }

    fn finish(&mut self, service: ServiceName, session: Session) {
        if self.outage.is_some() || self.ended || self.finished.len() >= WAITING_SESSIONS {
            self.lose(1);
            return;
        }
        let number = self.change(service.clone(), |state| {
            state.next_session += 1;
            state.next_session
        });
        self.finished.push(Finished { service, number, session });
    }

    fn lose(&mut self, sessions: u64) {
        self.lost += sessions;
        if let Some(outage) = &mut self.outage {
            outage.dropped += sessions;
        }
    }

    fn is_idle(&self) -> bool {
        let nothing_to_save = self.outage.is_some()
            || (self.dirty.is_empty() && self.finished.is_empty() && self.waiting.is_empty());
        nothing_to_save
            && self.intents.is_empty()
            && self.reads.is_empty()
            && self.jobs.is_empty()
            && self.compactions.is_empty()
            && !self.closing
    }

    fn take(&mut self) -> Batch {
        let dirty = std::mem::take(&mut self.dirty);
        let states = dirty.into_iter().filter_map(|service| {
            let state = self.states.get(&service)?.clone();
            Some((service, state))
        });
        let states = states.collect();
        let reads = std::mem::take(&mut self.reads).into_iter().map(|read| {
            // It has the number that it will be written down under.
            let open = self.states.get(&read.service).and_then(|state| {
                let number = state.next_session + 1;
                state.open.clone().map(|session| (number, session))
            });
            let open = open.filter(|(number, _)| read.before.is_none_or(|before| *number < before));
            (read, open)
        });
        Batch {
            states,
            reads: reads.collect(),
            jobs: std::mem::take(&mut self.jobs),
            compactions: std::mem::take(&mut self.compactions),
            finished: std::mem::take(&mut self.finished),
            waiting: std::mem::take(&mut self.waiting),
            intents: std::mem::take(&mut self.intents),
            last: self.closing,
        }
    }

    /// Takes back what could not be saved. History is lost, an intent was not meant; the states need
    /// no care, for all of them are written when the database is open again.
    fn put_back(&mut self, batch: Batch, reason: &Arc<str>) {
        self.lose(batch.finished.len() as u64);
        self.waiting.extend(batch.waiting);
        // Those that came in the meantime as well: they stand on the ones before.
        let intents: Vec<_> = batch.intents.into_iter().chain(std::mem::take(&mut self.intents)).collect();
        for pending in intents.into_iter().rev() {
            self.change(pending.service, |state| {
                if state.intent.as_ref() == Some(&pending.intent) {
                    state.intent = pending.before;
                }
            });
            let _ = pending.answer.send(Err(CommitError::Unavailable { reason: Arc::clone(reason) }));
        }
    }

    fn health(&self) -> StoreHealth {
        self.outage.as_ref().map_or(StoreHealth::Ok, |outage| StoreHealth::ReadOnly {
            since: outage.since,
            reason: Arc::clone(&outage.reason),
            dropped: outage.dropped,
        })
    }
}
