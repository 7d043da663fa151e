//! What a test cannot run for real, behind a trait each: Docker, a readiness attempt, Caddy.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;

use crate::domain::time::Timestamp;
use crate::domain::usage::UsageSample;

/// A future that can be kept in a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// A stream that can be kept in a trait object.
pub type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;

/// Docker's id of one container: what an order carries, so that an old order never hits a newer
/// container of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContainerId(pub String);

impl ContainerId {
    /// The first twelve characters, as `docker ps` shows them.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

/// Docker's own words for what a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

/// Docker's own words for the health of a container that has a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Starting,
    Healthy,
    Unhealthy,
}

/// One line that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When, in nanoseconds since 1970: finer than a [`Timestamp`], so that one can go on after it.
    pub written: u64,
    pub text: String,
}

/// Where the reading of a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStart {
    /// At the last so many lines.
    Last(usize),
    /// At the first line that was written after this, in nanoseconds since 1970.
    After(u64),
}

impl LogStart {
    /// At the first line after this moment.
    #[must_use]
    pub fn after(moment: Timestamp) -> Self {
        Self::After(u64::try_from(moment.as_millis()).unwrap_or(0).saturating_mul(1_000_000))
    }
}

/// The command of a container's own health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCommand {
    /// As executed: `CMD-SHELL` is already wrapped into the container's shell.
    pub argv: Vec<String>,
    /// What Docker grants one run.
    pub timeout: Duration,
}

/// How a container is attached to networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkMode {
    /// Bridges and other networks of its own.
    Own,
    /// The host's network.
    Host,
    /// The network of another container (its name or id).
    Container(String),
    /// None at all.
    None,
}

/// What `inspect` says, as far as WakeDock cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub id: ContainerId,
    /// Without the leading slash.
    pub name: String,
    pub state: ContainerState,
    /// `None`: the container has no health check.
    pub health: Option<Health>,
    pub health_command: Option<HealthCommand>,
    pub started_at: Option<Timestamp>,
    pub exit_code: Option<i64>,
    pub network_mode: NetworkMode,
    /// Name and address of every network it is on; no address while it is off.
    pub networks: Vec<(String, Option<IpAddr>)>,
    /// TCP ports inside the container and where the host publishes them.
    pub published: Vec<(u16, SocketAddr)>,
    /// TCP ports the image or the container exposes, ascending.
    pub exposed: Vec<u16>,
}

/// Which containers are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    All,
    /// Those that have this label, whatever its value.
    WithLabel(&'static str),
}

/// What a list says of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: ContainerId,
    /// Without the leading slash.
    pub name: String,
    pub created: Timestamp,
    pub state: ContainerState,
    /// The image, as it was named when the container was made.
    pub image: String,
    /// Labels that mean something to WakeDock, given to the container itself.
    pub labels: BTreeMap<String, String>,
    /// The same, where they came with the image. Looked up only for containers with a label of
    /// WakeDock's.
    pub image_labels: BTreeMap<String, String>,
    /// TCP ports inside the container, ascending; those of one that is off are not listed.
    pub ports: Vec<u16>,
}

/// Why a container could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error("there is no container `{name}`")]
    Missing { name: String },
    #[error("Docker does not answer")]
    Away(#[source] std::io::Error),
    #[error("Docker answered {status}: {message}")]
    Refused { status: u16, message: String },
}

/// Why an order (start, stop, pause, unpause) was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    #[error("container {id} is gone", id = .id.short())]
    Missing { id: ContainerId },
    /// It is in a state that this order does not fit: paused, not paused, not running.
    #[error("Docker says the container's state does not fit: {message}")]
    Conflict { message: String },
    #[error("Docker does not answer")]
    Away(#[source] std::io::Error),
    #[error("Docker answered {status}: {message}")]
    Refused { status: u16, message: String },
}

/// Why something was not read from the engine (logs, usage, health command, event stream).
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("Docker does not answer")]
    Away(#[source] std::io::Error),
    #[error("Docker answered {status}: {message}")]
    Refused { status: u16, message: String },
    #[error("not within {0:?}")]
    TimedOut(Duration),
}

/// One container event, read from `Type`, `Action` and `Actor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerEvent {
    pub id: ContainerId,
    /// Without the leading slash.
    pub name: String,
    pub action: ContainerAction,
    pub at: Timestamp,
}

/// What happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerAction {
    Create,
    Start,
    Die { exit_code: Option<i64> },
    Stop,
    Pause,
    Unpause,
    Destroy,
    Rename { from: String },
    Health(Health),
}

/// The container engine.
pub trait ContainerEngine: Send + Sync + 'static {
    /// Looks at one container, by name or id.
    fn inspect<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Container, InspectError>>;
    /// Containers in any state, with the labels that mean something.
    fn list(&self, which: Listing) -> BoxFuture<'_, Result<Vec<Listed>, ReadError>>;
    /// Starts it. Already running is fine.
    fn start<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<(), OrderError>>;
    /// Stops it: SIGTERM (or its own stop signal), then SIGKILL after `grace`. Already off is fine.
    fn stop<'a>(&'a self, id: &'a ContainerId, grace: Duration) -> BoxFuture<'a, Result<(), OrderError>>;
    fn pause<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<(), OrderError>>;
    fn unpause<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<(), OrderError>>;
    /// The last lines it wrote, standard output and error together.
    fn logs<'a>(&'a self, id: &'a ContainerId, lines: usize)
    -> BoxFuture<'a, Result<Vec<String>, ReadError>>;
    /// What it wrote from `from` on, then each line as it comes. The stream ends when the container
    /// does; of one that is off, after the last line there is.
    fn follow_logs<'a>(
        &'a self,
        id: &'a ContainerId,
        from: LogStart,
    ) -> BoxStream<'a, Result<LogLine, ReadError>>;
    /// Runs its health command once: true when it exits with 0.
    fn run_health_command<'a>(
        &'a self,
        id: &'a ContainerId,
        command: &'a HealthCommand,
    ) -> BoxFuture<'a, Result<bool, ReadError>>;
    /// One reading of its counters.
    fn usage<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<UsageSample, ReadError>>;
    /// Container events from `since` on. The stream ends, or yields an error and ends, when the
    /// connection breaks: the caller backs off, connects again and reconciles.
    fn events(&self, since: Option<Timestamp>) -> BoxStream<'_, Result<ContainerEvent, ReadError>>;
    /// Version of the engine and of its API, for the log.
    fn version(&self) -> BoxFuture<'_, Result<EngineVersion, ReadError>>;
}

/// Who answers at the engine's socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineVersion {
    pub engine: String,
    pub api: String,
}

/// One readiness attempt at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Connects.
    Tcp,
    /// `GET path` with this `Host`.
    Http { host: String, path: String },
}

/// What one readiness attempt met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// A TCP connection was accepted (only for [`Probe::Tcp`]).
    Connected,
    /// An HTTP answer with this status.
    Status(u16),
    /// Accepted, and answered with something that is not HTTP.
    NotHttp,
    /// Accepted, and closed or reset without a byte.
    Closed,
    /// Accepted, and silent until the attempt's time was over.
    Silent,
    /// Nobody listens, or the address cannot be reached.
    Refused,
}

/// Makes readiness attempts.
pub trait Prober: Send + Sync + 'static {
    /// One attempt, over after `patience` at the latest. It goes to an IP address, never through
    /// DNS, and is not activity.
    fn attempt(&self, address: SocketAddr, probe: Probe, patience: Duration) -> BoxFuture<'_, ProbeAnswer>;
}

/// Why Caddy did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CaddyError {
    #[error("Caddy does not answer at {address}")]
    Away {
        address: String,
        #[source]
        source: std::io::Error,
    },
    /// Caddy's own message, with the line where it names one.
    #[error("Caddy refuses it: {message}")]
    Rejected { message: String },
}

/// Caddy's admin API.
pub trait CaddyAdmin: Send + Sync + 'static {
    /// The running configuration as JSON; `null` where Caddy runs none.
    fn running(&self) -> BoxFuture<'_, Result<serde_json::Value, CaddyError>>;
    /// Resolves as soon as what [`CaddyAdmin::running`] said last may be out of date: Caddy ended,
    /// or took up another configuration. Never resolves where it said nothing yet.
    fn changed(&self) -> BoxFuture<'_, ()>;
    /// Caddyfile to JSON, validated, without running it.
    fn adapt<'a>(&'a self, caddyfile: &'a str) -> BoxFuture<'a, Result<serde_json::Value, CaddyError>>;
    /// Runs this configuration; the old one goes on where it is refused.
    fn load<'a>(&'a self, config: &'a serde_json::Value) -> BoxFuture<'a, Result<(), CaddyError>>;
}
