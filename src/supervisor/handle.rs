//! The way to talk to one service: take a lease, wait for one, watch it, order it about.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::clock;
use crate::domain::address::Upstream;
use crate::domain::lifecycle::{DemandId, Policy};
use crate::domain::name::ServiceName;
use crate::domain::service::ServiceSpec;
use crate::domain::time::{Moment, Timestamp};
use crate::domain::words::{Phase, Refusal, StopCause, WakeCause};
use crate::metrics::ServiceMetrics;
pub use crate::store::AskedBy;
use crate::store::Session;
pub use crate::supervisor::awake::{Awake, Usage};
use crate::supervisor::lease::{Gate, Lease};

/// What everybody may know about a service at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub phase: Phase,
    /// Since when it is in this phase.
    pub since: Moment,
    /// In `waking`: what it waits for.
    pub step: WakeStep,
    /// How long a wake of this service usually takes, from its own past.
    pub usual: Option<Duration>,
    /// In `failed`, and in `stopping` after a failed wake.
    pub failure: Option<Arc<Failure>>,
    /// There is no container of its name, and none is expected back: it cannot be woken.
    pub missing: bool,
    /// Asleep with its memory kept.
    pub paused: bool,
    /// What stopped it last, or stops it now.
    pub stop_cause: Option<StopCause>,
    /// What woke it last, or wakes it now.
    pub wake_cause: Option<WakeCause>,
    /// Since when it has been ready, however often a stop was taken back. Only in `ready`.
    pub ready_since: Moment,
    /// Kept awake until then, which may have passed.
    pub keep_awake: Option<Timestamp>,
    /// The newest session: the one that goes on, or the last one.
    pub session: Option<Arc<Session>>,
}

impl Snapshot {
    #[must_use]
    pub fn new(phase: Phase, since: Moment) -> Self {
        Self {
            phase,
            since,
            step: WakeStep::Starting,
            usual: None,
            failure: None,
            missing: false,
            paused: false,
            stop_cause: None,
            wake_cause: None,
            ready_since: since,
            keep_awake: None,
            session: None,
        }
    }
}

/// How far a wake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeStep {
    /// Docker starts the container.
    Starting,
    /// The container runs, the application does not answer yet.
    Probing,
}

/// Why the last wake failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// For the operator: may name the container, its image and Docker's message.
    pub reason: String,
    /// The container's last log lines.
    pub log: Vec<String>,
    /// When the next try is allowed.
    pub retry_at: Moment,
}

/// The request that asks: who woke this. Borrowed, so that a request that finds its service ready
/// pays nothing for it.
#[derive(Clone, Copy, Default)]
pub struct Asker<'a> {
    pub request_id: &'a [u8],
    pub host: &'a str,
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// The client's address; asked only where the service is not ready.
    pub client: Option<&'a (dyn Fn() -> Option<IpAddr> + Sync)>,
}

impl From<&Asker<'_>> for AskedBy {
    fn from(asker: &Asker<'_>) -> Self {
        let text = |text: &str| (!text.is_empty()).then(|| text.into());
        let end = (0..=Self::LONGEST_PATH.min(asker.path.len()))
            .rev()
            .find(|end| asker.path.is_char_boundary(*end));
        let path = &asker.path[..end.unwrap_or(0)];
        Self {
            request_id: text(&String::from_utf8_lossy(asker.request_id)),
            host: text(asker.host),
            method: text(asker.method),
            path: text(path),
            client: asker.client.and_then(|client| client()),
            user: None,
        }
    }
}

/// What others ask of a service's actor.
#[derive(Debug)]
pub enum Message {
    /// A request waits for a lease.
    Demand {
        id: DemandId,
        answer: oneshot::Sender<Result<Lease, Refusal>>,
        by: AskedBy,
    },
    /// It went away, or its patience ended.
    Withdraw(DemandId),
    /// Wake it without waiting for it.
    Wake {
        cause: WakeCause,
        by: AskedBy,
    },
    Stop {
        cause: StopCause,
        by: AskedBy,
    },
    /// Stop it and wake it again, whoever uses it.
    Restart {
        by: AskedBy,
    },
    /// Not to be put to sleep for want of use before then; `None`: no longer.
    KeepAwake {
        until: Option<Timestamp>,
        by: AskedBy,
    },
    /// Read how much it uses.
    Sample,
    /// The upstream refused or reset a connection: look at the container again.
    Recheck {
        upstream: Upstream,
        done: oneshot::Sender<()>,
    },
    /// Something happened to the container.
    Event(crate::ports::ContainerEvent),
    /// Compare with the engine.
    Reconcile {
        done: Option<oneshot::Sender<()>>,
    },
    Respec(Arc<ServiceSpec>),
    /// The service is no longer ours: refuse who waits, stop nothing.
    Retire,
}

/// What a service's actor and its handles share.
#[derive(Debug)]
pub struct Shared {
    pub(super) spec: ArcSwap<ServiceSpec>,
    pub(super) gate: Gate,
    pub(super) snapshot: watch::Sender<Snapshot>,
    pub(super) metrics: Arc<ServiceMetrics>,
    pub(super) usage: ArcSwapOption<Usage>,
    messages: mpsc::UnboundedSender<Message>,
    holds: AtomicUsize,
    all_holds: Arc<HoldLimit>,
    /// Rung when a service of which the store believes that it is quiet is used again.
    busy: Arc<Notify>,
    next_demand: std::sync::atomic::AtomicU64,
    /// Its container was removed, and is expected back.
    comes_back: AtomicBool,
}

impl Shared {
    /// Whether a wake waits for the container, where there is none.
    pub(super) fn is_expected_back(&self) -> bool {
        self.comes_back.load(Ordering::Relaxed)
    }

    pub(super) fn busy_again(&self) {
        self.busy.notify_one();
    }
}

/// The bound on holds in all services together.
#[derive(Debug)]
pub struct HoldLimit {
    limit: AtomicUsize,
    held: AtomicUsize,
}

impl HoldLimit {
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit: AtomicUsize::new(limit), held: AtomicUsize::new(0) }
    }

    /// A new bound, from a changed configuration.
    pub fn set(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }
}

/// One place among the held, of the service and of all.
struct HoldPlace<'a>(&'a Shared);

impl<'a> HoldPlace<'a> {
    fn take(shared: &'a Shared) -> Option<Self> {
        let own = shared.spec.load().max_held;
        if shared.holds.fetch_add(1, Ordering::AcqRel) >= own {
            shared.holds.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let all = &shared.all_holds;
        if all.held.fetch_add(1, Ordering::AcqRel) >= all.limit.load(Ordering::Relaxed) {
            all.held.fetch_sub(1, Ordering::AcqRel);
            shared.holds.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(Self(shared))
    }
}

impl Drop for HoldPlace<'_> {
    fn drop(&mut self) {
        self.0.all_holds.held.fetch_sub(1, Ordering::AcqRel);
        self.0.holds.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A demand that is withdrawn when its client goes away. The wake goes on: it belongs to the
/// service, not to the client.
struct Withdrawal<'a> {
    shared: &'a Shared,
    id: DemandId,
    answered: bool,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        if !self.answered {
            // An actor that is gone has refused everybody already.
            let _ = self.shared.messages.send(Message::Withdraw(self.id));
        }
    }
}

/// Talks to one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ServiceHandle(Arc<Shared>);

impl ServiceHandle {
    /// A handle and the mailbox its actor reads.
    #[must_use]
    pub fn new(
        spec: Arc<ServiceSpec>,
        metrics: Arc<ServiceMetrics>,
        all_holds: Arc<HoldLimit>,
        busy: Arc<Notify>,
        now: Moment,
    ) -> (Self, mpsc::UnboundedReceiver<Message>) {
        let (messages, mailbox) = mpsc::unbounded_channel();
        let shared = Shared {
            spec: ArcSwap::new(spec),
            gate: Gate::default(),
            snapshot: watch::Sender::new(Snapshot::new(Phase::Asleep, now)),
            metrics,
            usage: ArcSwapOption::empty(),
            messages,
            holds: AtomicUsize::new(0),
            all_holds,
            busy,
            next_demand: std::sync::atomic::AtomicU64::new(0),
            comes_back: AtomicBool::new(false),
        };
        (Self(Arc::new(shared)), mailbox)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    #[must_use]
    pub fn name(&self) -> ServiceName {
        self.0.spec.load().name.clone()
    }

    /// Whether both talk to the same actor.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What the operator wants of it, as of now.
    #[must_use]
    pub fn spec(&self) -> Guard<Arc<ServiceSpec>> {
        self.0.spec.load()
    }

    #[must_use]
    pub fn metrics(&self) -> &Arc<ServiceMetrics> {
        &self.0.metrics
    }

    /// The warm path: a lease where the service is ready.
    #[must_use]
    pub fn lease(&self) -> Option<Lease> {
        Lease::take(&self.0)
    }

    /// The cold path: waits for a lease, for `patience` at most, waking the service where it
    /// sleeps. Dropping the future gives up the place, not the wake.
    ///
    /// # Errors
    /// The refusal, where there will be no lease.
    pub async fn hold(&self, patience: Duration, asker: &Asker<'_>) -> Result<Lease, Refusal> {
        // A request that came between two phases may find the gate open by now.
        if let Some(lease) = self.lease() {
            return Ok(lease);
        }
        let _place = HoldPlace::take(&self.0).ok_or(Refusal::Overloaded)?;
        let id = DemandId(self.0.next_demand.fetch_add(1, Ordering::Relaxed));
        let (answer, lease) = oneshot::channel();
        let mut withdrawal = Withdrawal { shared: &self.0, id, answered: false };
        if self.0.messages.send(Message::Demand { id, answer, by: asker.into() }).is_err() {
            withdrawal.answered = true;
            return Err(Refusal::UnknownHost);
        }
        let outcome = tokio::time::timeout(patience, lease).await;
        withdrawal.answered = outcome.is_ok();
        match outcome {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Refusal::UnknownHost),
            Err(_) => Err(Refusal::HoldTimeout),
        }
    }

    /// Wakes the service without waiting for it.
    pub fn wake(&self, cause: WakeCause) {
        let _ = self.0.messages.send(Message::Wake { cause, by: AskedBy::default() });
    }

    /// Wakes it by hand: `by` is who did it. Ends the back-off after a failed wake.
    pub fn wake_by(&self, by: &str) {
        let _ = self.0.messages.send(Message::Wake { cause: WakeCause::Manual, by: AskedBy::user(by) });
    }

    /// Stops it by hand, whoever uses it, and no longer keeps it awake.
    pub fn stop_by(&self, by: &str) {
        let _ = self.0.messages.send(Message::Stop { cause: StopCause::Manual, by: AskedBy::user(by) });
    }

    /// Stops it by hand, whoever uses it, and wakes it again; where it sleeps, it is only woken.
    pub fn restart_by(&self, by: &str) {
        let _ = self.0.messages.send(Message::Restart { by: AskedBy::user(by) });
    }

    /// Does not let it fall asleep for want of use for so long, also over a restart of WakeDock.
    /// Wakes nothing. A stop by hand ends it.
    pub fn keep_awake_for(&self, time: Duration, by: &str) {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let until = Timestamp::from_millis(clock::wall().as_millis().saturating_add(millis));
        let _ = self.0.messages.send(Message::KeepAwake { until: Some(until), by: AskedBy::user(by) });
    }

    /// Lets it fall asleep as usual again.
    pub fn keep_awake_end(&self, by: &str) {
        let _ = self.0.messages.send(Message::KeepAwake { until: None, by: AskedBy::user(by) });
    }

    /// Until when it is kept awake, where that is in the future.
    #[must_use]
    pub fn keep_awake_until(&self) -> Option<Timestamp> {
        self.0.snapshot.borrow().keep_awake.filter(|until| *until > clock::wall())
    }

    /// Why it is awake, and for how long; `None` where it is not ready.
    #[must_use]
    pub fn awake(&self) -> Option<Awake> {
        let (ready_since, keep) = {
            let snapshot = self.0.snapshot.borrow();
            if snapshot.phase != Phase::Ready {
                return None;
            }
            (snapshot.ready_since, snapshot.keep_awake)
        };
        let policy = Policy::from(&**self.0.spec.load());
        let leases = self.leases();
        Some(Awake::of(&policy, ready_since, self.0.gate.last_active(), leases, keep))
    }

    /// When it falls asleep if nobody comes; `None` where it is in use, not ready, or never sleeps.
    #[must_use]
    pub fn sleeps_at(&self) -> Option<Timestamp> {
        self.awake().and_then(Awake::until)
    }

    /// How much it used when it was read last; `None` where it is not ready, or was not read yet.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.0.usage.load().as_deref().copied()
    }

    /// Requests answered since this process started.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.0.metrics.all_requests()
    }

    /// Wakes the service for a request that is not held.
    pub fn wake_for(&self, asker: &Asker<'_>) {
        let _ = self.0.messages.send(Message::Wake { cause: WakeCause::Request, by: asker.into() });
    }

    /// Stops the service.
    pub fn stop(&self, cause: StopCause) {
        let _ = self.0.messages.send(Message::Stop { cause, by: AskedBy::default() });
    }

    /// The upstream of a lease refused or reset the connection: has the container looked at again.
    /// When it returns, the gate tells the truth.
    pub fn recheck(&self, upstream: Upstream) -> impl Future<Output = ()> + use<> {
        let (done, checked) = oneshot::channel();
        let _ = self.0.messages.send(Message::Recheck { upstream, done });
        async move {
            let _ = checked.await;
        }
    }

    /// Resolves when an upstream is over: its container ended, or another run of it answers. A pause is
    /// no end.
    pub async fn outlives(&self, upstream: Upstream) {
        let mut snapshots = self.watch();
        let over = |snapshot: &Snapshot| match snapshot.phase {
            // The gate opens a moment before the snapshot says so.
            Phase::Asleep => !snapshot.paused && !self.0.gate.is_open(),
            Phase::Ready => {
                let generation = self.0.gate.upstream().map(|upstream| upstream.generation);
                generation != Some(upstream.generation)
            }
            Phase::Failed => true,
            Phase::Waking | Phase::Stopping => false,
        };
        if snapshots.wait_for(over).await.is_err() {
            // Let go: nobody knows any more.
            std::future::pending().await
        }
    }

    /// Its container was removed, and its hosts are kept for it: whoever asks waits for it.
    pub(super) fn comes_back(&self, comes_back: bool) {
        self.0.comes_back.store(comes_back, Ordering::Relaxed);
    }

    pub(super) fn send(&self, message: Message) {
        let _ = self.0.messages.send(message);
    }

    /// The service as of now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot.borrow().clone()
    }

    /// The phase alone, at less cost.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.snapshot.borrow().phase
    }

    /// Every change of the service from now on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.0.snapshot.subscribe()
    }

    /// The gate: to be opened and closed by the service's actor alone.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// How many leases are out.
    #[must_use]
    pub fn leases(&self) -> u64 {
        self.0.gate.leases()
    }

    /// How many requests are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.holds.load(Ordering::Acquire)
    }
}
