//! The order to stop or pause one container: written down, then claimed, then sent. Until it is
//! claimed it can be taken back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::clock;
use crate::domain::lifecycle::{Generation, How, StopEnd};
use crate::domain::name::{ContainerName, ServiceName};
use crate::domain::time::Moment;
use crate::domain::words::StopCause;
use crate::ports::{ContainerEngine, ContainerId, ContainerState, InspectError, OrderError};
use crate::store::{StopHow, StopIntent, Store};

const PENDING: u8 = 0;
const SENT: u8 = 1;
const CANCELLED: u8 = 2;

/// Decides between "sent" and "taken back": exactly one of the two happens.
#[derive(Debug, Default)]
pub(super) struct Claim(AtomicU8);

impl Claim {
    fn send(&self) -> bool {
        self.0.compare_exchange(PENDING, SENT, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether Docker has been told.
    pub(super) fn is_sent(&self) -> bool {
        self.0.load(Ordering::Acquire) == SENT
    }

    /// Takes the order back, if it has not been sent.
    pub(super) fn cancel(&self) {
        let _ = self.0.compare_exchange(PENDING, CANCELLED, Ordering::AcqRel, Ordering::Acquire);
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
    let id = match target(engine, order).await {
        Ok(Some(id)) => id,
        Ok(None) => return (StopEnd::Done, None),
        Err(problem) => return (StopEnd::Failed, Some(problem)),
    };
    let intent = StopIntent {
        container_id: id.0.clone(),
        how: match order.how {
            How::Stop => StopHow::Stop,
            How::Pause => StopHow::Pause,
        },
        cause: order.cause,
        at: clock::wall(),
    };
    if let Err(error) = store.intend_stop(order.service.clone(), intent).await {
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
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => return settle(engine, &id, order, &error).await,
        }
    }
}

/// The container of the order; `None` where there is nothing to stop.
async fn target(engine: &dyn ContainerEngine, order: &StopOrder) -> Result<Option<ContainerId>, String> {
    if let Some(id) = &order.id {
        return Ok(Some(id.clone()));
    }
    match engine.inspect(order.container.as_str()).await {
        Ok(container) => Ok(Some(container.id)),
        Err(InspectError::Missing { .. }) => Ok(None),
        Err(error @ (InspectError::Away(_) | InspectError::Refused { .. })) => Err(error.to_string()),
    }
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
