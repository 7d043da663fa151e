//! A service as of now, as a row.

use crate::admin::AdminState;
use crate::admin::pages::front::Front;
use crate::clock;
use crate::domain::words::Phase;
use crate::html::dashboard::overview::{Awake, Failure, LastWake, Row, Totals};
use crate::store::{Session, Wake};
use crate::supervisor::catalog::Catalog;
use crate::supervisor::handle::{self, ServiceHandle, Snapshot, WakeStep};

/// Whole milliseconds.
pub(super) fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn row(handle: &ServiceHandle, catalog: &Catalog, front: &Front) -> Row {
    let spec = handle.spec();
    let snapshot = handle.snapshot();
    let wall = |moment| clock::wall_at(moment).as_millis();
    Row {
        name: spec.name.to_string(),
        icon: spec.icon.clone(),
        group: spec.group.clone(),
        links: front.links(&spec),
        phase: snapshot.phase,
        since: since(&snapshot),
        missing: snapshot.missing.then(|| spec.container.to_string()),
        paused: snapshot.paused,
        probing: snapshot.phase == Phase::Waking && snapshot.step == WakeStep::Probing,
        usual: snapshot.usual.map(millis),
        failure: snapshot
            .failure
            .as_ref()
            .map(|failure| Failure { reason: failure.reason.clone(), retry_at: wall(failure.retry_at) }),
        awake: awake(handle),
        held: handle.held(),
        last_wake: snapshot.session.as_deref().map(last_wake),
        last_stop: snapshot.stop_cause,
        requests: handle.requests(),
        memory: handle.usage().map(|usage| usage.memory),
        problems: catalog.entries.get(&spec.name).map_or(0, |entry| entry.problems.len()),
    }
}

/// Since when it is in its phase: what went on when WakeDock started goes on since earlier.
fn since(snapshot: &Snapshot) -> i64 {
    let seen = clock::wall_at(snapshot.since).as_millis();
    let earlier = snapshot.session.as_deref().and_then(|session| match (snapshot.phase, &session.wake) {
        (Phase::Asleep, _) => session.stop.as_ref().map(|stop| stop.at),
        (Phase::Ready, Wake::Ready { at, .. }) if session.stop.is_none() => Some(*at),
        _ => None,
    });
    earlier.map_or(seen, |earlier| earlier.as_millis().min(seen))
}

fn awake(handle: &ServiceHandle) -> Awake {
    match handle.awake() {
        None => Awake::Unknown,
        Some(handle::Awake::InUse { leases }) => Awake::InUse { leases },
        Some(handle::Awake::Idle { until }) => Awake::Idle { until: until.as_millis() },
        Some(handle::Awake::KeptAwake { until }) => Awake::KeptAwake { until: until.as_millis() },
        Some(handle::Awake::MinAwake { until }) => Awake::MinAwake { until: until.as_millis() },
        Some(handle::Awake::Never) => Awake::Never,
    }
}

fn last_wake(session: &Session) -> LastWake {
    let took = match &session.wake {
        Wake::Ready { took, .. } => took.map(millis),
        Wake::Pending | Wake::Failed { .. } => None,
    };
    LastWake { at: session.ordered_at.as_millis(), cause: session.cause, took }
}

/// The figures on top.
pub(super) fn totals(state: &AdminState) -> Totals {
    let mut totals = Totals::default();
    let (mut memory, mut saved) = (0, 0);
    for handle in state.fleet.services().iter() {
        let snapshot = handle.snapshot();
        totals.problems += usize::from(snapshot.missing && snapshot.phase != Phase::Failed);
        match snapshot.phase {
            Phase::Ready | Phase::Stopping | Phase::Waking => totals.awake += 1,
            Phase::Asleep => totals.asleep += 1,
            Phase::Failed => totals.problems += 1,
        }
        memory += handle.usage().map_or(0, |usage| usage.memory);
        saved += handle.metrics().saving();
    }
    (totals.memory, totals.saved) = (Some(memory), Some(saved));
    let today = state.fleet.rollups().today();
    (totals.wakes_today, totals.wake_p50) = (today.wakes, today.median.map(millis));
    let catalog = state.catalog.current();
    totals.problems +=
        catalog.problems.len() + catalog.entries.values().map(|entry| entry.problems.len()).sum::<usize>();
    totals
}
