//! What every container engine does, the fake one and the real one.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use wakedock::clock;
use wakedock::domain::time::Timestamp;
use wakedock::ports::{
    BoxFuture, Container, ContainerAction as Action, ContainerEngine, ContainerId, ContainerState, Health,
    HealthCommand, InspectError, Listed, Listing, LogStart, OrderError, ReadError,
};

/// A container to be made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recipe {
    /// Ends by itself at once.
    pub(crate) exits: Option<i64>,
    /// Ends by SIGKILL only.
    pub(crate) ignores_term: bool,
    /// Has a health check, whose command passes or does not.
    pub(crate) healthy: Option<bool>,
    /// Lines on standard output, written before anything else.
    pub(crate) prints: Vec<&'static str>,
    /// Writes to a terminal.
    pub(crate) tty: bool,
    pub(crate) labels: Vec<(&'static str, &'static str)>,
}

/// A label that the image of every container has.
pub(crate) const IMAGE_LABEL: (&str, &str) = ("wakedock.group", "of-the-image");

/// An engine, and the means to put containers there that the port does not have.
pub(crate) trait Bench: Sync {
    fn engine(&self) -> &dyn ContainerEngine;
    /// A name that is this run's own.
    fn name(&self, name: &str) -> String;
    fn create<'a>(&'a self, name: &'a str, recipe: Recipe) -> BoxFuture<'a, ContainerId>;
    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ()>;
    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, ()>;
}

type Case = for<'a> fn(&'a dyn Bench) -> BoxFuture<'a, ()>;

macro_rules! cases {
    ($($case:ident),+ $(,)?) => { &[$((stringify!($case), |bench| Box::pin($case(bench)))),+] };
}

const CASES: &[(&str, Case)] = cases![
    a_missing_container,
    a_created_container,
    start_and_stop,
    an_exit,
    stop_kills_after_the_grace,
    pause_and_its_conflicts,
    stop_of_a_paused_container,
    the_name_is_the_identity_and_orders_carry_the_id,
    events_in_order,
    a_rename,
    logs,
    logs_of_a_terminal,
    followed_logs,
    usage,
    health_commands,
    the_version,
    a_list,
];

/// Runs every case, and says which failed. The caller sweeps before it panics.
pub(crate) async fn run(bench: &dyn Bench) -> Vec<&'static str> {
    assert!(CASES.len() > 10, "the contract has shrunk");
    let mut failed = Vec::new();
    for (name, case) in CASES {
        let begun = clock::now();
        let done = AssertUnwindSafe(tokio::time::timeout(Duration::from_secs(60), case(bench)));
        if !matches!(done.catch_unwind().await, Ok(Ok(()))) {
            failed.push(*name);
        }
        println!("{name}: {:?}", clock::now().since(begun));
    }
    failed
}

const GRACE: Duration = Duration::from_secs(10);

async fn inspect(bench: &dyn Bench, name: &str) -> Container {
    bench.engine().inspect(name).await.expect("it is there")
}

/// The events of one container from `since` on, up to the first that is `last`.
async fn events_until(bench: &dyn Bench, since: Timestamp, id: &ContainerId, last: &Action) -> Vec<Action> {
    let mut stream = bench.engine().events(Some(since));
    let mut seen = Vec::new();
    while let Some(event) = stream.next().await {
        let event = event.expect("the connection holds");
        if event.id == *id {
            assert!(event.at >= since, "{event:?} is older than asked for");
            seen.push(event.action);
            if seen.last() == Some(last) {
                return seen;
            }
        }
    }
    panic!("the stream ended after {seen:?}");
}

async fn a_missing_container(bench: &dyn Bench) {
    let never = bench.name("never");
    for name in [never.as_str(), "no/such", "../version", "", "a?b=c"] {
        let missing = bench.engine().inspect(name).await;
        assert!(matches!(missing, Err(InspectError::Missing { name: said }) if said == name), "{name:?}");
    }
    let id = ContainerId("0123456789ab".repeat(5));
    all_orders_are_missing(bench, &id).await;
    assert!(matches!(bench.engine().logs(&id, 1).await, Err(ReadError::Refused { status: 404, .. })));
    assert!(matches!(bench.engine().usage(&id).await, Err(ReadError::Refused { status: 404, .. })));
}

async fn all_orders_are_missing(bench: &dyn Bench, id: &ContainerId) {
    let engine = bench.engine();
    let answers = [
        engine.start(id).await,
        engine.stop(id, GRACE).await,
        engine.pause(id).await,
        engine.unpause(id).await,
    ];
    for answer in answers {
        assert!(matches!(&answer, Err(OrderError::Missing { id: said }) if said == id), "{answer:?}");
    }
}

async fn a_created_container(bench: &dyn Bench) {
    let name = bench.name("created");
    let id = bench.create(&name, Recipe::default()).await;
    let container = inspect(bench, &name).await;
    assert_eq!((&container.id, &container.name), (&id, &name));
    assert_eq!(container.state, ContainerState::Created);
    assert_eq!((container.started_at, container.exit_code, container.health), (None, None, None));
    assert!(container.networks.iter().all(|(_, address)| address.is_none()), "{:?}", container.networks);
    assert_eq!(container.exposed, [8080]);
    assert_eq!(inspect(bench, &id.0).await, container, "by id as by name");
    bench.engine().stop(&id, GRACE).await.expect("already off is fine");
    bench.remove(&name).await;
}

async fn start_and_stop(bench: &dyn Bench) {
    let name = bench.name("twice");
    let since = clock::wall();
    let id = bench.create(&name, Recipe::default()).await;
    bench.engine().start(&id).await.unwrap();
    let container = inspect(bench, &name).await;
    assert_eq!(container.state, ContainerState::Running);
    assert!(container.started_at.is_some_and(|at| at >= since), "{:?}", container.started_at);
    assert_eq!((container.exit_code, container.health), (None, None));
    let addressed = container.networks.iter().filter(|(_, address)| address.is_some()).count();
    assert_eq!(addressed, 1, "{:?}", container.networks);

    bench.engine().start(&id).await.expect("already running is fine");
    assert_eq!(inspect(bench, &name).await, container, "and changes nothing");

    bench.engine().stop(&id, GRACE).await.unwrap();
    let container = inspect(bench, &name).await;
    assert_eq!((container.state, container.exit_code), (ContainerState::Exited, Some(143)));
    assert!(container.networks.iter().all(|(_, address)| address.is_none()));
    bench.engine().stop(&id, GRACE).await.expect("already off is fine");
    let seen = events_until(bench, since, &id, &Action::Stop).await;
    let die = Action::Die { exit_code: Some(143) };
    assert_eq!(seen, [Action::Create, Action::Start, die, Action::Stop], "each once");

    bench.engine().start(&id).await.unwrap();
    let container = inspect(bench, &name).await;
    assert_eq!((container.state, container.exit_code), (ContainerState::Running, None), "once more");
    bench.remove(&name).await;
}

async fn an_exit(bench: &dyn Bench) {
    let name = bench.name("exit");
    let since = clock::wall();
    let id = bench.create(&name, Recipe { exits: Some(7), ..Recipe::default() }).await;
    bench.engine().start(&id).await.unwrap();
    let die = Action::Die { exit_code: Some(7) };
    assert_eq!(events_until(bench, since, &id, &die).await, [Action::Create, Action::Start, die.clone()]);
    let container = inspect(bench, &name).await;
    assert_eq!((container.state, container.exit_code), (ContainerState::Exited, Some(7)));
    bench.remove(&name).await;
}

async fn stop_kills_after_the_grace(bench: &dyn Bench) {
    let name = bench.name("deaf");
    let id = bench.create(&name, Recipe { ignores_term: true, ..Recipe::default() }).await;
    bench.engine().start(&id).await.unwrap();
    let begun = clock::now();
    // The API knows whole seconds only: nobody gets less than the grace.
    bench.engine().stop(&id, Duration::from_millis(800)).await.unwrap();
    let took = clock::now().since(begun);
    assert!(took >= Duration::from_millis(800) && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(inspect(bench, &name).await.exit_code, Some(137));
    bench.remove(&name).await;
}

async fn pause_and_its_conflicts(bench: &dyn Bench) {
    let name = bench.name("pause");
    let engine = bench.engine();
    let id = bench.create(&name, Recipe::default()).await;
    let conflict = |answer| assert!(matches!(&answer, Err(OrderError::Conflict { .. })), "{answer:?}");
    conflict(engine.pause(&id).await);
    conflict(engine.unpause(&id).await);
    engine.start(&id).await.unwrap();
    conflict(engine.unpause(&id).await);

    engine.pause(&id).await.unwrap();
    let container = inspect(bench, &name).await;
    assert_eq!((container.state, container.exit_code), (ContainerState::Paused, None));
    conflict(engine.pause(&id).await);
    conflict(engine.start(&id).await);

    settle().await;
    engine.unpause(&id).await.unwrap();
    assert_eq!(inspect(bench, &name).await.state, ContainerState::Running);
    bench.remove(&name).await;
}

async fn stop_of_a_paused_container(bench: &dyn Bench) {
    let name = bench.name("asleep");
    let id = bench.create(&name, Recipe::default()).await;
    bench.engine().start(&id).await.unwrap();
    bench.engine().pause(&id).await.unwrap();
    bench.engine().stop(&id, Duration::from_secs(2)).await.unwrap();
    assert_eq!(inspect(bench, &name).await.state, ContainerState::Exited);
    bench.remove(&name).await;
}

/// Trap 15.
async fn the_name_is_the_identity_and_orders_carry_the_id(bench: &dyn Bench) {
    let name = bench.name("again");
    let old = bench.create(&name, Recipe::default()).await;
    bench.engine().start(&old).await.unwrap();
    bench.remove(&name).await;
    let new = bench.create(&name, Recipe::default()).await;
    assert_ne!(old, new);
    assert_eq!(inspect(bench, &name).await.id, new);
    bench.engine().start(&new).await.unwrap();
    all_orders_are_missing(bench, &old).await;
    assert_eq!(inspect(bench, &name).await.state, ContainerState::Running, "the new one is not hit");
    bench.remove(&name).await;
}

/// Docker hears of a pause once more from containerd, some time after it answered. Where it has
/// unpaused by then, it takes that for another pause, tells it, and mends that a moment later.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// Trap 22.
async fn events_in_order(bench: &dyn Bench) {
    let name = bench.name("events");
    let engine = bench.engine();
    let since = clock::wall();
    let id = bench.create(&name, Recipe { ignores_term: true, ..Recipe::default() }).await;
    engine.start(&id).await.unwrap();
    engine.pause(&id).await.unwrap();
    settle().await;
    engine.unpause(&id).await.unwrap();
    engine.stop(&id, Duration::from_secs(1)).await.unwrap();
    bench.remove(&name).await;
    let all = [
        Action::Create,
        Action::Start,
        Action::Pause,
        Action::Unpause,
        Action::Die { exit_code: Some(137) },
        Action::Stop,
        Action::Destroy,
    ];
    for _ in 0..2 {
        assert_eq!(events_until(bench, since, &id, &Action::Destroy).await, all);
    }

    // From a point in the middle: what came before is not told again.
    let mut stream = engine.events(Some(since));
    let stopped = loop {
        let event = stream.next().await.unwrap().unwrap();
        if event.id == id && event.action == Action::Stop {
            assert_eq!(event.name, name);
            break event.at;
        }
    };
    assert_eq!(events_until(bench, stopped, &id, &Action::Destroy).await.last(), Some(&Action::Destroy));
    let middle = events_until(bench, stopped, &id, &Action::Destroy).await;
    assert!(middle.len() < all.len() && all.ends_with(&middle), "{middle:?}");

    // Without a beginning: only what is new. When the stream is open is known by its first event.
    let mut fresh = engine.events(None);
    let second = bench.name("fresh");
    let make = async {
        loop {
            bench.create(&second, Recipe::default()).await;
            bench.remove(&second).await;
            tokio::task::yield_now().await;
        }
    };
    let told = async {
        loop {
            let event = fresh.next().await.unwrap().unwrap();
            assert_ne!(event.name, name, "that was before");
            if event.name == second {
                return;
            }
        }
    };
    tokio::select! {
        () = told => {}
        () = make => {}
    }
}

async fn a_rename(bench: &dyn Bench) {
    let (from, to) = (bench.name("before"), bench.name("after"));
    let since = clock::wall();
    let id = bench.create(&from, Recipe::default()).await;
    bench.rename(&from, &to).await;
    let renamed = Action::Rename { from: from.clone() };
    assert_eq!(events_until(bench, since, &id, &renamed).await, [Action::Create, renamed.clone()]);
    assert!(matches!(bench.engine().inspect(&from).await, Err(InspectError::Missing { .. })));
    assert_eq!(inspect(bench, &to).await.id, id);
    bench.remove(&to).await;
}

async fn run_to_its_end(bench: &dyn Bench, name: &str, recipe: Recipe) -> ContainerId {
    let since = clock::wall();
    let code = recipe.exits;
    let id = bench.create(name, recipe).await;
    bench.engine().start(&id).await.unwrap();
    events_until(bench, since, &id, &Action::Die { exit_code: code }).await;
    id
}

async fn logs(bench: &dyn Bench) {
    let name = bench.name("logs");
    let prints = vec!["one", "two", "three"];
    let id = run_to_its_end(bench, &name, Recipe { prints, exits: Some(0), ..Recipe::default() }).await;
    assert_eq!(bench.engine().logs(&id, 2).await.unwrap(), ["two", "three"]);
    assert_eq!(bench.engine().logs(&id, 100).await.unwrap(), ["one", "two", "three"]);
    bench.remove(&name).await;
}

async fn logs_of_a_terminal(bench: &dyn Bench) {
    let name = bench.name("terminal");
    let recipe = Recipe { prints: vec!["one", "two"], exits: Some(0), tty: true, ..Recipe::default() };
    let id = run_to_its_end(bench, &name, recipe).await;
    assert_eq!(bench.engine().logs(&id, 10).await.unwrap(), ["one", "two"]);
    bench.remove(&name).await;
}

async fn followed_logs(bench: &dyn Bench) {
    let name = bench.name("followed");
    let engine = bench.engine();
    let read = |id, from| async move {
        let lines: Vec<_> = engine.follow_logs(id, from).collect().await;
        lines.into_iter().map(Result::unwrap).collect::<Vec<_>>()
    };
    let all =
        |id, from| async move { read(id, from).await.into_iter().map(|line| line.text).collect::<Vec<_>>() };
    let recipe = Recipe { prints: vec!["one", "two", "three"], ..Recipe::default() };
    let id = bench.create(&name, recipe).await;
    engine.start(&id).await.unwrap();
    let mut lines = engine.follow_logs(&id, LogStart::Last(100));
    for expected in ["one", "two", "three"] {
        assert_eq!(lines.next().await.unwrap().unwrap().text, expected);
    }
    let quiet = tokio::time::timeout(Duration::from_millis(200), lines.next()).await;
    assert!(quiet.is_err(), "it goes on while the container does: {quiet:?}");
    engine.stop(&id, GRACE).await.unwrap();
    assert!(lines.next().await.is_none(), "and ends with it");
    drop(lines);
    assert_eq!(all(&id, LogStart::Last(2)).await, ["two", "three"], "of one that is off, what there is");
    // Written within a millisecond, and told apart all the same.
    let lines = read(&id, LogStart::Last(100)).await;
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(read(&id, LogStart::After(line.written)).await, lines[index + 1..], "each once");
    }
    settle().await;
    assert_eq!(all(&id, LogStart::after(clock::wall())).await, [""; 0], "nothing is so new");
    bench.remove(&name).await;
    let gone = engine.follow_logs(&id, LogStart::Last(1)).next().await.unwrap();
    assert!(matches!(gone, Err(ReadError::Refused { status: 404, .. })), "{gone:?}");
}

async fn usage(bench: &dyn Bench) {
    let name = bench.name("usage");
    let id = bench.create(&name, Recipe::default()).await;
    let off = bench.engine().usage(&id).await;
    assert!(matches!(off, Err(ReadError::Refused { status: 409, .. })), "{off:?}");
    bench.engine().start(&id).await.unwrap();
    let sample = bench.engine().usage(&id).await.unwrap();
    assert!(sample.online_cpus > 0 && sample.system_total > 0 && sample.cpu_total > 0, "{sample:?}");
    assert!(sample.memory > 0 && sample.memory_in_use() <= sample.memory, "{sample:?}");
    bench.remove(&name).await;
}

async fn health_commands(bench: &dyn Bench) {
    for (healthy, name) in [(true, bench.name("well")), (false, bench.name("ill"))] {
        let id = bench.create(&name, Recipe { healthy: Some(healthy), ..Recipe::default() }).await;
        let command = inspect(bench, &name).await.health_command.expect("it has a health check");
        let off = bench.engine().run_health_command(&id, &command).await;
        assert!(matches!(off, Err(ReadError::Refused { status: 409, .. })), "{off:?}");
        bench.engine().start(&id).await.unwrap();
        assert_eq!(inspect(bench, &name).await.health, Some(Health::Starting));
        assert_eq!(bench.engine().run_health_command(&id, &command).await.unwrap(), healthy);
        bench.remove(&name).await;
    }
    let name = bench.name("none");
    let id = bench.create(&name, Recipe::default()).await;
    assert_eq!(inspect(bench, &name).await.health_command, None);
    let absent = HealthCommand { argv: vec!["/absent".to_owned()], timeout: Duration::from_secs(5) };
    bench.remove(&name).await;
    let gone = bench.engine().run_health_command(&id, &absent).await;
    assert!(matches!(gone, Err(ReadError::Refused { status: 404, .. })), "{gone:?}");
}

async fn the_version(bench: &dyn Bench) {
    let version = bench.engine().version().await.unwrap();
    assert!(!version.engine.is_empty() && version.api.starts_with("1."), "{version:?}");
}

async fn listed(bench: &dyn Bench, which: Listing, name: &str) -> Option<Listed> {
    let all = bench.engine().list(which).await.unwrap();
    all.into_iter().find(|listed| listed.name == name)
}

async fn a_list(bench: &dyn Bench) {
    const LABEL: &str = "wakedock.icon";
    let (with, without) = (bench.name("with"), bench.name("without"));
    let begun = clock::wall();
    let labels = vec![(LABEL, "W"), IMAGE_LABEL, ("wakedock.port", "8080"), ("of.others", "x")];
    let first = bench.create(&with, Recipe { labels, ..Recipe::default() }).await;
    let labels = vec![("wakedock.group", "of-its-own")];
    let second = bench.create(&without, Recipe { labels, ..Recipe::default() }).await;
    bench.engine().start(&first).await.unwrap();

    let one = listed(bench, Listing::All, &with).await.unwrap();
    assert_eq!((&one.id, one.state), (&first, ContainerState::Running));
    // Docker lists whole seconds.
    assert!(one.created.as_millis() >= begun.as_millis() - 1000, "{:?}", one.created);
    assert_eq!(one.labels.get(LABEL).map(String::as_str), Some("W"));
    assert_eq!(one.labels.get("wakedock.port").map(String::as_str), Some("8080"));
    assert_eq!(one.image_labels.get(IMAGE_LABEL.0).map(String::as_str), Some(IMAGE_LABEL.1));
    assert!(!one.labels.contains_key(IMAGE_LABEL.0), "it came with the image");
    assert!(!one.labels.contains_key("of.others"), "it means nothing to us");
    let found = listed(bench, Listing::WithLabel(LABEL), &with).await.unwrap();
    // How exactly it is known depends on who else is listed.
    assert_eq!(found.created.as_millis() / 1000, one.created.as_millis() / 1000);
    assert_eq!(Listed { created: one.created, ..found }, one);

    let other = listed(bench, Listing::All, &without).await.unwrap();
    assert_eq!((&other.id, other.state), (&second, ContainerState::Created));
    assert_eq!(other.labels.get("wakedock.group").map(String::as_str), Some("of-its-own"));
    assert!(one.created <= other.created, "{one:?} {other:?}");
    assert_eq!(listed(bench, Listing::WithLabel(LABEL), &without).await, None);

    bench.remove(&with).await;
    assert_eq!(listed(bench, Listing::All, &with).await, None);
    bench.remove(&without).await;
}
