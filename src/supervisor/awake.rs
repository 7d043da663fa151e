//! Why a service is awake, until when, and how much it uses: what people ask at a glance, and the
//! part of the actor that knows it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::clock;
use crate::domain::lifecycle::{Input, Policy};
use crate::domain::time::{Moment, Timestamp};
use crate::domain::usage::UsageSample;
use crate::domain::words::Phase;
use crate::store::AskedBy;
use crate::supervisor::actor::{Actor, Report};
use crate::supervisor::handle::{Message, ServiceHandle};
use crate::supervisor::journal::{Journal, What};

/// When a service's usage is read first after it became ready, and then how often. While somebody
/// watches, the fleet asks more often.
const FIRST_SAMPLE: Duration = Duration::from_secs(1);
const NEXT_SAMPLE: Duration = Duration::from_secs(60);

/// Why a service that is ready is not put to sleep this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awake {
    /// Requests, bodies or streams are in progress.
    InUse { leases: u64 },
    /// Nobody uses it; it falls asleep then.
    Idle { until: Timestamp },
    /// Somebody keeps it awake until then.
    KeptAwake { until: Timestamp },
    /// It is not put to sleep so soon after it became ready (`idle.min_awake`).
    MinAwake { until: Timestamp },
    /// It is configured not to sleep.
    Never,
}

impl Awake {
    pub(super) fn of(
        policy: &Policy,
        ready: Moment,
        quiet: Moment,
        leases: u64,
        keep: Option<Timestamp>,
    ) -> Self {
        if leases > 0 {
            return Self::InUse { leases };
        }
        let Some((_, after)) = policy.first_sleep() else { return Self::Never };
        let (idle, least) = (quiet + after, ready + policy.min_awake);
        let until = clock::wall_at(idle.max(least));
        match keep {
            Some(keep) if keep > until => Self::KeptAwake { until: keep },
            _ if least > idle => Self::MinAwake { until },
            _ => Self::Idle { until },
        }
    }

    /// When it falls asleep if nobody comes.
    #[must_use]
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Idle { until } | Self::KeptAwake { until } | Self::MinAwake { until } => Some(until),
            Self::InUse { .. } | Self::Never => None,
        }
    }

    /// The word for API and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InUse { .. } => "in-use",
            Self::Idle { .. } => "idle",
            Self::KeptAwake { .. } => "kept-awake",
            Self::MinAwake { .. } => "min-awake",
            Self::Never => "never",
        }
    }
}

/// How much a service used when it was read last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Bytes, without the page cache.
    pub memory: u64,
    /// Share of one processor since the reading before: 1.0 is one processor busy. `None` at the
    /// first reading.
    pub cpu: Option<f64>,
    pub at: Timestamp,
}

/// The readings of a service's usage.
#[derive(Debug, Default)]
pub(super) struct Sampling {
    due: Option<Moment>,
    in_progress: bool,
    /// The reading before, since it is ready.
    before: Option<UsageSample>,
}

impl Sampling {
    /// When the next one is due.
    pub(super) fn due(&self) -> Option<Moment> {
        self.due
    }
}

/// How often usage is read while somebody watches, and how far apart two services are read.
const WATCHED_SAMPLE: Duration = Duration::from_secs(10);
const APART: Duration = Duration::from_millis(20);

/// Reads the usage of what is ready more often while somebody watches. While nobody does, nothing
/// ticks.
pub(super) async fn watch_usage(services: Arc<ArcSwap<Vec<ServiceHandle>>>, journal: Journal) {
    loop {
        journal.watched().await;
        while journal.is_watched() {
            let began = clock::now();
            for service in services.load_full().iter() {
                if service.phase() == Phase::Ready {
                    service.send(Message::Sample);
                    tokio::time::sleep(APART).await;
                }
            }
            tokio::time::sleep(WATCHED_SAMPLE.saturating_sub(clock::now().since(began))).await;
        }
    }
}

impl Actor {
    /// It entered a phase: only what is ready is read.
    pub(super) fn sampling_from(&mut self, phase: Phase) {
        let ready = phase == Phase::Ready;
        self.sampling.due = ready.then(|| clock::now() + FIRST_SAMPLE);
        self.sampling.before = None;
        if !ready {
            self.shared.usage.store(None);
        }
    }

    /// Reads how much it uses.
    pub(super) fn sample(&mut self) {
        self.sampling.due = None;
        if self.machine.phase() != Phase::Ready || self.sampling.in_progress {
            return;
        }
        let Some(known) = &self.known else { return };
        self.sampling.in_progress = true;
        let (engine, id) = (Arc::clone(&self.tools.wakers.engine), known.id.clone());
        self.tasks.spawn(async move { Report::Used(engine.usage(&id).await.ok()) });
    }

    pub(super) fn sampled(&mut self, sample: Option<UsageSample>) {
        self.sampling.in_progress = false;
        if self.machine.phase() != Phase::Ready {
            return;
        }
        self.sampling.due = Some(clock::now() + NEXT_SAMPLE);
        let Some(sample) = sample else { return };
        let before = self.sampling.before.replace(sample);
        let cpu = before.and_then(|before| sample.cpu_since(&before));
        let used = before.and_then(|before| sample.cpu_total.checked_sub(before.cpu_total));
        let memory = sample.memory_in_use();
        self.chronicle.used(memory, used.unwrap_or(0));
        self.shared.usage.store(Some(Arc::new(Usage { memory, cpu, at: clock::wall() })));
    }

    /// Not to be put to sleep for want of use before then.
    pub(super) fn keep_awake(&mut self, until: Option<Timestamp>, by: AskedBy) {
        if until.is_none() && self.keep_awake.is_none() {
            return;
        }
        self.keep_awake = until;
        self.tools.store.keep_awake(self.name(), until);
        self.chronicle.tell(What::KeptAwake { until, by: by.user.unwrap_or_default() });
        self.input(Input::KeepAwake(until.map(clock::moment_of)));
    }

    /// A stop by hand ends that, too.
    pub(super) fn no_longer_kept(&mut self) {
        if self.keep_awake.take().is_some() {
            self.tools.store.keep_awake(self.name(), None);
        }
    }
}
