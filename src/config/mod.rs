//! The configuration: what people write, and the typed values the rest of the house sees.

#[doc(hidden)]
pub mod bench;
mod check;
mod defaults;
mod document;
mod env;
mod keys;
mod kind;
mod load;
mod oidc;
mod origins;
mod paths;
mod print;
mod problem;
mod report;
mod running;
mod service;
pub mod sources;
mod table;
mod units;
mod watch;
mod yaml;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::host::Hostname;
use crate::domain::service::ServiceSpec;

pub use document::{example, reference, schema};
pub use env::process_env;
pub use load::{Loaded, load, peek, source_of};
pub use oidc::{OidcConfig, Secret};
pub use origins::{Told, origins};
pub use print::effective;
pub use problem::{ConfigProblems, Fault, Place, Problem, Warning};
pub use running::{Refused, Running, RunningValue};
pub use sources::{FileSources, Layer, SourceProblem, values};
pub use units::{format_duration, format_size, parse_duration, parse_size};
pub use watch::{ConfigWatcher, ReloadHandle};

/// The whole configuration, valid and with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub domain: Option<String>,
    pub data_dir: PathBuf,
    pub proxy: ProxyConfig,
    pub admin: AdminConfig,
    pub caddy: CaddyConfig,
    pub docker: DockerConfig,
    pub history: HistoryConfig,
    pub log: LogConfig,
    pub shutdown: ShutdownConfig,
    pub services: Vec<ServiceSpec>,
}

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyConfig {
    pub listen: Vec<Listen>,
    /// Permissions of unix sockets, `0o660`.
    pub socket_mode: u32,
    pub socket_group: Option<String>,
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Holds in all services together.
    pub max_held: usize,
    pub timeouts: ProxyTimeouts,
    pub limits: ProxyLimits,
}

/// Each without progress; `None` is `never`. None counts while a service wakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyTimeouts {
    pub head: Option<Duration>,
    pub keep_alive: Option<Duration>,
    pub body: Option<Duration>,
    pub connect: Option<Duration>,
    pub response_head: Option<Duration>,
    pub write: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyLimits {
    /// Bytes of a request's head.
    pub head: usize,
    /// Count of header fields.
    pub fields: usize,
    /// Bytes of a request's target.
    pub target: usize,
    pub connections: usize,
    /// Of one client's address, or of one /64 of IPv6; trusted peers are not counted.
    pub connections_per_address: usize,
    /// Streams of one HTTP/2 connection.
    pub streams: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    pub listen: SocketAddr,
    /// The dashboard's own host, which Caddy and the proxy route to it.
    pub host: Option<Hostname>,
    /// Other names that requests may come under.
    pub hosts: Vec<Hostname>,
    /// `None`: there is none.
    pub socket: Option<PathBuf>,
    pub socket_group: Option<String>,
    /// Whose `X-Forwarded-…` fields are believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Whether `/metrics` wants credentials.
    pub metrics_auth: bool,
    /// Origins of other sites whose scripts may call the API: `https://example.com`.
    pub cors_origins: Vec<String>,
    pub forward_auth: ForwardAuth,
    pub oidc: OidcConfig,
}

impl AdminConfig {
    /// The names that are WakeDock's own, and no service's.
    #[must_use]
    pub fn own_hosts(&self) -> Vec<Hostname> {
        self.host.iter().chain(&self.hosts).cloned().collect()
    }
}

/// Log-in by a proxy in front, such as Authelia or Authentik.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardAuth {
    /// Whose word counts. Empty: nobody's.
    pub proxies: Vec<ipnet::IpNet>,
    /// The header field with the user's name, in lower case.
    pub user: String,
    /// The header field with the user's groups, comma-separated, in lower case.
    pub groups: String,
    pub roles: ForwardRoles,
}

/// The groups that have each role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForwardRoles {
    pub admin: Vec<String>,
    pub user: Vec<String>,
    pub viewer: Vec<String>,
}

/// Where the socket for the local command line is, unless another place is written.
pub const ADMIN_SOCKET: &str = "/run/wakedock/admin.sock";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaddyMode {
    /// Publish by Caddy's admin API.
    Managed,
    /// Write a file to import.
    File,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaddyTls {
    /// Caddy's automatic HTTPS, on demand with our `ask`.
    Auto,
    Internal,
    Off,
}

/// Where Caddy's admin API answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaddyAddress {
    /// `host:port`, without scheme.
    Tcp(String),
    Unix(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaddyConfig {
    pub mode: CaddyMode,
    pub admin: CaddyAddress,
    /// Where mode `file` writes, atomically.
    pub file: PathBuf,
    /// A glob of the operator's own sites and global options, imported in mode `managed`.
    pub extra: Option<String>,
    pub take_over: bool,
    pub tls: CaddyTls,
    pub http_port: u16,
    pub https_port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerConfig {
    pub host: DockerHost,
    /// Whether containers become services by their labels.
    pub labels: bool,
    /// Whether labels that came with the image count.
    pub image_labels: bool,
    /// Whether a label may give a wildcard host.
    pub wildcard_labels: bool,
    /// How long the hosts of a container that was removed are kept for it.
    pub keep_removed: Duration,
}

/// Where the engine's API answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerHost {
    Unix(PathBuf),
    /// `host:port`, plain HTTP (a socket proxy).
    Tcp(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    pub level: tracing::Level,
    pub format: LogFormat,
    /// One line a request.
    pub access: bool,
}

/// How much of the past is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryConfig {
    /// For how long.
    pub keep: Duration,
    /// Bytes on disk; over it the oldest goes early.
    pub max_size: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// How long a drain may take.
    pub grace: Duration,
    /// Whether services are stopped with WakeDock.
    pub stop_services: bool,
}

/// The keys that differ and take effect only with a restart; the rest of an edit is applied.
#[must_use]
pub fn restart_needed(old: &Config, new: &Config) -> Vec<&'static str> {
    let changes = [
        ("data_dir", old.data_dir != new.data_dir),
        ("proxy.listen", old.proxy.listen != new.proxy.listen),
        ("proxy.socket_mode", old.proxy.socket_mode != new.proxy.socket_mode),
        ("proxy.socket_group", old.proxy.socket_group != new.proxy.socket_group),
        ("admin.listen", old.admin.listen != new.admin.listen),
        ("admin.socket", old.admin.socket != new.admin.socket),
        ("admin.socket_group", old.admin.socket_group != new.admin.socket_group),
        ("docker.host", old.docker.host != new.docker.host),
    ];
    changes.into_iter().filter_map(|(key, changed)| changed.then_some(key)).collect()
}
