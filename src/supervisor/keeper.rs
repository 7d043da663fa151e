//! Tells the store who is in use and who is quiet since when, so that a `kill -9` at any moment
//! stops nothing early and leaves nothing running for ever. Off the request path: the first lease
//! after a quiet time rings a bell, the rest is a look four times a second while somebody is in
//! use. While nobody is, nothing ticks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::clock;
use crate::domain::name::ServiceName;
use crate::domain::time::Moment;
use crate::domain::words::Phase;
use crate::store::{Activity, Store};
use crate::supervisor::handle::ServiceHandle;

/// Unused for this long is quiet: shorter pauses between two requests are not worth a write.
const TICK: Duration = Duration::from_millis(250);

pub(super) async fn keep(services: Arc<ArcSwap<Vec<ServiceHandle>>>, store: Store, busy: Arc<Notify>) {
    let mut in_use: HashMap<ServiceName, Moment> = HashMap::new();
    loop {
        busy.notified().await;
        loop {
            look(&services.load_full(), &store, &mut in_use).await;
            if in_use.is_empty() {
                break;
            }
            // A service that becomes busy is written down at once, not at the next tick.
            let _ = tokio::time::timeout(TICK, busy.notified()).await;
        }
    }
}

/// Writes down what changed: who came into use, and who has been quiet for a tick.
async fn look(services: &[ServiceHandle], store: &Store, in_use: &mut HashMap<ServiceName, Moment>) {
    let now = clock::now();
    let mut news = Vec::new();
    let mut quiet = Vec::new();
    // Who was let go is not waited for.
    in_use.retain(|name, _| services.iter().any(|service| service.spec().name == *name));
    for service in services {
        let (gate, name) = (service.gate(), service.name());
        if service.snapshot().phase != Phase::Ready || gate.is_marked_quiet() {
            in_use.remove(&name);
            continue;
        }
        let since = gate.last_active();
        if gate.leases() == 0 && now.since(since) >= TICK {
            news.push((name.clone(), Activity::Quiet { since: clock::wall_at(since) }));
            quiet.push((service, name, since));
        } else if in_use.insert(name.clone(), since).is_none() {
            news.push((name, Activity::Busy));
        }
    }
    if news.is_empty() {
        return;
    }
    if let Err(error) = store.activities(news).await {
        tracing::debug!(%error, "activity was not written down");
        return;
    }
    let mut late = Vec::new();
    for (service, name, since) in quiet {
        // Only what is quiet still is marked; a lease taken meanwhile makes it busy again.
        if service.gate().mark_quiet(since) {
            in_use.remove(&name);
        } else {
            in_use.insert(name.clone(), since);
            late.push((name, Activity::Busy));
        }
    }
    if !late.is_empty() {
        drop(store.activities(late));
    }
}
