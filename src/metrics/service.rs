//! What is counted of one service.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::name::ServiceName;
use crate::domain::time::Moment;
use crate::domain::words::{Reason, StopCause, WakeCause, WakeOutcome};

/// Who answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnsweredBy {
    Upstream,
    Wakedock,
}

/// Upper bounds of `wakedock_request_duration_seconds`, in microseconds.
pub(super) const REQUEST_BUCKETS: [u64; 14] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 60_000_000,
];

/// Upper bounds of `wakedock_wake_duration_seconds`, in microseconds: the floors of an unpause
/// (10 ms) and of a start (100 to 400 ms) are told apart.
pub(super) const WAKE_BUCKETS: [u64; 14] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
];

/// Upper bounds of `wakedock_wake_overhead_seconds`, in microseconds.
pub(super) const OVERHEAD_BUCKETS: [u64; 10] =
    [100, 250, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 50_000, 250_000];

/// A histogram of plain atomics.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    /// Counts below or at each bound, not added up.
    pub(super) buckets: [AtomicU64; N],
    pub(super) over: AtomicU64,
    pub(super) micros: AtomicU64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            over: AtomicU64::new(0),
            micros: AtomicU64::new(0),
        }
    }
}

impl<const N: usize> Histogram<N> {
    fn record(&self, bounds: &[u64; N], took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets
            .get(bounds.partition_point(|bound| *bound < micros))
            .unwrap_or(&self.over)
            .fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

/// What the request path counts: a shard per worker, so that no two workers write to one cache
/// line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Shard {
    /// By class of status (index 0 is 1xx) and by who answered.
    pub(super) requests: [[AtomicU64; 2]; 5],
    pub(super) durations: Histogram<{ REQUEST_BUCKETS.len() }>,
}

/// Whether a service costs memory at the moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Being {
    /// From the start order to the end of the stop.
    Awake,
    /// Off or paused; `saving` bytes of memory are free that it used when it was awake.
    Asleep { saving: u64 },
    /// It was let go: what becomes of its container is not WakeDock's to say.
    Gone,
}

/// Seconds awake and asleep, and byte-seconds saved.
#[derive(Debug)]
struct Account {
    being: Being,
    since: Moment,
    awake: Duration,
    asleep: Duration,
    saved: f64,
    /// Bytes in use while it is awake, as they were read last.
    memory: u64,
    /// Byte-seconds in use.
    used: f64,
}

impl Account {
    #[allow(clippy::cast_precision_loss, reason = "bytes times seconds are not exact to the byte")]
    fn advance(&mut self, now: Moment) {
        let more = now.since(self.since);
        self.since = now;
        match self.being {
            Being::Awake => {
                self.awake += more;
                self.used += more.as_secs_f64() * self.memory as f64;
            }
            Being::Asleep { saving } => {
                self.asleep += more;
                self.saved += more.as_secs_f64() * saving as f64;
            }
            Being::Gone => {}
        }
    }
}

/// What was counted of one service since this process started, and adds up over time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Answered requests.
    pub requests: u64,
    /// Wakes that ended well.
    pub wakes: u64,
    /// Wakes that failed or took too long.
    pub failed_wakes: u64,
    pub awake: Duration,
    pub asleep: Duration,
    /// Bytes in use while it was awake, times seconds.
    pub memory_byte_seconds: f64,
    /// Processor time used.
    pub cpu: Duration,
    /// Bytes it used when it was awake, times the seconds it was off.
    pub saved_byte_seconds: f64,
}

/// Everything counted of one service.
#[derive(Debug)]
pub struct ServiceMetrics {
    name: ServiceName,
    pub(super) shards: Box<[Shard]>,
    pub(super) wakes: [[AtomicU64; WakeOutcome::ALL.len()]; WakeCause::ALL.len()],
    pub(super) stops: [AtomicU64; StopCause::ALL.len()],
    pub(super) refusals: [AtomicU64; Reason::ALL.len()],
    pub(super) wake_durations: Histogram<{ WAKE_BUCKETS.len() }>,
    pub(super) wake_overheads: Histogram<{ OVERHEAD_BUCKETS.len() }>,
    /// Nanoseconds of processors used.
    cpu: AtomicU64,
    account: Mutex<Account>,
}

impl ServiceMetrics {
    /// Counters at zero, for `workers` workers; asleep from `now` on.
    #[must_use]
    pub fn new(name: ServiceName, workers: usize, now: Moment) -> Arc<Self> {
        Arc::new(Self {
            name,
            shards: (0..workers.max(1)).map(|_| Shard::default()).collect(),
            wakes: Default::default(),
            stops: Default::default(),
            refusals: Default::default(),
            wake_durations: Histogram::default(),
            wake_overheads: Histogram::default(),
            cpu: AtomicU64::new(0),
            account: Mutex::new(Account {
                being: Being::Asleep { saving: 0 },
                since: now,
                awake: Duration::ZERO,
                asleep: Duration::ZERO,
                saved: 0.0,
                memory: 0,
                used: 0.0,
            }),
        })
    }

    #[must_use]
    pub fn name(&self) -> &ServiceName {
        &self.name
    }

    /// Counts one answered request, by worker `worker`.
    pub fn request(&self, worker: usize, status: u16, by: AnsweredBy, took: Duration) {
        let shard = &self.shards[worker % self.shards.len()];
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        shard.requests[class][by as usize].fetch_add(1, Ordering::Relaxed);
        shard.durations.record(&REQUEST_BUCKETS, took);
    }

    /// Counts a request that was answered with a refusal.
    pub fn refused(&self, reason: Reason) {
        self.refusals[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often WakeDock answered for this reason.
    #[must_use]
    pub fn refusals(&self, reason: Reason) -> u64 {
        self.refusals[reason as usize].load(Ordering::Relaxed)
    }

    /// How many requests with this class of status (2 for `2xx`) were answered by `by`.
    #[must_use]
    pub fn requests(&self, class: usize, by: AnsweredBy) -> u64 {
        let class = class.clamp(1, 5) - 1;
        self.shards.iter().map(|shard| shard.requests[class][by as usize].load(Ordering::Relaxed)).sum()
    }

    /// Every answered request.
    #[must_use]
    pub fn all_requests(&self) -> u64 {
        let of_shard = |shard: &Shard| -> u64 {
            shard.requests.iter().flatten().map(|count| count.load(Ordering::Relaxed)).sum()
        };
        self.shards.iter().map(of_shard).sum()
    }

    /// Counts a wake that ended.
    pub fn wake(&self, cause: WakeCause, outcome: WakeOutcome) {
        self.wakes[cause as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Notes how long a successful wake took, from demand to ready.
    pub fn wake_took(&self, took: Duration) {
        self.wake_durations.record(&WAKE_BUCKETS, took);
    }

    /// Notes WakeDock's own share of a wake.
    pub fn wake_overhead(&self, took: Duration) {
        self.wake_overheads.record(&OVERHEAD_BUCKETS, took);
    }

    /// Counts a stop that ended.
    pub fn stop(&self, cause: StopCause) {
        self.stops[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// It is awake, or asleep, from `now` on.
    pub fn account(&self, now: Moment, being: Being) {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.advance(now);
        account.being = being;
        if being != Being::Awake {
            account.memory = 0;
        }
    }

    /// It uses `memory` bytes from `now` on, and used `cpu` nanoseconds of processors since it was
    /// read last.
    pub fn used(&self, now: Moment, memory: u64, cpu: u64) {
        self.cpu.fetch_add(cpu, Ordering::Relaxed);
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.advance(now);
        account.memory = memory;
    }

    /// Bytes that are free because it is off.
    #[must_use]
    pub fn saving(&self) -> u64 {
        match self.account.lock().unwrap_or_else(PoisonError::into_inner).being {
            Being::Awake | Being::Gone => 0,
            Being::Asleep { saving } => saving,
        }
    }

    /// Everything that is added up over time, up to `now`.
    #[must_use]
    pub fn totals(&self, now: Moment) -> Totals {
        let (mut wakes, mut failed_wakes) = (0, 0);
        for outcomes in &self.wakes {
            for outcome in WakeOutcome::ALL {
                let count = outcomes[*outcome as usize].load(Ordering::Relaxed);
                match outcome {
                    WakeOutcome::Ready => wakes += count,
                    WakeOutcome::Failed | WakeOutcome::Timeout => failed_wakes += count,
                    WakeOutcome::Cancelled => {}
                }
            }
        }
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.advance(now);
        Totals {
            requests: self.all_requests(),
            wakes,
            failed_wakes,
            awake: account.awake,
            asleep: account.asleep,
            memory_byte_seconds: account.used,
            cpu: Duration::from_nanos(self.cpu.load(Ordering::Relaxed)),
            saved_byte_seconds: account.saved,
        }
    }

    /// Time awake, time asleep, and byte-seconds saved, up to `now`.
    pub(super) fn accounted(&self, now: Moment) -> (Duration, Duration, f64) {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.advance(now);
        (account.awake, account.asleep, account.saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_for_every_second_once() {
        let at = |seconds| Moment::START + Duration::from_secs(seconds);
        let metrics = ServiceMetrics::new(ServiceName::parse("a").unwrap(), 2, at(0));
        metrics.account(at(10), Being::Awake);
        metrics.account(at(40), Being::Asleep { saving: 100 });
        let (awake, asleep, saved) = metrics.accounted(at(45));
        assert_eq!((awake.as_secs(), asleep.as_secs()), (30, 15));
        assert!((saved - 500.0).abs() < 1e-6);
        metrics.account(at(50), Being::Gone);
        let (awake, asleep, _) = metrics.accounted(at(500));
        assert_eq!((awake.as_secs(), asleep.as_secs()), (30, 20), "it is let go");
    }
}
