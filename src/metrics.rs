//! Every metric family, its labels (closed words and configured names only), and its text.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::name::ServiceName;
use crate::domain::words::Reason;

/// Who answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnsweredBy {
    Upstream,
    Wakedock,
}

/// Upper bounds of `wakedock_request_duration_seconds`, in microseconds.
const REQUEST_BUCKETS: [u64; 14] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 60_000_000,
];

/// The counters of one service that the request path touches: plain atomics, a shard per worker,
/// so that no two workers write to one cache line.
#[derive(Debug)]
pub struct ServiceMetrics {
    name: ServiceName,
    shards: Box<[Shard]>,
    /// By reason. Not sharded: whoever is refused is not in a hurry.
    refusals: [AtomicU64; Reason::ALL.len()],
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    /// By class of status (index 0 is 1xx) and by who answered.
    requests: [[AtomicU64; 2]; 5],
    buckets: [AtomicU64; REQUEST_BUCKETS.len() + 1],
    micros: AtomicU64,
}

impl ServiceMetrics {
    #[must_use]
    pub fn new(name: ServiceName, workers: usize) -> Arc<Self> {
        let shards = (0..workers.max(1)).map(|_| Shard::default()).collect();
        Arc::new(Self { name, shards, refusals: Default::default() })
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
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = REQUEST_BUCKETS.partition_point(|bound| *bound < micros);
        shard.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        shard.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Counts one answer that WakeDock gave instead of the upstream.
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
}
