//! The gate of a service, and the lease: proof that a client may use the upstream now.
//!
//! The gate is one atomic word, so that in the ready phase taking a lease is a few atomic
//! operations: no lock, no allocation, no channel. Only the service's actor opens and closes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::clock;
use crate::domain::address::Upstream;
use crate::domain::lifecycle::Usage;
use crate::domain::time::Moment;
use crate::supervisor::handle::Shared;

/// Requests may pass.
const OPEN: u64 = 1 << 63;
/// The store has heard that nobody uses the service; the next lease must tell it otherwise.
const QUIET: u64 = 1 << 62;
/// How many leases are out.
const COUNT: u64 = (1 << 32) - 1;

/// Who may pass, how many are inside, and where they go.
#[derive(Debug)]
pub struct Gate {
    word: AtomicU64,
    /// When the last lease ended, in microseconds of [`Moment`].
    last_active: AtomicI64,
    upstream: ArcSwap<Option<Upstream>>,
    /// Who had the container before, under another name: their clients may still be inside.
    before: ArcSwap<Vec<Arc<Shared>>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            word: AtomicU64::new(0),
            last_active: AtomicI64::new(i64::MIN),
            upstream: ArcSwap::from_pointee(None),
            before: ArcSwap::default(),
        }
    }
}

/// What a successful entry found.
enum Entry {
    Closed,
    /// Inside; true where the store must hear of it.
    Inside {
        was_quiet: bool,
    },
}

impl Gate {
    fn enter(&self) -> Entry {
        let before = self.word.fetch_add(1, Ordering::AcqRel);
        if before & OPEN == 0 {
            self.word.fetch_sub(1, Ordering::AcqRel);
            return Entry::Closed;
        }
        // One of many that enter at once clears the mark and tells the store.
        let was_quiet = before & QUIET != 0 && self.word.fetch_and(!QUIET, Ordering::AcqRel) & QUIET != 0;
        Entry::Inside { was_quiet }
    }

    fn leave(&self) {
        // Before the count falls, so that whoever sees zero also sees when it became zero.
        self.touch(clock::now());
        self.word.fetch_sub(1, Ordering::AcqRel);
    }

    /// Activity at `at`.
    pub fn touch(&self, at: Moment) {
        self.last_active.fetch_max(at.as_micros(), Ordering::AcqRel);
    }

    /// Lets requests pass to `upstream`. The idle clock runs from `clock_from` at the earliest.
    pub fn open(&self, upstream: Upstream, clock_from: Moment) {
        self.upstream.store(Arc::new(Some(upstream)));
        self.touch(clock_from);
        // What the store believes is found out anew.
        self.word.fetch_and(!QUIET, Ordering::AcqRel);
        self.word.fetch_or(OPEN, Ordering::AcqRel);
    }

    /// Lets requests pass again, to where they went before.
    pub fn reopen(&self) {
        self.word.fetch_or(OPEN, Ordering::AcqRel);
    }

    /// Whether requests pass.
    pub(super) fn is_open(&self) -> bool {
        self.word.load(Ordering::Acquire) & OPEN != 0
    }

    /// Lets nobody pass any more. Leases that are out stay out.
    pub fn close(&self) {
        self.word.fetch_and(!OPEN, Ordering::AcqRel);
    }

    /// Closes the gate if nobody is inside, in one step: the check and the closing cannot be
    /// separated by a request.
    pub fn close_if_unused(&self) -> Usage {
        if self.is_used_from_before() {
            return Usage::InUse;
        }
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if word & COUNT != 0 {
                return Usage::InUse;
            }
            match self.word.compare_exchange_weak(word, word & !OPEN, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Usage::Quiet { since: self.last_active() },
                Err(now) => word = now,
            }
        }
    }

    /// Where requests go, or went last.
    #[must_use]
    pub fn upstream(&self) -> Option<Upstream> {
        **self.upstream.load()
    }

    /// Counts those inside as well who came while the container was somebody else's. Their gates are
    /// closed for good.
    pub(super) fn inherit(&self, before: Vec<Arc<Shared>>) {
        self.before.store(Arc::new(before));
    }

    /// Whether they are still inside. When the last of them has left, they are let go.
    fn is_used_from_before(&self) -> bool {
        let before = self.before.load();
        if before.is_empty() {
            return false;
        }
        if before.iter().any(|shared| shared.gate.leases() > 0) {
            return true;
        }
        before.iter().for_each(|shared| self.touch(shared.gate.last_active()));
        self.before.store(Arc::default());
        false
    }

    /// How many leases are out.
    #[must_use]
    pub fn leases(&self) -> u64 {
        let own = self.word.load(Ordering::Acquire) & COUNT;
        self.before.load().iter().fold(own, |all, shared| all + shared.gate.leases())
    }

    /// When the last lease ended.
    #[must_use]
    pub fn last_active(&self) -> Moment {
        let own = Moment::from_micros(self.last_active.load(Ordering::Acquire));
        self.before.load().iter().fold(own, |last, shared| last.max(shared.gate.last_active()))
    }

    /// Remembers that the store knows of the quiet, if it is quiet still: nobody inside, and the
    /// last lease ended at `since`. From now on the next lease tells the store.
    pub fn mark_quiet(&self, since: Moment) -> bool {
        let word = self.word.load(Ordering::Acquire);
        self.leases() == 0
            && self.last_active() == since
            && self.word.compare_exchange(word, word | QUIET, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether the store has heard that nobody uses the service.
    #[must_use]
    pub fn is_marked_quiet(&self) -> bool {
        self.word.load(Ordering::Acquire) & QUIET != 0
    }
}

/// Proof that a client may use the upstream now. It lives as long as bytes may flow: inside the
/// response body and inside the upgraded stream. Dropping the last one starts the idle clock.
#[derive(Debug)]
pub struct Lease {
    service: Arc<Shared>,
    upstream: Upstream,
    /// Of the first request after a wake: WakeDock's own share of it so far.
    overhead: Option<Overhead>,
}

/// WakeDock's own share of a wake, until its first request is forwarded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overhead {
    /// From the demand to the start order.
    pub(super) before: Duration,
    /// When the application answered.
    pub(super) ready_at: Moment,
}

impl Overhead {
    /// All of it, where the first request goes out now.
    pub(super) fn up_to(self, now: Moment) -> Duration {
        self.before + now.since(self.ready_at)
    }
}

impl Lease {
    /// Takes a lease where the gate is open.
    pub(super) fn take(service: &Arc<Shared>) -> Option<Self> {
        match service.gate.enter() {
            Entry::Closed => None,
            Entry::Inside { was_quiet } => {
                if was_quiet {
                    service.busy_again();
                }
                let Some(upstream) = **service.gate.upstream.load() else {
                    // The gate is never opened before it has an upstream.
                    service.gate.leave();
                    return None;
                };
                Some(Self { service: Arc::clone(service), upstream, overhead: None })
            }
        }
    }

    /// Gives a waiting client its lease, whatever the gate says: only the actor may do so.
    pub(super) fn grant(service: &Arc<Shared>, upstream: Upstream, overhead: Option<Overhead>) -> Self {
        let before = service.gate.word.fetch_add(1, Ordering::AcqRel);
        if before & QUIET != 0 && service.gate.word.fetch_and(!QUIET, Ordering::AcqRel) & QUIET != 0 {
            service.busy_again();
        }
        Self { service: Arc::clone(service), upstream, overhead }
    }

    /// The request goes out to the application now: what WakeDock added to the wake ends here.
    pub fn forwarded(&mut self) {
        if let Some(overhead) = self.overhead.take() {
            self.service.metrics.wake_overhead(overhead.up_to(clock::now()));
        }
    }

    /// Where to dial.
    #[must_use]
    pub fn upstream(&self) -> Upstream {
        self.upstream
    }

    /// Stops counting as use, for a stream that has been silent for longer than `silent_stream`.
    #[must_use = "the silent lease must be kept, to count again when bytes flow"]
    pub fn silence(self) -> SilentLease {
        SilentLease { service: Arc::clone(&self.service), upstream: self.upstream }
    }
}

impl Clone for Lease {
    fn clone(&self) -> Self {
        self.service.gate.word.fetch_add(1, Ordering::AcqRel);
        Self { service: Arc::clone(&self.service), upstream: self.upstream, overhead: None }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.service.gate.leave();
    }
}

/// A lease of a silent stream: it does not keep the service awake.
#[derive(Debug)]
pub struct SilentLease {
    service: Arc<Shared>,
    upstream: Upstream,
}

impl SilentLease {
    /// Bytes flow again. `None` where the service went to sleep in the meantime, or was woken
    /// anew: the stream's upstream is gone.
    #[must_use]
    pub fn speak(&self) -> Option<Lease> {
        Lease::take(&self.service).filter(|lease| lease.upstream == self.upstream)
    }
}
