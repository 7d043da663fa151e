//! While there is no lease: hold, page, or refusal.

use std::time::Duration;

use http::Request;
use hyper::body::Incoming;

use crate::clock;
use crate::domain::service::WaitMode;
use crate::domain::words::{Phase, Refusal, WakeCause};
use crate::proxy::ask;
use crate::proxy::pages::{self, View};
use crate::proxy::respond::{Page, Trouble, Verdict, verdict};
use crate::supervisor::handle::{ServiceHandle, Snapshot};
use crate::supervisor::lease::Lease;

/// How soon a page without script asks again, at the least and at the most.
const REFRESH: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// A lease, and how long the request waited for it.
pub(super) struct Admitted {
    pub(super) lease: Lease,
    pub(super) waited: Option<Duration>,
}

/// An answer instead of a lease.
pub(super) struct Instead {
    pub(super) trouble: Trouble,
    /// Whether a person sees it.
    pub(super) navigation: bool,
}

/// Gets the request its lease, at once where the service is ready, or says what is answered
/// instead. The body is not touched: while the request waits, it waits in the client's socket.
pub(super) async fn admit(service: &ServiceHandle, request: &Request<Incoming>) -> Result<Admitted, Instead> {
    if let Some(lease) = service.lease() {
        return Ok(Admitted { lease, waited: None });
    }
    if ask::is_prefetch(request.headers()) {
        return Err(Instead { trouble: Trouble::Prefetch, navigation: false });
    }
    let navigation = ask::is_navigation(request);
    let began = clock::now();
    hold_or_page(service, navigation)
        .await
        .map(|lease| Admitted { lease, waited: Some(clock::now().since(began)) })
        .map_err(|trouble| Instead { trouble, navigation })
}

async fn hold_or_page(service: &ServiceHandle, navigation: bool) -> Result<Lease, Trouble> {
    let (wait, page_after, hold_timeout) = {
        let spec = service.spec();
        (spec.wait, spec.page_after, spec.hold_timeout)
    };
    if !navigation || wait == WaitMode::Hold {
        return service.hold(hold_timeout).await.map_err(Trouble::Refused);
    }
    if wait == WaitMode::Auto {
        match service.hold(page_after.min(hold_timeout)).await {
            Ok(lease) => return Ok(lease),
            // A page needs no place among the held.
            Err(Refusal::HoldTimeout | Refusal::Overloaded) => {}
            Err(refusal) => return Err(Trouble::Refused(refusal)),
        }
    }
    Err(page(service))
}

/// The page goes out, the wake goes on: it belongs to the service.
fn page(service: &ServiceHandle) -> Trouble {
    let snapshot = service.snapshot();
    if snapshot.phase == Phase::Failed {
        let retry_at = snapshot.failure.as_ref().map(|failure| failure.retry_at);
        let retry_after = retry_at.map_or(Duration::ZERO, |at| at.since(clock::now()));
        if !retry_after.is_zero() {
            return Trouble::Refused(Refusal::BackingOff { retry_after });
        }
    }
    service.wake(WakeCause::Request);
    Trouble::Waking { retry_after: time_left(&snapshot).clamp(REFRESH.0, REFRESH.1) }
}

/// How long a wake that goes as usual still takes.
fn time_left(snapshot: &Snapshot) -> Duration {
    let usual = snapshot.usual.unwrap_or_default();
    usual.saturating_sub(elapsed(snapshot))
}

fn elapsed(snapshot: &Snapshot) -> Duration {
    if snapshot.phase == Phase::Waking { clock::now().since(snapshot.since) } else { Duration::ZERO }
}

/// The form of an answer that a person sees.
pub(super) fn page_for(service: &ServiceHandle, host: &str, trouble: &Trouble) -> Page {
    let snapshot = service.snapshot();
    let spec = service.spec();
    let Verdict { text, retry_after, .. } = verdict(trouble);
    let waking = matches!(trouble, Trouble::Waking { .. });
    let failure = snapshot.failure.as_deref().filter(|_| spec.waiting_page.show_logs && !waking);
    Page::Html(pages::render(&View {
        host,
        page: &spec.waiting_page,
        failure: (!waking).then_some(text),
        log: failure.map_or(&[], |failure| &failure.log),
        elapsed: elapsed(&snapshot),
        usual: snapshot.usual,
        retry_after: retry_after.unwrap_or(REFRESH.1),
    }))
}
