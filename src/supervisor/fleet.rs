//! All services: added, changed and let go as the configuration says, and reached by host, by
//! name, and by container.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::task::JoinHandle;

use crate::clock;
use crate::domain::host::HostPattern;
use crate::domain::name::ServiceName;
use crate::domain::route::RouteTable;
use crate::domain::service::ServiceSpec;
use crate::domain::words::{Phase, StopCause};
use crate::metrics::{self, Being, Live, ServiceMetrics};
use crate::ports::{ContainerAction, ContainerEngine, ContainerEvent, Prober};
use crate::store::{Activity, Remembered, ServiceMemory, Store};
use crate::supervisor::actor::{self, Tools};
use crate::supervisor::awake;
use crate::supervisor::chronicle::Chronicle;
use crate::supervisor::handle::{HoldLimit, Message, ServiceHandle, Shared};
use crate::supervisor::journal::{Journal, What};
use crate::supervisor::keeper;
use crate::supervisor::look;
use crate::supervisor::news;
pub use crate::supervisor::news::EngineStatus;
use crate::supervisor::retention::{self, Limits};
use crate::supervisor::rollup::{Counters, Rollups};
use crate::supervisor::stir::Stir;
use crate::supervisor::wake::Wakers;

/// The routes, as the data plane reads them.
pub type Routes = ArcSwap<RouteTable<ServiceHandle>>;

/// Counters of so many services that were let go are kept, in case they come back. Labels can make
/// services of ever new names.
const MOST_LET_GO: usize = 1_000;

/// What a fleet is made of.
pub struct Parts {
    pub engine: Arc<dyn ContainerEngine>,
    pub prober: Arc<dyn Prober>,
    pub store: Store,
    /// What the previous process left.
    pub remembered: Remembered,
    /// Worker threads of the data plane, for the metrics.
    pub workers: usize,
    /// Holds in all services together.
    pub max_held: usize,
}

/// All services.
pub struct Fleet {
    tools: Tools,
    members: Mutex<BTreeMap<ServiceName, Member>>,
    /// For whoever goes through all of them, without the lock.
    handles: Arc<ArcSwap<Vec<ServiceHandle>>>,
    routes: Arc<Routes>,
    holds: Arc<HoldLimit>,
    /// Counters live on when a service is let go and taken up again.
    metrics: Counters,
    rollups: Rollups,
    history: watch::Sender<Option<Limits>>,
    unknown: Arc<ServiceMetrics>,
    remembered: Mutex<Remembered>,
    /// Those that were let go with clients inside.
    departed: Mutex<Vec<ServiceHandle>>,
    workers: usize,
    engine_status: watch::Receiver<EngineStatus>,
    stir: Arc<Stir>,
    /// What was there at the start has been taken up.
    is_begun: AtomicBool,
    journal: Journal,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

struct Member {
    handle: ServiceHandle,
    spec: Arc<ServiceSpec>,
    actor: JoinHandle<()>,
}

/// Without a fleet nothing goes on: no order, no look, no note.
impl Drop for Fleet {
    fn drop(&mut self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
        for member in lock(&self.members).values() {
            member.actor.abort();
        }
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("services", &self.handles.load().len()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole at every step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is let go keeps the state it has. One that is paused answers nobody until somebody thaws it.
fn tell_let_go(name: &ServiceName, member: &Member) {
    let snapshot = member.handle.snapshot();
    let container = &member.spec.container;
    let state = match snapshot.phase {
        Phase::Asleep if snapshot.paused => "paused",
        Phase::Asleep => "not running",
        Phase::Ready => "running",
        phase @ (Phase::Waking | Phase::Stopping | Phase::Failed) => phase.as_str(),
    };
    if state == "paused" {
        let message = "let go, and left paused: `docker unpause` lets it go on";
        tracing::info!(service = %name, %container, state, "{message}");
    } else {
        tracing::info!(service = %name, %container, state, "let go, and left as it is");
    }
}

impl Fleet {
    /// A fleet without services, listening to Docker's news. Must be called on the control plane's
    /// runtime.
    #[must_use]
    pub fn start(parts: Parts) -> Arc<Self> {
        let busy = Arc::new(Notify::new());
        let stir = Arc::new(Stir::default());
        let handles = Arc::new(ArcSwap::from_pointee(Vec::new()));
        let (status, engine_status) = watch::channel(EngineStatus::unknown());
        let engine = Arc::clone(&parts.engine);
        let metrics = Counters::default();
        let rollups = Rollups::new(parts.store.clone(), Arc::clone(&metrics));
        let journal = Journal::new(parts.store.clone(), parts.remembered.next_event);
        let fleet = Arc::new(Self {
            tools: Tools {
                wakers: Arc::new(Wakers { engine: parts.engine, prober: parts.prober }),
                store: parts.store.clone(),
                busy: Arc::clone(&busy),
                looks: Arc::new(Semaphore::new(look::AT_ONCE)),
                stir: Arc::clone(&stir),
            },
            members: Mutex::default(),
            handles: Arc::clone(&handles),
            routes: Arc::default(),
            holds: Arc::new(HoldLimit::new(parts.max_held)),
            metrics: Arc::clone(&metrics),
            rollups: rollups.clone(),
            history: watch::Sender::new(None),
            unknown: ServiceMetrics::new(ServiceName::unknown(), parts.workers, clock::now()),
            remembered: Mutex::new(parts.remembered),
            departed: Mutex::default(),
            workers: parts.workers,
            engine_status,
            stir,
            is_begun: AtomicBool::new(false),
            journal: journal.clone(),
            tasks: Mutex::default(),
        });
        let tasks = vec![
            tokio::spawn(keeper::keep(handles, parts.store, busy)),
            tokio::spawn(news::read(Arc::downgrade(&fleet), engine, status)),
            tokio::spawn(journal.clone().keep()),
            tokio::spawn(retention::keep(fleet.tools.store.clone(), fleet.history.subscribe())),
            tokio::spawn(rollups.keep()),
            tokio::spawn(journal.clone().follow_engine(fleet.engine_status())),
            tokio::spawn(journal.clone().follow_store(fleet.tools.store.watch_health())),
            tokio::spawn(awake::watch_usage(Arc::clone(&fleet.handles), journal)),
        ];
        *lock(&fleet.tasks) = tasks;
        fleet
    }

    /// Takes up, changes and lets go services until they are these. Connections and waits of what
    /// did not change are not touched; what is let go is not stopped.
    pub fn apply(&self, services: &[ServiceSpec]) {
        self.take_in(services.iter().cloned().map(Arc::new).collect());
    }

    /// The same, of specifications that are shared with whoever made them.
    pub fn take_in(&self, services: Vec<Arc<ServiceSpec>>) {
        let mut members = lock(&self.members);
        let mut old = std::mem::take(&mut *members);
        // At the start that would be a line for each; their number is told.
        let tell_added = !old.is_empty() || self.is_begun.load(Ordering::Relaxed);
        let mut fresh = Vec::new();
        for spec in services {
            match old.remove(&spec.name) {
                Some(same) if same.spec == spec => {
                    members.insert(spec.name.clone(), same);
                }
                Some(changed) if changed.spec.container == spec.container => {
                    tracing::info!(service = %spec.name, "changed");
                    self.journal.publish(Some(spec.name.clone()), What::Changed);
                    changed.handle.send(Message::Respec(Arc::clone(&spec)));
                    members.insert(spec.name.clone(), Member { spec, ..changed });
                }
                replaced => {
                    if let Some(replaced) = replaced {
                        old.insert(spec.name.clone(), replaced);
                    }
                    fresh.push(spec);
                }
            }
        }
        // Who is let go may be stopping its container at this moment; whoever takes that container
        // up waits until it has.
        let mut leaving = BTreeMap::new();
        let mut gone = Vec::new();
        for (name, member) in old {
            tell_let_go(&name, &member);
            if !fresh.iter().any(|spec| spec.name == name) {
                self.journal.publish(Some(name.clone()), What::Removed);
            }
            let left = member.handle.snapshot();
            let memory = ServiceMemory {
                keep_awake: left.keep_awake,
                last_session: left.session.map(|session| (*session).clone()),
                ..ServiceMemory::default()
            };
            // Should it come back: its container may be another one by then.
            let mut remembered = lock(&self.remembered);
            remembered.services.insert(name.clone(), memory);
            if remembered.services.len() > MOST_LET_GO {
                remembered.services.pop_first();
            }
            drop(remembered);
            // It costs nothing any more, as far as is known here.
            member.handle.metrics().account(clock::now(), Being::Gone);
            leaving.insert(member.spec.container.clone(), member.actor);
            gone.push(member.handle);
        }
        // Whoever takes a container up counts who is inside already, by whatever name they came.
        let mut departed = lock(&self.departed);
        departed.retain(|handle| handle.leases() > 0);
        departed.extend(gone.iter().cloned());
        for spec in fresh {
            let before = leaving.remove(&spec.container);
            let inside = departed.iter().filter(|handle| handle.spec().container == spec.container);
            let inside = inside.map(|handle| Arc::clone(handle.shared())).collect();
            if tell_added {
                self.journal.publish(Some(spec.name.clone()), What::Added);
                tracing::info!(service = %spec.name, container = %spec.container, "added");
            }
            members.insert(spec.name.clone(), self.take_up(spec, before, inside));
        }
        drop(departed);
        let mut counters = lock(&self.metrics);
        if counters.len() > members.len() + MOST_LET_GO {
            counters.retain(|name, _| members.contains_key(name));
        }
        drop(counters);
        let mut routes = RouteTable::default();
        for member in members.values() {
            for host in &member.spec.hosts {
                let fresh = routes.insert(host, member.spec.path.as_deref(), member.handle.clone());
                debug_assert!(fresh, "the configuration has been checked for contested hosts");
            }
        }
        self.handles.store(Arc::new(members.values().map(|member| member.handle.clone()).collect()));
        self.routes.store(Arc::new(routes));
        // Last, so that whoever is refused finds the new route.
        for handle in gone {
            handle.send(Message::Retire);
        }
    }

    fn take_up(
        &self,
        spec: Arc<ServiceSpec>,
        before: Option<JoinHandle<()>>,
        inside: Vec<Arc<Shared>>,
    ) -> Member {
        let metrics = Arc::clone(
            lock(&self.metrics)
                .entry(spec.name.clone())
                .or_insert_with(|| ServiceMetrics::new(spec.name.clone(), self.workers, clock::now())),
        );
        // Until its container has been looked at; where it was let go before, nothing was counted.
        metrics.account(clock::now(), Being::Asleep { saving: 0 });
        let memory = lock(&self.remembered).services.remove(&spec.name).unwrap_or_default();
        let chronicle = Chronicle::new(
            spec.name.clone(),
            &self.tools.store,
            &self.journal,
            &self.rollups,
            Arc::clone(&metrics),
            memory,
        );
        let (handle, mailbox) = ServiceHandle::new(
            Arc::clone(&spec),
            metrics,
            Arc::clone(&self.holds),
            Arc::clone(&self.tools.busy),
            clock::now(),
        );
        handle.gate().inherit(inside);
        let actor = actor::spawn(&handle, mailbox, self.tools.clone(), chronicle, before);
        handle.send(Message::Reconcile { done: None });
        Member { handle, spec, actor }
    }

    /// From now on, each service that comes is told.
    pub(super) fn begin(&self) {
        self.is_begun.store(true, Ordering::Relaxed);
    }

    /// How much of the past is kept, from now on.
    pub fn set_history(&self, limits: Limits) {
        self.history.send_if_modified(|now| now.replace(limits) != Some(limits));
    }

    /// A new bound on the holds in all services together.
    pub fn set_max_held(&self, limit: usize) {
        self.holds.set(limit);
    }

    /// The routes, for the data plane.
    #[must_use]
    pub fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes)
    }

    /// Whether a host is anybody's. Wakes nothing.
    #[must_use]
    pub fn knows(&self, host: &str) -> bool {
        self.routes.load().knows(host)
    }

    /// Every host that has a route, sorted, each once.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostPattern> {
        let mut hosts: Vec<_> =
            lock(&self.members).values().flat_map(|member| member.spec.hosts.iter().cloned()).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// The TCP ports that a container exposes, ascending, and whether it has a health check of its own.
    ///
    /// # Errors
    /// There is no such container, or Docker does not answer.
    pub async fn exposed_ports(
        &self,
        container: &str,
    ) -> Result<(Vec<u16>, bool), crate::ports::InspectError> {
        let found = self.tools.wakers.engine.inspect(container).await?;
        Ok((found.exposed, found.health_command.is_some()))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<ServiceHandle> {
        let handles = self.handles.load();
        // They are in the order of their names.
        let found = handles.binary_search_by(|handle| handle.spec().name.as_str().cmp(name)).ok()?;
        handles.get(found).cloned()
    }

    /// What looks at containers.
    pub(super) fn engine(&self) -> Arc<dyn ContainerEngine> {
        Arc::clone(&self.tools.wakers.engine)
    }

    /// All services, by name.
    #[must_use]
    pub fn services(&self) -> Arc<Vec<ServiceHandle>> {
        self.handles.load_full()
    }

    /// Where requests for hosts that are nobody's are counted.
    #[must_use]
    pub fn unknown(&self) -> Arc<ServiceMetrics> {
        Arc::clone(&self.unknown)
    }

    /// What happens.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What was counted, by the hour and by the day.
    #[must_use]
    pub fn rollups(&self) -> &Rollups {
        &self.rollups
    }

    /// Whether Docker answers.
    #[must_use]
    pub fn engine_status(&self) -> watch::Receiver<EngineStatus> {
        self.engine_status.clone()
    }

    /// Rung when a container came or went, and when all are looked at.
    pub(super) fn stir(&self) -> Arc<Stir> {
        Arc::clone(&self.stir)
    }

    pub(super) fn event(&self, event: &ContainerEvent) {
        use ContainerAction::{Create, Destroy, Rename};
        if matches!(event.action, Create | Destroy | Rename { .. }) {
            self.stir.ring();
        }
        for handle in self.handles.load().iter() {
            let container = handle.spec().container.clone();
            let meant = event.name == container.as_str()
                || matches!(&event.action, ContainerAction::Rename { from } if from == container.as_str());
            if meant {
                handle.send(Message::Event(event.clone()));
            }
        }
    }

    pub(super) fn look_at_all(&self) {
        self.stir.ring();
        for handle in self.handles.load().iter() {
            handle.send(Message::Reconcile { done: None });
        }
    }

    /// Compares every service with the engine, and returns when that is done or `patience` is over.
    pub async fn reconcile(&self, patience: Duration) {
        let looks: Vec<_> = self
            .handles
            .load()
            .iter()
            .map(|handle| {
                let (done, looked) = oneshot::channel();
                handle.send(Message::Reconcile { done: Some(done) });
                looked
            })
            .collect();
        let all = async {
            for look in looks {
                let _ = look.await;
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("not every container was looked at within {patience:?}; going on without");
        }
    }

    /// Stops every service, and returns when all are asleep or `patience` is over.
    pub async fn stop_all(&self, cause: StopCause, patience: Duration) {
        let handles = self.handles.load_full();
        for handle in handles.iter() {
            handle.stop(cause);
        }
        let all = async {
            for handle in handles.iter() {
                let mut snapshots = handle.watch();
                let _ = snapshots
                    .wait_for(|snapshot| matches!(snapshot.phase, Phase::Asleep | Phase::Failed))
                    .await;
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("not every service was stopped within {patience:?}");
        }
    }

    /// Writes down the idle clocks as they stand, ends the tasks, and closes the store.
    pub async fn shut_down(&self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
        let news = self
            .handles
            .load()
            .iter()
            .filter(|handle| handle.snapshot().phase == Phase::Ready)
            .map(|handle| {
                // Who still had a client lost it to the shutdown, this very moment.
                let in_use = handle.leases() > 0;
                let since = if in_use { clock::now() } else { handle.gate().last_active() };
                (handle.name(), Activity::Quiet { since: clock::wall_at(since) })
            })
            .collect();
        drop(self.tools.store.activities(news));
        self.journal.flush().await;
        self.rollups.save().await;
        if let Err(error) = self.tools.store.close().await {
            tracing::error!(%error, "the idle clocks were not written down");
        }
    }

    /// The Prometheus text of all services.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let handles = self.handles.load();
        let services: Vec<_> = handles
            .iter()
            .map(|handle| {
                let live =
                    Live { phase: handle.snapshot().phase, leases: handle.leases(), held: handle.held() };
                (&**handle.metrics(), Some(live))
            })
            .chain(std::iter::once((&*self.unknown, None)))
            .collect();
        metrics::render(&services, clock::now()) + &self.journal.counts().render()
    }
}
