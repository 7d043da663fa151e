//! While there is no lease: hold, page, or refusal.

use std::time::Duration;

use http::Request;
use hyper::body::Incoming;

use crate::clock;
use crate::domain::service::WaitMode;
use crate::domain::words::{Phase, Refusal};
use crate::proxy::exchange::ask;
use crate::proxy::exchange::pages;
use crate::proxy::trouble::Trouble;
use crate::supervisor::handle::{Asker, ServiceHandle};
use crate::supervisor::lease::Lease;

/// A lease, and how long the request waited for it.
pub(in crate::proxy) struct Admitted {
    pub(in crate::proxy) lease: Lease,
    pub(in crate::proxy) waited: Option<Duration>,
}

/// Gets the request its lease, at once where the service is ready, or says what is answered
/// instead. The body is not touched: while the request waits, it waits in the client's socket.
pub(in crate::proxy) async fn admit(
    service: &ServiceHandle,
    request: &Request<Incoming>,
    navigation: bool,
    asker: &Asker<'_>,
) -> Result<Admitted, Trouble> {
    if let Some(lease) = service.lease() {
        return Ok(Admitted { lease, waited: None });
    }
    if ask::is_prefetch(request.headers()) {
        return Err(Trouble::Prefetch);
    }
    let began = clock::now();
    // On the heap, so that it takes no room in the future of a request that does not wait.
    let lease = Box::pin(hold_or_page(service, navigation, asker)).await?;
    Ok(Admitted { lease, waited: Some(clock::now().since(began)) })
}

async fn hold_or_page(
    service: &ServiceHandle,
    navigation: bool,
    asker: &Asker<'_>,
) -> Result<Lease, Trouble> {
    let (wait, page_after, hold_timeout) = {
        let spec = service.spec();
        (spec.wait, spec.page_after, spec.hold_timeout)
    };
    if !navigation || wait == WaitMode::Hold {
        return service.hold(hold_timeout, asker).await.map_err(Trouble::Refused);
    }
    if wait == WaitMode::Auto {
        match service.hold(page_after.min(hold_timeout), asker).await {
            Ok(lease) => return Ok(lease),
            // A page needs no place among the held.
            Err(Refusal::HoldTimeout | Refusal::Overloaded) => {}
            Err(refusal) => return Err(Trouble::Refused(refusal)),
        }
    }
    Err(page(service, asker))
}

/// The page goes out, the wake goes on: it belongs to the service.
fn page(service: &ServiceHandle, asker: &Asker<'_>) -> Trouble {
    let snapshot = service.snapshot();
    if snapshot.phase == Phase::Failed {
        let retry_at = snapshot.failure.as_ref().map(|failure| failure.retry_at);
        let retry_after = retry_at.map_or(Duration::ZERO, |at| at.since(clock::now()));
        if !retry_after.is_zero() {
            return Trouble::Refused(Refusal::BackingOff { retry_after });
        }
    }
    service.wake_for(asker);
    Trouble::Waking { retry_after: pages::look_again(&service.snapshot()) }
}
