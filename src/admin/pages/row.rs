//! A service as of now, as a row.

use crate::admin::AdminState;
use crate::clock;
use crate::domain::host::HostPattern;
use crate::domain::service::ServiceSpec;
use crate::domain::words::Phase;
use crate::html::dashboard::overview::{Awake, Failure, LastWake, Link, Row, Totals};
use crate::store::{Session, Wake};
use crate::supervisor::catalog::Catalog;
use crate::supervisor::handle::{self, ServiceHandle, WakeStep};

/// Whole milliseconds.
pub(super) fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn row(handle: &ServiceHandle, catalog: &Catalog) -> Row {
    let spec = handle.spec();
    let snapshot = handle.snapshot();
    let wall = |moment| clock::wall_at(moment).as_millis();
    Row {
        name: spec.name.to_string(),
        icon: spec.icon.clone(),
        group: spec.group.clone(),
        links: links(&spec),
        phase: snapshot.phase,
        since: wall(snapshot.since),
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

/// Where a service answers. The scheme is the one that the dashboard itself came by: both are
/// behind the same Caddy.
pub(super) fn links(spec: &ServiceSpec) -> Vec<Link> {
    let path = spec.path.as_deref().unwrap_or_default();
    let exact = spec.hosts.iter().filter_map(|host| match host {
        HostPattern::Exact(host) => Some(host.as_str()),
        HostPattern::Wildcard(_) => None,
    });
    let link = |host: &str| Link {
        href: format!("//{host}{}", if path.is_empty() { "/" } else { path }),
        text: format!("{host}{path}"),
    };
    exact.map(link).collect()
}

/// The figures on top.
pub(super) fn totals(state: &AdminState) -> Totals {
    let mut totals = Totals::default();
    let (mut memory, mut saved) = (0, 0);
    for handle in state.fleet.services().iter() {
        match handle.snapshot().phase {
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
