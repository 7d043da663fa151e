//! The order to stop or pause one container: written down, then claimed, then sent. Until it is
//! claimed it can be taken back; it is not claimed before Docker answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock;
use crate::domain::lifecycle::{Generation, How, StopEnd};
use crate::domain::name::{ContainerName, ServiceName};
use crate::domain::time::Moment;
use crate::domain::words::StopCause;
use crate::ports::{ContainerEngine, ContainerId, ContainerState, InspectError, OrderError};
use crate::store::{StopIntent, Store};
use crate::supervisor::stir::Stir;

const PENDING: u8 = 0;
const SENT: u8 = 1;
const CANCELLED: u8 = 2;

/// Between two questions whether Docker answers again.
const PAUSE: Duration = Duration::from_millis(200);
/// An order that Docker could not be given is given up this much before the machine stops waiting
/// for it: the container runs, and is served.
const EARLY: Duration = Duration::from_secs(1);

/// Decides between "sent" and "taken back": exactly one of the two happens.
#[derive(Debug, Default)]
pub(super) struct Claim {
    state: AtomicU8,
    taken_back: Notify,
}

impl Claim {
    fn send(&self) -> bool {
        self.state.compare_exchange(PENDING, SENT, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether Docker has been told.
    pub(super) fn is_sent(&self) -> bool {
        self.state.load(Ordering::Acquire) == SENT
    }

    /// Takes the order back, if it has not been sent.
    pub(super) fn cancel(&self) {
        if self.state.compare_exchange(PENDING, CANCELLED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.taken_back.notify_one();
        }
    }
}

/// One stop to be carried out.
pub(super) struct StopOrder {
    pub(super) order: Generation,
    pub(super) how: How,
    pub(super) cause: StopCause,
    pub(super) service: ServiceName,
    pub(super) container: ContainerName,
    /// The container the order is for. An order never hits a newer one of the same name.
    pub(super) id: Option<ContainerId>,
    pub(super) grace: Duration,
    pub(super) deadline: Moment,
    pub(super) claim: Arc<Claim>,
    /// Before Docker is told, whatever happened to containers has been looked at: it may be nobody's.
    pub(super) stir: Arc<Stir>,
}

/// How the order ended.
pub(super) struct StopReport {
    pub(super) order: Generation,
    pub(super) end: StopEnd,
    /// Why it still runs, for the operator.
    pub(super) problem: Option<String>,
}

/// Carries the order out.
pub(super) async fn stop(engine: Arc<dyn ContainerEngine>, store: Store, order: StopOrder) -> StopReport {
    let (end, problem) = carry_out(&*engine, &store, &order).await;
    StopReport { order: order.order, end, problem }
}

async fn carry_out(
    engine: &dyn ContainerEngine,
    store: &Store,
    order: &StopOrder,
) -> (StopEnd, Option<String>) {
    // While Docker is away nobody can be told anything, so whoever comes meanwhile is served: the
    // order is taken back at once, however long Docker's answer takes (trap 24).
    let seen = async {
        order.stir.settled().await;
        target(engine, order).await
    };
    let target = tokio::select! {
        biased;
        () = order.claim.taken_back.notified() => return (StopEnd::Cancelled, None),
        target = seen => target,
    };
    let id = match target {
        Ok(Some(id)) => id,
        Ok(None) => return (StopEnd::Done, None),
        Err(problem) => return (StopEnd::Failed, Some(problem)),
    };
    let intent =
        StopIntent { container_id: id.0.clone(), how: order.how, cause: order.cause, at: clock::wall() };
    // Nobody waits for the disk: who comes meanwhile takes the order back at once.
    let noted = tokio::select! {
        biased;
        () = order.claim.taken_back.notified() => {
            store.clear_intent(order.service.clone());
            return (StopEnd::Cancelled, None);
        }
        noted = store.intend_stop(order.service.clone(), intent) => noted,
    };
    if let Err(error) = noted {
        // A full disk must not keep everything awake; what is lost is what a crash right now would
        // have to know.
        tracing::warn!(service = %order.service, %error, "the stop is ordered without a record of it");
    }
    if !order.claim.send() {
        store.clear_intent(order.service.clone());
        return (StopEnd::Cancelled, None);
    }
    loop {
        let outcome = match order.how {
            How::Stop => engine.stop(&id, order.grace).await,
            How::Pause => engine.pause(&id).await,
        };
        match outcome {
            Ok(()) | Err(OrderError::Missing { .. }) => return (StopEnd::Done, None),
            Err(OrderError::Away(_)) if clock::now() < order.deadline => {
                // Whether it was told to stop is unknown: it gets no request until that is clear.
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                let settled = settle(engine, &id, order, &error).await;
                if settled.0 == StopEnd::Failed {
                    // It goes on; the next process must not finish what Docker would not begin.
                    store.clear_intent(order.service.clone());
                }
                return settled;
            }
        }
    }
}

/// The container of the order, as soon as Docker answers; `None` where there is nothing to stop.
async fn target(engine: &dyn ContainerEngine, order: &StopOrder) -> Result<Option<ContainerId>, String> {
    let name = order.id.as_ref().map_or(order.container.as_str(), |id| &id.0);
    let answer = async {
        loop {
            match engine.inspect(name).await {
                Ok(container) => return Ok(Some(container.id)),
                Err(InspectError::Missing { .. }) => return Ok(None),
                Err(InspectError::Away(_)) => tokio::time::sleep(PAUSE).await,
                Err(error @ InspectError::Refused { .. }) => return Err(error.to_string()),
            }
        }
    };
    let patience = order.deadline.since(clock::now()).saturating_sub(EARLY);
    let in_time = tokio::time::timeout(patience, answer).await;
    in_time.unwrap_or_else(|_| Err("Docker does not answer".to_owned()))
}

/// Docker said no: what is the container doing then?
async fn settle(
    engine: &dyn ContainerEngine,
    id: &ContainerId,
    order: &StopOrder,
    error: &OrderError,
) -> (StopEnd, Option<String>) {
    match engine.inspect(&id.0).await {
        Ok(container) if container.state == ContainerState::Running => {
            (StopEnd::Failed, Some(error.to_string()))
        }
        Ok(container) if container.state == ContainerState::Paused && order.how == How::Stop => {
            (StopEnd::Failed, Some(error.to_string()))
        }
        Ok(_) | Err(InspectError::Missing { .. }) => (StopEnd::Done, None),
        Err(InspectError::Away(_) | InspectError::Refused { .. }) => {
            (StopEnd::Failed, Some(error.to_string()))
        }
    }
}
