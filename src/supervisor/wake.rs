//! The order to wake one service: start or unpause its container, find its address, and wait
//! until the application itself answers. It runs beside the actor and reports once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use crate::clock;
use crate::domain::lifecycle::{Generation, WakeFailure, WakeKind};
use crate::domain::service::ServiceSpec;
use crate::domain::time::{Moment, Timestamp};
use crate::engine::locate;
use crate::ports::{
    Container, ContainerEngine, ContainerId, ContainerState, InspectError, OrderError, Prober,
};
use crate::probe::{Awaited, Wait, wait_ready};
use crate::supervisor::handle::{Shared, WakeStep};

/// How many times a container that changes under our hands is looked at anew.
const ATTEMPTS: usize = 4;
/// How long after the order to start it the container is looked at. An engine answers that look when
/// it has started it: the answer comes along with the start's own, not a round trip later.
const EARLY_LOOK: Duration = Duration::from_millis(10);
/// The last lines of a container that are kept for the operator when its wake fails.
pub(super) const LOG_LINES: usize = 20;

/// What the actor knows of the container without asking again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: ContainerId,
    pub(super) state: ContainerState,
    pub(super) started_at: Option<Timestamp>,
    /// Where it answered when it ran last.
    pub(super) address: Option<SocketAddr>,
}

impl Known {
    pub(super) fn of(container: &Container, address: Option<SocketAddr>) -> Self {
        Self { id: container.id.clone(), state: container.state, started_at: container.started_at, address }
    }
}

/// One wake to be carried out.
pub(super) struct WakeOrder {
    pub(super) order: Generation,
    pub(super) kind: WakeKind,
    pub(super) spec: Arc<ServiceSpec>,
    pub(super) deadline: Moment,
    pub(super) known: Option<Known>,
    pub(super) shared: Arc<Shared>,
    /// There was a container a short time ago.
    pub(super) was_there: bool,
    /// Rung when something happened to the container.
    pub(super) changed: Arc<Notify>,
    /// Rung when nobody wants it any more. A start that is on its way to Docker is not torn off:
    /// a stop that follows must find what it did.
    pub(super) abandoned: Arc<Notify>,
    pub(super) progress: mpsc::UnboundedSender<WakeStep>,
}

/// How the order ended.
pub(super) struct WakeReport {
    pub(super) order: Generation,
    pub(super) result: Result<Awake, WakeProblem>,
}

/// A container whose application answers.
pub(super) struct Awake {
    pub(super) known: Known,
    pub(super) address: SocketAddr,
    /// When the order went out to Docker; `None` where there was none to give.
    pub(super) ordered_at: Option<Moment>,
    /// How long the engine took to carry it out.
    pub(super) engine_took: Option<Duration>,
    pub(super) ready_at: Moment,
    /// It was only unpaused, which says nothing about how long a start takes.
    pub(super) unpaused: bool,
    /// For the operator: it is ready, but not as configured.
    pub(super) warning: Option<String>,
}

/// Why there is no application that answers.
pub(super) struct WakeProblem {
    pub(super) failure: WakeFailure,
    /// It may run by our doing, and is to be stopped.
    pub(super) clean_up: bool,
    pub(super) reason: String,
    pub(super) log: Vec<String>,
}

impl WakeProblem {
    fn refused(reason: String, clean_up: bool) -> Self {
        Self { failure: WakeFailure::Refused, clean_up, reason, log: Vec::new() }
    }

    fn away() -> Self {
        let reason = "Docker does not answer".to_owned();
        Self { failure: WakeFailure::EngineAway, clean_up: false, reason, log: Vec::new() }
    }
}

/// What the order works with.
pub(super) struct Wakers {
    pub(super) engine: Arc<dyn ContainerEngine>,
    pub(super) prober: Arc<dyn Prober>,
}

/// Carries the order out.
pub(super) async fn wake(tools: Arc<Wakers>, order: WakeOrder) -> WakeReport {
    let result = tools.carry_out(&order).await;
    WakeReport { order: order.order, result }
}

/// What one round came to.
enum Attempt {
    Ended(Box<Result<Awake, WakeProblem>>),
    Replaced,
}

/// What was done to the container.
struct Started {
    known: Known,
    unpaused: bool,
    /// The container as it runs, where that was seen along with its start.
    seen: Option<Container>,
    ordered_at: Option<Moment>,
    engine_took: Option<Duration>,
}

impl Wakers {
    async fn carry_out(&self, order: &WakeOrder) -> Result<Awake, WakeProblem> {
        let mut known = order.known.clone();
        loop {
            match self.attempt(order, known.take()).await {
                // Removed under our hands: the next one of that name is meant as well.
                Attempt::Replaced => {}
                Attempt::Ended(result) => return *result,
            }
        }
    }

    async fn attempt(&self, order: &WakeOrder, known: Option<Known>) -> Attempt {
        let started = match self.start(order, known).await {
            Ok(started) => started,
            Err(problem) => return Attempt::Ended(Box::new(Err(problem))),
        };
        let id = started.known.id.clone();
        let result = self.finish(order, started).await;
        let has_ended = matches!(&result, Err(problem) if problem.failure == WakeFailure::Exited);
        if has_ended && order.kind == WakeKind::Start && self.is_removed(&id).await {
            return Attempt::Replaced;
        }
        Attempt::Ended(Box::new(result))
    }

    /// Whether somebody removed it, or is about to.
    async fn is_removed(&self, id: &ContainerId) -> bool {
        match self.engine.inspect(&id.0).await {
            Ok(container) => container.state == ContainerState::Removing,
            Err(error) => matches!(error, InspectError::Missing { .. }),
        }
    }

    async fn finish(&self, order: &WakeOrder, started: Started) -> Result<Awake, WakeProblem> {
        if started.unpaused
            && let Some(address) = started.known.address
        {
            // It never stopped listening, and a pause does not change its address.
            return Ok(Awake {
                known: Known { state: ContainerState::Running, ..started.known },
                address,
                ordered_at: started.ordered_at,
                engine_took: started.engine_took,
                ready_at: clock::now(),
                unpaused: true,
                warning: None,
            });
        }
        let _ = order.progress.send(WakeStep::Probing);
        tokio::select! {
            biased;
            () = order.abandoned.notified() => Err(WakeProblem::away()),
            ready = self.until_ready(order, started) => ready,
        }
    }

    /// Starts or unpauses it, whatever it is doing now.
    async fn start(&self, order: &WakeOrder, mut known: Option<Known>) -> Result<Started, WakeProblem> {
        let mut last_conflict = String::new();
        for _ in 0..ATTEMPTS {
            let target = match known.take() {
                Some(known) => known,
                None => Known::of(&self.look(order).await?, None),
            };
            if order.kind == WakeKind::Adopt && target.state != ContainerState::Paused {
                let nothing = Started {
                    known: target,
                    unpaused: false,
                    seen: None,
                    ordered_at: None,
                    engine_took: None,
                };
                return Ok(nothing);
            }
            let ordered_at = clock::now();
            let unpaused = target.state == ContainerState::Paused;
            let (outcome, took, seen) = if unpaused {
                let outcome = self.until_answered(order, || self.engine.unpause(&target.id)).await;
                (outcome, clock::now().since(ordered_at), None)
            } else {
                self.start_and_look(order, &target.id, ordered_at).await
            };
            let outcome = outcome?;
            match outcome {
                Ok(()) => {
                    let engine_took = Some(took);
                    let ordered_at = Some(ordered_at);
                    return Ok(Started { known: target, unpaused, seen, ordered_at, engine_took });
                }
                // It was made anew, or is in another state than the last event said: look again.
                Err(OrderError::Missing { .. }) => {}
                Err(OrderError::Conflict { message }) => last_conflict = message,
                Err(error @ OrderError::Refused { .. }) => {
                    return Err(WakeProblem::refused(error.to_string(), false));
                }
                Err(OrderError::Away(_)) => return Err(WakeProblem::away()),
            }
        }
        Err(WakeProblem::refused(format!("Docker will not start it: {last_conflict}"), false))
    }

    /// Starts it, and looks at it in the meantime. What is seen counts only where it runs already.
    /// The time is that of the start alone.
    async fn start_and_look(
        &self,
        order: &WakeOrder,
        id: &ContainerId,
        ordered_at: Moment,
    ) -> (Result<Result<(), OrderError>, WakeProblem>, Duration, Option<Container>) {
        let mut start = std::pin::pin!(async {
            let outcome = self.until_answered(order, || self.engine.start(id)).await;
            (outcome, clock::now().since(ordered_at))
        });
        tokio::select! {
            biased;
            (outcome, took) = &mut start => return (outcome, took, None),
            () = tokio::time::sleep(EARLY_LOOK) => {}
        }
        let ((outcome, took), seen) = tokio::join!(start, self.engine.inspect(&id.0));
        (outcome, took, seen.ok().filter(|container| container.state == ContainerState::Running))
    }

    async fn look(&self, order: &WakeOrder) -> Result<Container, WakeProblem> {
        let name = order.spec.container.as_str();
        loop {
            match self.engine.inspect(name).await {
                // Somebody is removing it: Docker will not start it any more, and the next one of that
                // name is meant.
                Ok(Container { state: ContainerState::Removing | ContainerState::Dead, .. })
                    if order.kind != WakeKind::Adopt && order.waits_for_return() =>
                {
                    wait_for_return(order).await?;
                }
                Ok(container) => return Ok(container),
                Err(InspectError::Away(_)) => wait_for_docker(order).await?,
                Err(InspectError::Missing { .. }) if order.kind == WakeKind::Adopt => {
                    let reason = "it was removed before it answered".to_owned();
                    let failure = WakeFailure::Exited;
                    return Err(WakeProblem { failure, clean_up: false, reason, log: Vec::new() });
                }
                Err(InspectError::Missing { .. }) if order.waits_for_return() => {
                    wait_for_return(order).await?;
                }
                Err(error @ (InspectError::Missing { .. } | InspectError::Refused { .. })) => {
                    return Err(WakeProblem::refused(error.to_string(), false));
                }
            }
        }
    }

    /// Repeats a call while Docker is away, until the wake's time is over.
    async fn until_answered<F>(
        &self,
        order: &WakeOrder,
        call: impl Fn() -> F,
    ) -> Result<Result<(), OrderError>, WakeProblem>
    where
        F: Future<Output = Result<(), OrderError>>,
    {
        loop {
            match call().await {
                Err(OrderError::Away(_)) => wait_for_docker(order).await?,
                answer => return Ok(answer),
            }
        }
    }

    async fn until_ready(&self, order: &WakeOrder, mut started: Started) -> Result<Awake, WakeProblem> {
        let ours = started.ordered_at.is_some();
        let container = match started.seen.take() {
            Some(seen) => seen,
            None => self.look(order).await.map_err(|problem| WakeProblem { clean_up: ours, ..problem })?,
        };
        if !matches!(container.state, ContainerState::Running | ContainerState::Restarting) {
            return Err(self.exited(&container.id, container.exit_code, ours).await);
        }
        let spec = &order.spec;
        let located = locate(&*self.engine, &container, &spec.address, spec.port)
            .await
            .map_err(|error| WakeProblem::refused(error.to_string(), ours))?;
        let host = host_field(spec);
        let wait = Wait {
            readiness: &spec.readiness,
            container: &container,
            address: located.address,
            published: located.published,
            host: &host,
            deadline: order.deadline,
        };
        match wait_ready(&*self.prober, &*self.engine, wait, &order.changed).await {
            Awaited::Ready { warning } => {
                let warning = warning.map(|warning| warning.to_string());
                Ok(awake(&container, located.address, &started, warning))
            }
            Awaited::Exited { code } => Err(self.exited(&container.id, code, ours).await),
            Awaited::TimedOut if order.kind == WakeKind::Adopt => {
                let warning = format!(
                    "it runs, but did not answer within {:?}; requests go to it all the same",
                    spec.wake_timeout
                );
                Ok(awake(&container, located.address, &started, Some(warning)))
            }
            // The machine's own deadline is the same, and ends the wake.
            Awaited::TimedOut => std::future::pending().await,
        }
    }

    async fn exited(&self, id: &ContainerId, code: Option<i64>, ours: bool) -> WakeProblem {
        let reason = match code {
            Some(code) => format!("exited with code {code} before it answered"),
            None => "ended before it answered".to_owned(),
        };
        let log = self.engine.logs(id, LOG_LINES).await.unwrap_or_default();
        WakeProblem { failure: WakeFailure::Exited, clean_up: ours, reason, log }
    }
}

fn awake(container: &Container, address: SocketAddr, started: &Started, warning: Option<String>) -> Awake {
    Awake {
        known: Known::of(container, Some(address)),
        address,
        ordered_at: started.ordered_at,
        engine_took: started.engine_took,
        ready_at: clock::now(),
        unpaused: started.unpaused,
        warning,
    }
}

/// What a readiness probe says in its `Host` field: the first host, which the application expects.
fn host_field(spec: &ServiceSpec) -> String {
    use crate::domain::host::HostPattern;
    spec.hosts
        .iter()
        .find_map(|host| match host {
            HostPattern::Exact(host) => Some(host.to_string()),
            HostPattern::Wildcard(_) => None,
        })
        .unwrap_or_else(|| spec.name.to_string())
}

impl WakeOrder {
    /// Whether a container that is not there is waited for.
    fn waits_for_return(&self) -> bool {
        self.was_there || self.shared.is_expected_back()
    }
}

/// Waits until something happens to a container of that name; fails when the wake's time is over, or
/// when it was abandoned.
async fn wait_for_return(order: &WakeOrder) -> Result<(), WakeProblem> {
    // An event may get lost with Docker's connection.
    let pause = Duration::from_millis(500);
    // A little early, so that the reason comes before the wake's own timeout.
    if clock::now() + Duration::from_millis(50) >= order.deadline {
        let name = order.spec.container.as_str();
        let reason = format!("the container `{name}` was removed, and has not come back");
        if order.shared.is_expected_back() {
            let failure = WakeFailure::ContainerAway;
            return Err(WakeProblem { failure, clean_up: false, reason, log: Vec::new() });
        }
        return Err(WakeProblem::refused(reason, false));
    }
    let left = order.deadline.since(clock::now()).saturating_sub(Duration::from_millis(50));
    tokio::select! {
        biased;
        () = order.abandoned.notified() => Err(WakeProblem::away()),
        () = order.changed.notified() => Ok(()),
        () = tokio::time::sleep(pause.min(left)) => Ok(()),
    }
}

/// Lets a moment pass before Docker is asked again; fails when the wake's time is over, or when it
/// was abandoned.
async fn wait_for_docker(order: &WakeOrder) -> Result<(), WakeProblem> {
    let pause = Duration::from_millis(100);
    // A little early, so that the answer "Docker is away" comes before the wake's own timeout.
    if clock::now() + pause * 2 >= order.deadline {
        return Err(WakeProblem::away());
    }
    tokio::select! {
        biased;
        () = order.abandoned.notified() => Err(WakeProblem::away()),
        () = tokio::time::sleep(pause) => Ok(()),
    }
}
