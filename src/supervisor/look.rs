//! Looking at a container when nobody ordered anything: after an event, a refused connection, a
//! reconnection to Docker, and every minute.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use crate::clock;
use crate::domain::address::Upstream;
use crate::domain::lifecycle::{Found, Input, Sighting};
use crate::domain::service::ServiceSpec;
use crate::domain::time::{Moment, Timestamp};
use crate::domain::words::Phase;
use crate::engine::locate;
use crate::ports::{Container, ContainerEngine, ContainerState, Health, InspectError};
use crate::store::{Activity, ServiceMemory};
use crate::supervisor::actor::{Actor, Report};
use crate::supervisor::wake::Known;

/// How many looks go on at the same time. After a start or a reconnection every service takes one;
/// all at once they would cost the engine a storm of requests and us memory that we never use
/// again.
pub(super) const AT_ONCE: usize = 8;
/// A look waits no longer than this for its turn: an engine that hangs over a few containers must
/// not keep us from seeing the others.
const TURN: Duration = Duration::from_secs(1);

/// Whoever asks for a service whose container went away waits for the next one of that name, for so
/// long after it went: an update removes a container and makes it anew.
const RECENTLY: Duration = Duration::from_secs(60);

/// Docker and WakeDock round the same moment each in its own way.
const ROUNDING: Duration = Duration::from_millis(100);

/// Who waits for what is seen.
#[derive(Debug, Default)]
pub(super) struct Looking {
    in_progress: bool,
    /// Answered by the look in progress.
    now: Vec<oneshot::Sender<()>>,
    /// Asked while a look was in progress, which may have begun too early for them.
    next: Vec<oneshot::Sender<()>>,
    again: bool,
    /// The first look after the start compares with what is remembered.
    first_done: bool,
    /// The last look found no container of that name.
    is_missing: bool,
    /// Since when it is gone, where it was there before.
    gone_since: Option<Moment>,
}

impl Looking {
    /// Whether the last look found no container.
    pub(super) const fn is_missing(&self) -> bool {
        self.is_missing
    }

    /// Whether the container has been looked at since the start.
    pub(super) fn has_looked(&self) -> bool {
        self.first_done
    }

    /// Whether there was a container a short time ago: somebody may be making it anew.
    pub(super) fn went_away_recently(&self, now: Moment) -> bool {
        self.gone_since.is_some_and(|since| now.since(since) < RECENTLY)
    }

    /// The look in progress was lost; the next one may begin.
    pub(super) fn forget(&mut self) {
        self.in_progress = false;
    }
}

/// What one look saw.
pub(super) struct Looked {
    /// The count of orders when it began.
    orders: u64,
    result: Result<Option<(Container, Option<SocketAddr>)>, InspectError>,
}

async fn look(
    engine: Arc<dyn ContainerEngine>,
    turns: Arc<Semaphore>,
    spec: Arc<ServiceSpec>,
    orders: u64,
) -> Looked {
    let _turn = tokio::time::timeout(TURN, turns.acquire()).await;
    let result = match engine.inspect(spec.container.as_str()).await {
        Ok(container) => {
            let located = locate(&*engine, &container, &spec.address, spec.port).await;
            Ok(Some((container, located.ok().map(|located| located.address))))
        }
        Err(InspectError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    Looked { orders, result }
}

fn sighting(state: ContainerState) -> Sighting {
    match state {
        ContainerState::Running => Sighting::Running,
        ContainerState::Paused => Sighting::Paused,
        ContainerState::Created
        | ContainerState::Restarting
        | ContainerState::Removing
        | ContainerState::Exited
        | ContainerState::Dead => Sighting::Off,
    }
}

impl Actor {
    /// Looks at the container, now or when the look in progress is over.
    pub(super) fn look(&mut self, done: Option<oneshot::Sender<()>>) {
        if self.looking.in_progress {
            self.looking.next.extend(done);
            self.looking.again = true;
            return;
        }
        self.looking.in_progress = true;
        self.looking.now.extend(done);
        let (engine, turns) = (Arc::clone(&self.tools.wakers.engine), Arc::clone(&self.tools.looks));
        let (spec, orders) = (self.spec(), self.orders);
        self.tasks.spawn(async move { Report::Looked(look(engine, turns, spec, orders).await) });
    }

    pub(super) fn looked(&mut self, looked: Looked) {
        self.looking.in_progress = false;
        if !self.machine.has_order() {
            if looked.orders == self.orders {
                self.take_in(looked.result);
            } else {
                // An order came and went in between: what was seen may be older than it.
                self.looking.again = true;
            }
        }
        if self.looking.again {
            self.looking.again = false;
            let next = std::mem::take(&mut self.looking.next);
            self.looking.now.extend(next);
            if !self.machine.has_order() {
                self.look(None);
                return;
            }
        }
        for done in self.looking.now.drain(..) {
            let _ = done.send(());
        }
    }

    fn take_in(&mut self, result: Result<Option<(Container, Option<SocketAddr>)>, InspectError>) {
        let seen = match result {
            Ok(seen) => seen,
            Err(error) => {
                // While Docker is away, what is awake is still proxied.
                tracing::debug!(service = %self.name(), %error, "not looked at");
                return;
            }
        };
        self.tell_missing(seen.is_none());
        let before = self.known.take();
        let (now_known, sighting) = match &seen {
            Some((container, address)) => {
                let address = address.or_else(|| {
                    before.as_ref().filter(|known| known.id == container.id).and_then(|known| known.address)
                });
                (Some(Known::of(container, address)), sighting(container.state))
            }
            None => (None, Sighting::Off),
        };
        self.known = now_known.clone();
        if !self.looking.first_done {
            self.looking.first_done = true;
            self.first_look(seen.as_ref(), sighting);
            self.admit_early();
            return;
        }
        // Also where the last one was seen to be gone in between.
        if let Some(now) = &now_known
            && before.as_ref().is_none_or(|before| before.id != now.id)
        {
            self.input(Input::Renewed);
        }
        // A container that was started anew between two looks listens anew, perhaps elsewhere.
        let restarted = match (&before, &now_known) {
            (Some(before), Some(now)) => before.id != now.id || before.started_at != now.started_at,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if let Some(address) = now_known.as_ref().and_then(|now| now.address)
            && !restarted
            && self.machine.phase() == Phase::Ready
            && let Some(upstream) = self.upstream.filter(|upstream| upstream.address != address)
        {
            // The same run, dialled elsewhere from now on: by an edit, or on another network. Whoever is
            // inside stays where they are.
            self.moved(Upstream { address, ..upstream });
        }
        if restarted && sighting == Sighting::Running && self.machine.phase() == Phase::Ready {
            self.input(Input::Seen(Sighting::Off));
        }
        self.input(Input::Seen(sighting));
    }

    /// A container that is not there is most often a name with a typo: said when it is noticed, and
    /// when it is over, not with each look.
    fn tell_missing(&mut self, is_missing: bool) {
        if std::mem::replace(&mut self.looking.is_missing, is_missing) == is_missing {
            return;
        }
        self.looking.gone_since = (is_missing && self.looking.first_done).then(clock::now);
        let spec = self.spec();
        if is_missing && self.shared.is_expected_back() {
            tracing::info!(
                service = %spec.name,
                container = %spec.container,
                "the container was removed; whoever asks for the service waits for the next one of that name"
            );
        } else if is_missing {
            tracing::warn!(
                service = %spec.name,
                container = %spec.container,
                "there is no such container: the service cannot be woken until there is; create it, or \
                 mend `container` in the configuration"
            );
        } else {
            tracing::info!(service = %spec.name, container = %spec.container, "the container is there again");
        }
    }

    fn first_look(&mut self, seen: Option<&(Container, Option<SocketAddr>)>, sighting: Sighting) {
        let memory = self.chronicle.take_memory();
        let Some((container, address)) = seen else {
            self.input(Input::Found(Found {
                sighting: Sighting::Off,
                settled: false,
                quiet_since: None,
                ready_since: None,
                stopping: None,
            }));
            return;
        };
        let settled = address.is_some() && settled(container, &memory, self.spec().wake_timeout);
        if let (true, Some(address)) = (settled, address) {
            self.next_upstream(*address);
        }
        // What was written of an earlier run of the container says nothing about this one.
        let of_this_run =
            |at: &Timestamp| container.started_at.is_none_or(|started| started.since(*at) <= ROUNDING);
        let intended = memory.stop_intent.as_ref();
        let stopping =
            intended.filter(|intent| intent.container_id == container.id.0 && of_this_run(&intent.at));
        self.input(Input::Found(Found {
            sighting,
            settled,
            quiet_since: match memory.activity {
                Some(Activity::Quiet { since }) => Some(since).filter(of_this_run).map(clock::moment_at),
                Some(Activity::Busy) | None => None,
            },
            ready_since: memory.ready_since.filter(of_this_run).map(clock::moment_at),
            stopping: stopping.map(|intent| (intent.how, intent.cause)),
        }));
    }
}

/// Whether a container that runs is past its start: the previous process saw it ready, Docker
/// calls it healthy, or it runs for longer than a wake may take.
fn settled(container: &Container, memory: &ServiceMemory, wake_timeout: Duration) -> bool {
    let started = container.started_at;
    let seen_ready =
        matches!((started, memory.ready_since), (Some(started), Some(ready)) if started <= ready);
    seen_ready
        || match container.health {
            Some(Health::Healthy | Health::Unhealthy) => true,
            Some(Health::Starting) => false,
            None => started.is_some_and(|started| clock::wall().since(started) >= wake_timeout),
        }
}
