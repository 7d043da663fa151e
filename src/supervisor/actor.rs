//! One task per service: the only one that touches its machine. It turns messages, Docker's news
//! and deadlines into inputs, and carries the machine's effects out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::clock;
use crate::domain::address::Upstream;
use crate::domain::lifecycle::{DemandId, Effect, Generation, Input, Machine, Policy, Usage};
use crate::domain::service::ServiceSpec;
use crate::domain::time::{Moment, Timestamp};
use crate::domain::usage::UsageSample;
use crate::domain::words::{Phase, Refusal, StopCause, WakeCause};
use crate::ports::{ContainerAction, ContainerEvent};
use crate::store::{Activity, Store};
use crate::supervisor::awake::Sampling;
use crate::supervisor::chronicle::Chronicle;
use crate::supervisor::handle::{AskedBy, Failure, Message, ServiceHandle, Shared, Snapshot, WakeStep};
use crate::supervisor::lease::{Lease, Overhead};
use crate::supervisor::look::{self, Looked};
use crate::supervisor::stir::Stir;
use crate::supervisor::stop::{self, Claim, StopOrder, StopReport};
use crate::supervisor::wake::{self, Known, WakeOrder, WakeReport, Wakers};

/// Numbers of upstreams, unique in the process: a container that is given the address of another
/// one must not inherit its pooled connections.
static UPSTREAMS: AtomicU64 = AtomicU64::new(1);

/// What all actors work with.
#[derive(Clone)]
pub(super) struct Tools {
    pub(super) wakers: Arc<Wakers>,
    pub(super) store: Store,
    /// Rung when a service is in use that the store believes quiet.
    pub(super) busy: Arc<Notify>,
    /// Looks at containers that may go on at the same time.
    pub(super) looks: Arc<Semaphore>,
    /// What happened to containers, and whether their labels have been read since.
    pub(super) stir: Arc<Stir>,
}

/// What a task of the actor's brings back.
pub(super) enum Report {
    Woken(WakeReport),
    Stopped(StopReport),
    Looked(Looked),
    Used(Option<UsageSample>),
}

/// A request that waits.
struct Waiter {
    answer: oneshot::Sender<Result<Lease, Refusal>>,
    since: Moment,
    by: AskedBy,
}

/// The wake in progress.
pub(super) struct Waking {
    /// When it was asked for.
    pub(super) demanded_at: Moment,
    changed: Arc<Notify>,
    /// Rung when nobody wants it any more.
    abandoned: Arc<Notify>,
    /// Ends with the order: a stop must not overtake the start it follows.
    ended: oneshot::Receiver<()>,
}

/// The stop in progress.
pub(super) struct Stopping {
    pub(super) cause: StopCause,
    pub(super) ordered_at: Moment,
    pub(super) paused: bool,
    claim: Arc<Claim>,
}

pub(super) struct Actor {
    pub(super) shared: Arc<Shared>,
    pub(super) machine: Machine,
    mailbox: mpsc::UnboundedReceiver<Message>,
    pub(super) tools: Tools,
    pub(super) tasks: JoinSet<Report>,
    waiters: HashMap<DemandId, Waiter>,
    /// Who asked for a wake first without waiting for it, until the wake is ordered.
    asked_by: Option<AskedBy>,
    /// Asked before the first look at the container.
    early: Vec<Message>,
    pub(super) known: Option<Known>,
    pub(super) upstream: Option<Upstream>,
    pub(super) waking: Option<Waking>,
    /// An abandoned wake whose start Docker may still be carrying out.
    unfinished: Option<oneshot::Receiver<()>>,
    pub(super) stopping: Option<Stopping>,
    pub(super) failure: Option<Arc<Failure>>,
    step: WakeStep,
    /// Our share of the wake that just ended, until its first request takes it along.
    overhead: Option<Overhead>,
    /// The phase before the step that is being carried out.
    came_from: Phase,
    progress: (mpsc::UnboundedSender<WakeStep>, mpsc::UnboundedReceiver<WakeStep>),
    /// How many orders have been given: a look that began before the last one proves nothing.
    pub(super) orders: u64,
    /// Who waits for the look in progress, and for the one after it.
    pub(super) looking: look::Looking,
    pub(super) chronicle: Chronicle,
    /// Kept awake until then.
    pub(super) keep_awake: Option<Timestamp>,
    pub(super) sampling: Sampling,
}

/// Starts the actor of a service, and returns the way to talk to it.
///
/// `before` is the actor that had this container until now: while it stops it, whatever is asked
/// of this one waits.
pub(super) fn spawn(
    handle: &ServiceHandle,
    mailbox: mpsc::UnboundedReceiver<Message>,
    tools: Tools,
    chronicle: Chronicle,
    before: Option<JoinHandle<()>>,
) -> JoinHandle<()> {
    let shared = Arc::clone(handle.shared());
    let policy = Policy::from(&**shared.spec.load());
    let mut actor = Actor {
        machine: Machine::new(policy),
        mailbox,
        tools,
        tasks: JoinSet::new(),
        waiters: HashMap::new(),
        asked_by: None,
        early: Vec::new(),
        known: None,
        upstream: None,
        waking: None,
        unfinished: None,
        stopping: None,
        failure: None,
        step: WakeStep::Starting,
        overhead: None,
        came_from: Phase::Asleep,
        progress: mpsc::unbounded_channel(),
        orders: 0,
        looking: look::Looking::default(),
        keep_awake: chronicle.keep_awake(),
        chronicle,
        sampling: Sampling::default(),
        shared,
    };
    if let Some(until) = actor.keep_awake {
        let until = clock::moment_of(until);
        actor.machine.step(clock::now(), Input::KeepAwake(Some(until)));
    }
    actor.publish();
    tokio::spawn(async move {
        if let Some(before) = before {
            let _ = before.await;
        }
        actor.run().await;
    })
}

impl Actor {
    async fn run(&mut self) {
        // A container that was told to stop is nobody else's before it has.
        while !self.machine.is_retired() || self.stopping.as_ref().is_some_and(|stop| stop.claim.is_sent()) {
            let deadline = self.machine.deadline();
            let sample_at = self.sampling.due();
            tokio::select! {
                // Messages first: demand that is already there is seen before a deadline is.
                biased;
                message = self.mailbox.recv() => match message {
                    Some(message) => self.receive(message),
                    None => return,
                },
                Some(step) = self.progress.1.recv() => {
                    self.step = step;
                    self.publish();
                }
                Some(report) = self.tasks.join_next() => match report {
                    Ok(report) => self.reported(report),
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => {
                        tracing::error!(service = %self.name(), %error, "an order panicked");
                        self.looking.forget();
                    }
                },
                () = sleep_until(deadline) => self.deadline(),
                () = sleep_until(sample_at) => self.sample(),
            }
        }
    }

    pub(super) fn name(&self) -> crate::domain::name::ServiceName {
        self.spec().name.clone()
    }

    pub(super) fn spec(&self) -> Arc<ServiceSpec> {
        self.shared.spec.load_full()
    }

    fn receive(&mut self, message: Message) {
        let asks = matches!(
            message,
            Message::Demand { .. } | Message::Wake { .. } | Message::Stop { .. } | Message::Restart { .. }
        );
        if asks && !self.looking.has_looked() {
            // What the previous process left may be on its way out: nothing is begun before the
            // container has been looked at.
            self.early.push(message);
            return;
        }
        match message {
            Message::Demand { id, answer, by } => {
                self.waiters.insert(id, Waiter { answer, since: clock::now(), by });
                self.input(Input::Demand(id));
            }
            Message::Withdraw(id) => {
                self.early.retain(|early| !matches!(early, Message::Demand { id: own, .. } if *own == id));
                self.waiters.remove(&id);
                self.input(Input::Withdraw(id));
            }
            Message::Wake { cause, by } => {
                self.asked_by.get_or_insert(by);
                self.input(Input::Wake(cause));
            }
            Message::Stop { cause, by } => {
                self.chronicle.stopped_by(by);
                if cause == StopCause::Manual {
                    self.no_longer_kept();
                }
                self.input(Input::Stop(cause));
            }
            Message::Restart { by } => {
                self.chronicle.stopped_by(by.clone());
                self.asked_by.get_or_insert(by);
                self.input(Input::Restart);
            }
            Message::KeepAwake { until, by } => self.keep_awake(until, by),
            Message::Sample => self.sample(),
            Message::Recheck { upstream, done } => {
                if self.upstream == Some(upstream) && self.machine.phase() == Phase::Ready {
                    self.look(Some(done));
                }
                // Dropped: the gate tells the truth already.
            }
            Message::Event(event) => self.event(&event),
            Message::Reconcile { done } => self.look(done),
            Message::Respec(spec) => {
                let policy = Policy::from(&*spec);
                self.shared.spec.store(spec);
                self.input(Input::Respec(policy));
                // It may have to be dialled elsewhere now.
                self.look(None);
            }
            Message::Retire => {
                self.early.clear();
                let pending = self.stopping.as_ref().is_some_and(|stopping| !stopping.claim.is_sent());
                self.input(Input::Retire);
                if pending {
                    // The order ends with this task, before it could do so itself.
                    self.tools.store.clear_intent(self.name());
                }
            }
        }
    }

    /// The container has been looked at: whoever came before that is served now.
    pub(super) fn admit_early(&mut self) {
        for message in std::mem::take(&mut self.early) {
            self.receive(message);
        }
    }

    /// Docker's news of the container. An order in progress finds out by itself, at once; without
    /// one, the container is looked at.
    fn event(&mut self, event: &ContainerEvent) {
        if let Some(waking) = &self.waking {
            waking.changed.notify_one();
        }
        if matches!(event.action, ContainerAction::Health(_)) {
            return;
        }
        if !self.machine.has_order() {
            self.look(None);
        }
    }

    fn deadline(&mut self) {
        // The look at the leases and the closing of the gate are one step: no request can come
        // between them.
        let usage = match self.machine.phase() {
            Phase::Ready | Phase::Asleep => self.shared.gate.close_if_unused(),
            Phase::Waking | Phase::Stopping | Phase::Failed => Usage::InUse,
        };
        self.input(Input::Deadline(usage));
    }

    fn reported(&mut self, report: Report) {
        match report {
            Report::Woken(report) => self.woken(report),
            Report::Stopped(report) => self.stopped(report),
            Report::Looked(looked) => self.looked(looked),
            Report::Used(sample) => self.sampled(sample),
        }
    }

    fn woken(&mut self, report: WakeReport) {
        let order = report.order;
        match report.result {
            Ok(awake) => {
                if let Some(warning) = &awake.warning {
                    tracing::warn!(service = %self.name(), %warning, "ready");
                }
                self.overhead = awake.ordered_at.zip(self.waking.as_ref()).map(|(ordered_at, waking)| {
                    Overhead { before: ordered_at.since(waking.demanded_at), ready_at: awake.ready_at }
                });
                self.chronicle.answers(awake.unpaused, awake.engine_took);
                self.known = Some(awake.known);
                // What was only unpaused kept its address and every connection.
                let is_same = self.upstream.is_some_and(|upstream| upstream.address == awake.address);
                if !(awake.unpaused && is_same) {
                    self.next_upstream(awake.address);
                }
                self.input(Input::WakeEnded { order, result: Ok(()), clean_up: false });
            }
            Err(problem) => {
                let input =
                    Input::WakeEnded { order, result: Err(problem.failure), clean_up: problem.clean_up };
                self.note_failure(problem.reason, problem.log);
                self.input(input);
            }
        }
    }

    fn stopped(&mut self, report: StopReport) {
        if let Some(problem) = &report.problem {
            tracing::error!(service = %self.name(), %problem, "the container was not stopped");
        }
        self.input(Input::StopEnded { order: report.order, end: report.end });
        if self.machine.is_retired() {
            // What it was waiting for: whoever has the container next may begin.
            self.stopping = None;
            return;
        }
        // What the order brought about, or did not: the container itself says.
        if !self.machine.has_order() {
            self.look(None);
        }
    }

    pub(super) fn note_failure(&mut self, reason: String, log: Vec<String>) {
        self.failure = Some(Arc::new(Failure { reason, log, retry_at: clock::now() }));
    }

    pub(super) fn next_upstream(&mut self, address: std::net::SocketAddr) {
        let generation = UPSTREAMS.fetch_add(1, Ordering::Relaxed);
        self.upstream = Some(Upstream { address, generation });
    }

    /// The container runs on, and answers at another address.
    pub(super) fn moved(&mut self, upstream: Upstream) {
        tracing::info!(service = %self.name(), address = %upstream.address, "answers at another address");
        self.upstream = Some(upstream);
        self.shared.gate.open(upstream, self.shared.gate.last_active());
    }

    /// One step of the machine, its effects, and what is to be told about it.
    pub(super) fn input(&mut self, input: Input) {
        let before = self.machine.phase();
        self.came_from = before;
        let timed_out = matches!(input, Input::Deadline(_)) && before == Phase::Waking;
        if timed_out {
            let patience = self.spec().wake_timeout;
            self.note_failure(format!("did not answer within {patience:?}"), Vec::new());
        }
        let effects = self.machine.step(clock::now(), input);
        self.chronicle_step(before, input);
        for effect in effects {
            self.carry_out(effect);
        }
        if let Some(overhead) = self.overhead.take() {
            // Nobody waited for it.
            self.shared.metrics.wake_overhead(overhead.up_to(clock::now()));
        }
        let after = self.machine.phase();
        if after != before {
            self.entered(after);
        }
        if after != Phase::Stopping {
            // What was asked is ordered by now, or refused.
            self.asked_by = None;
        }
        self.publish();
    }

    fn entered(&mut self, phase: Phase) {
        self.chronicle.entered(phase, self.stopping.as_ref().map(|stopping| stopping.cause));
        self.sampling_from(phase);
        if phase == Phase::Ready {
            self.failure = None;
            // It is in use, as far as the store is concerned, until it has been seen quiet.
            self.tools.busy.notify_one();
        }
        if phase == Phase::Asleep && self.machine.is_paused() && self.came_from != Phase::Stopping {
            // By somebody else's hand, whoever used it.
            self.note_quiet(clock::now());
        }
        if let Some(failure) = &mut self.failure {
            let failure = Arc::make_mut(failure);
            failure.retry_at = self.machine.retry_at();
        }
    }

    /// Writes down since when it is quiet, where the keeper may not have got to it: what is paused
    /// is stopped for good in the end, also by the next process.
    fn note_quiet(&self, since: Moment) {
        let quiet = Activity::Quiet { since: clock::wall_at(since) };
        drop(self.tools.store.activities(vec![(self.name(), quiet)]));
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::OrderWake { order, cause, kind } => self.order_wake(order, cause, kind),
            Effect::AbandonWake { .. } => {
                if let Some(waking) = self.waking.take() {
                    waking.abandoned.notify_one();
                    self.unfinished = Some(waking.ended);
                }
            }
            Effect::OrderStop { order, how, cause } => self.order_stop(order, how, cause),
            Effect::CancelStop { .. } => {
                if let Some(stopping) = &self.stopping {
                    stopping.claim.cancel();
                }
            }
            Effect::Open { clock_from } => {
                if let Some(upstream) = self.upstream {
                    self.shared.gate.open(upstream, clock_from);
                }
            }
            Effect::Reopen => self.shared.gate.reopen(),
            Effect::Close => self.shared.gate.close(),
            Effect::Admit(id) => {
                let Some(waiter) = self.waiters.remove(&id) else { return };
                let overhead = self.overhead.take();
                // The gate is never opened before there is an upstream.
                let lease = self.upstream.map(|upstream| Lease::grant(&self.shared, upstream, overhead));
                // A client that went away this very moment drops its lease at once.
                let _ = waiter.answer.send(lease.ok_or(Refusal::EngineUnavailable));
            }
            Effect::Refuse(id, refusal) => {
                if let Some(waiter) = self.waiters.remove(&id) {
                    let _ = waiter.answer.send(Err(refusal));
                }
            }
        }
    }

    fn order_wake(&mut self, order: Generation, cause: WakeCause, kind: crate::domain::lifecycle::WakeKind) {
        let now = clock::now();
        let spec = self.spec();
        let changed = Arc::new(Notify::new());
        self.orders += 1;
        self.step = WakeStep::Starting;
        self.stopping = None;
        // Who waited for a stop to end waited for Docker, not for us.
        let first = self.waiters.values().min_by_key(|waiter| waiter.since);
        let asked_at = first.map(|waiter| waiter.since);
        let asked_by = first.map(|waiter| waiter.by.clone()).or(self.asked_by.take()).unwrap_or_default();
        let demanded_at = asked_at.filter(|_| self.came_from != Phase::Stopping).unwrap_or(now);
        let abandoned = Arc::new(Notify::new());
        let (end, ended) = oneshot::channel();
        self.tasks.spawn({
            let tools = Arc::clone(&self.tools.wakers);
            let order = WakeOrder {
                order,
                kind,
                deadline: now + spec.wake_timeout,
                spec,
                known: self.known.clone(),
                shared: Arc::clone(&self.shared),
                was_there: self.known.is_some() || self.looking.went_away_recently(now),
                changed: Arc::clone(&changed),
                abandoned: Arc::clone(&abandoned),
                progress: self.progress.0.clone(),
            };
            async move {
                let report = wake::wake(tools, order).await;
                drop(end);
                Report::Woken(report)
            }
        });
        self.waking = Some(Waking { demanded_at, changed, abandoned, ended });
        self.chronicle.wake_ordered(now, cause, kind, asked_by);
    }

    fn order_stop(&mut self, order: Generation, how: crate::domain::lifecycle::How, cause: StopCause) {
        let now = clock::now();
        let spec = self.spec();
        let claim = Arc::new(Claim::default());
        self.orders += 1;
        self.waking = None;
        self.shared.gate.close();
        if self.came_from == Phase::Ready {
            // Before the order's own record, so that whoever finds that one finds this one, too.
            self.note_quiet(self.shared.gate.last_active());
        }
        self.stopping = Some(Stopping {
            cause,
            ordered_at: now,
            paused: how == crate::domain::lifecycle::How::Pause,
            claim: Arc::clone(&claim),
        });
        let order = StopOrder {
            order,
            how,
            cause,
            service: spec.name.clone(),
            container: spec.container.clone(),
            id: self.known.as_ref().map(|known| known.id.clone()),
            grace: spec.idle.stop_timeout,
            deadline: Policy::from(&*spec).stop_deadline(now),
            claim,
            stir: Arc::clone(&self.tools.stir),
        };
        let (engine, store) = (Arc::clone(&self.tools.wakers.engine), self.tools.store.clone());
        let unfinished = self.unfinished.take();
        self.tasks.spawn(async move {
            if let Some(unfinished) = unfinished {
                let _ = unfinished.await;
            }
            Report::Stopped(stop::stop(engine, store, order).await)
        });
        tracing::info!(service = %spec.name, %cause, "stopping");
    }

    /// Tells everybody who watches, where there is something new.
    pub(super) fn publish(&mut self) {
        if self.machine.is_retired() {
            // What becomes of the container is nobody's to say here any more. To tell that it
            // sleeps would end the streams that are still inside.
            return;
        }
        let phase = self.machine.phase();
        let step = self.step;
        let usual = self.chronicle.usual();
        let failure = match phase {
            Phase::Failed | Phase::Stopping => self.failure.clone(),
            Phase::Asleep | Phase::Waking | Phase::Ready => None,
        };
        let wake_cause = self.chronicle.wake_cause();
        let stop_cause =
            self.stopping.as_ref().map(|stopping| stopping.cause).or(self.chronicle.stop_cause());
        let missing = self.looking.is_missing() && !self.shared.is_expected_back();
        let paused = self.machine.is_paused();
        let (session, keep_awake) = (self.chronicle.session(), self.keep_awake);
        let ready_since = self.machine.ready_since();
        self.shared.snapshot.send_if_modified(|snapshot| {
            let since = if snapshot.phase == phase { snapshot.since } else { clock::now() };
            let next = Snapshot {
                phase,
                since,
                step,
                usual,
                failure,
                missing,
                paused,
                stop_cause,
                wake_cause,
                ready_since: ready_since.unwrap_or(since),
                keep_awake,
                session,
            };
            let changed = *snapshot != next;
            *snapshot = next;
            changed
        });
    }
}

/// Sleeps until a moment, or for ever.
async fn sleep_until(moment: Option<Moment>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(clock::instant(moment)).await,
        None => std::future::pending().await,
    }
}
