//! A container engine in memory. It keeps the contract of `tests/it/engine/contract.rs`, as Docker does, and
//! runs under tokio's paused time.

#![allow(dead_code, reason = "a kit: not every test needs every part")]

mod container;
mod port;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;
use wakedock::clock;
use wakedock::domain::time::{Moment, Timestamp};
use wakedock::ports::{
    Container, ContainerAction, ContainerEvent, ContainerId, ContainerState, Health, NetworkMode,
};

pub(crate) use container::{Call, FakeContainer, Fault, Made};

/// The port that every fake container exposes, unless edited.
pub(crate) const PORT: u16 = 8080;

#[derive(Default)]
struct World {
    containers: Vec<FakeContainer>,
    events: Vec<ContainerEvent>,
    made: Vec<Made>,
    away: bool,
    /// How often it went away: an event stream of an earlier time is broken.
    broken: u64,
    next_id: u64,
    next_address: u32,
}

/// The engine. Clones are the same engine.
#[derive(Clone)]
pub(crate) struct FakeEngine {
    world: Arc<Mutex<World>>,
    /// Rung at every event, and when the engine goes away.
    news: watch::Sender<()>,
    /// Calendar and monotonic time of its birth: under paused time only the latter goes on.
    born: (Timestamp, Moment),
}

impl Default for FakeEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeEngine {
    pub(crate) fn new() -> Self {
        Self { world: Arc::default(), news: watch::Sender::new(()), born: (clock::wall(), clock::now()) }
    }

    /// Creates a container that was never started.
    pub(crate) fn create(&self, name: &str) -> ContainerId {
        self.create_as(name, |_| {})
    }

    /// Creates a container that is like this.
    pub(crate) fn create_as(&self, name: &str, edit: impl FnOnce(&mut FakeContainer)) -> ContainerId {
        let mut world = self.world();
        assert!(world.find(name).is_none(), "there is a container {name} already");
        world.next_id += 1;
        let id = ContainerId(format!("{:064x}", world.next_id));
        let mut container = FakeContainer::new(name, id.clone());
        container.created = self.now();
        edit(&mut container);
        world.containers.push(container);
        self.emit(&mut world, &id, ContainerAction::Create);
        id
    }

    /// Creates a container that runs already.
    pub(crate) fn create_running(&self, name: &str) -> ContainerId {
        let id = self.create(name);
        self.start_by_hand(name);
        id
    }

    /// Removes a container, running or not.
    pub(crate) fn remove(&self, name: &str) {
        self.exit(name, 137);
        let mut world = self.world();
        let id = world.expect(name).view.id.clone();
        self.emit(&mut world, &id, ContainerAction::Destroy);
        world.containers.retain(|container| container.view.id != id);
    }

    /// Removes it and creates one of the same name and behaviour: the id is a new one.
    pub(crate) fn recreate(&self, name: &str) -> ContainerId {
        let old = self.world().expect(name).clone();
        self.remove(name);
        self.create_as(name, |new| {
            let (view, created) = (new.view.clone(), new.created);
            *new = old;
            new.created = created;
            new.view = Container {
                health_command: new.view.health_command.clone(),
                exposed: new.view.exposed.clone(),
                ..view
            };
        })
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        let mut world = self.world();
        let container = world.expect(from);
        let id = container.view.id.clone();
        container.view.name = to.to_owned();
        self.emit(&mut world, &id, ContainerAction::Rename { from: from.to_owned() });
    }

    /// Changes what a container is or does.
    pub(crate) fn edit(&self, name: &str, edit: impl FnOnce(&mut FakeContainer)) {
        edit(self.world().expect(name));
    }

    /// Started by somebody else than WakeDock. Nothing happens where it runs already.
    pub(crate) fn start_by_hand(&self, name: &str) {
        let id = self.world().expect(name).view.id.clone();
        self.set_running(&id);
    }

    /// Paused by somebody else.
    pub(crate) fn pause_by_hand(&self, name: &str) {
        let mut world = self.world();
        let container = world.expect(name);
        container.view.state = ContainerState::Paused;
        let id = container.view.id.clone();
        self.emit(&mut world, &id, ContainerAction::Pause);
    }

    /// Ends by itself, or is killed. Nothing happens where it is off.
    pub(crate) fn exit(&self, name: &str, code: i64) {
        let mut world = self.world();
        let id = world.expect(name).view.id.clone();
        self.end(&mut world, &id, code);
    }

    /// Writes a line to its log.
    pub(crate) fn print(&self, name: &str, line: &str) {
        let now = u64::try_from(self.now().as_millis()).unwrap() * 1_000_000;
        let mut world = self.world();
        let container = world.expect(name);
        container.logs.push(line.to_owned());
        // No two at once, as in Docker.
        let after = container.printed.last().map_or(0, |last| last + 1);
        container.printed.push(now.max(after));
        drop(world);
        self.news.send_replace(());
    }

    /// Docker found this health.
    pub(crate) fn set_health(&self, name: &str, health: Health) {
        let mut world = self.world();
        let container = world.expect(name);
        container.view.health = Some(health);
        let id = container.view.id.clone();
        self.emit(&mut world, &id, ContainerAction::Health(health));
    }

    /// Stops answering: calls are `Away`, also those in flight, and event streams break.
    /// Containers go on.
    pub(crate) fn go_away(&self) {
        let mut world = self.world();
        world.away = true;
        world.broken += 1;
        drop(world);
        self.news.send_replace(());
    }

    pub(crate) fn come_back(&self) {
        self.world().away = false;
    }

    /// Breaks event streams; calls are answered.
    pub(crate) fn break_events(&self) {
        self.world().broken += 1;
        self.news.send_replace(());
    }

    /// How often something was asked.
    pub(crate) fn count(&self, call: Call) -> usize {
        self.world().made.iter().filter(|made| made.call == call).count()
    }

    /// Every order (start, stop, pause, unpause), in order.
    pub(crate) fn orders(&self) -> Vec<Call> {
        let order = |call: &Call| matches!(call, Call::Start | Call::Stop | Call::Pause | Call::Unpause);
        self.world().made.iter().map(|made| made.call).filter(order).collect()
    }

    /// Every call, in order.
    pub(crate) fn made(&self) -> Vec<Made> {
        self.world().made.clone()
    }

    pub(crate) fn forget_calls(&self) {
        self.world().made.clear();
    }

    pub(crate) fn state(&self, name: &str) -> ContainerState {
        self.world().expect(name).view.state
    }

    pub(crate) fn view(&self, name: &str) -> Container {
        self.world().expect(name).view.clone()
    }

    /// Where it answers: its current address at [`PORT`].
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        let view = self.view(name);
        let ip = view.networks.iter().find_map(|(_, ip)| *ip).expect("it is off, and has no address");
        SocketAddr::new(ip, PORT)
    }

    /// Waits until something happens: an event, or that the engine goes away.
    pub(crate) async fn news(&self) {
        self.news.subscribe().changed().await.expect("the engine lives as long as its clones");
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no test panics inside")
    }

    /// The calendar, which paused time carries along.
    fn now(&self) -> Timestamp {
        let since = clock::now().since(self.born.1);
        let carried = self.born.0.as_millis() + i64::try_from(since.as_millis()).unwrap();
        Timestamp::from_millis(carried).max(clock::wall())
    }

    fn emit(&self, world: &mut World, id: &ContainerId, action: ContainerAction) {
        let name = world.expect(&id.0).view.name.clone();
        world.events.push(ContainerEvent { id: id.clone(), name, action, at: self.now() });
        self.news.send_replace(());
    }

    fn set_running(&self, id: &ContainerId) {
        let at = self.now();
        let mut world = self.world();
        world.next_address += 1;
        // Loopback, so that a test may listen there, and no route is needed.
        let fresh = IpAddr::from(Ipv4Addr::from_bits(0x7f01_0000 + world.next_address));
        let container = world.expect(&id.0);
        if container.view.state == ContainerState::Running {
            return;
        }
        container.run += 1;
        container.started = Some(clock::now());
        let address = container.address.unwrap_or(fresh);
        let view = &mut container.view;
        view.state = ContainerState::Running;
        view.started_at = Some(at);
        view.exit_code = None;
        view.health = view.health_command.is_some().then_some(Health::Starting);
        if view.network_mode == NetworkMode::Own {
            for (_, ip) in &mut view.networks {
                *ip = Some(address);
            }
        }
        let (run, exits) = (container.run, container.exits);
        self.emit(&mut world, id, ContainerAction::Start);
        drop(world);
        if let Some((after, code)) = exits {
            let (engine, id) = (self.clone(), id.clone());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                let mut world = engine.world();
                if world.find(&id.0).is_some_and(|container| container.run == run) {
                    engine.end(&mut world, &id, code);
                }
            });
        }
    }

    /// True where it ran.
    fn end(&self, world: &mut World, id: &ContainerId, code: i64) -> bool {
        let Some(container) = world.find(&id.0) else { return false };
        if !matches!(container.view.state, ContainerState::Running | ContainerState::Paused) {
            return false;
        }
        container.view.state = ContainerState::Exited;
        container.view.exit_code = Some(code);
        container.view.networks.iter_mut().for_each(|(_, ip)| *ip = None);
        self.emit(world, id, ContainerAction::Die { exit_code: Some(code) });
        true
    }
}

impl World {
    fn find(&mut self, name: &str) -> Option<&mut FakeContainer> {
        self.containers
            .iter_mut()
            .find(|container| container.view.name == name || container.view.id.0 == name)
    }

    fn expect(&mut self, name: &str) -> &mut FakeContainer {
        self.find(name).unwrap_or_else(|| panic!("there is no container {name}"))
    }
}
