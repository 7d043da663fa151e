//! What the operator wants of one service.

use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::domain::host::HostPattern;
use crate::domain::name::{ContainerName, ServiceName};

/// One service as configured, with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    pub name: ServiceName,
    /// Empty: no route, woken by hand or as a companion only.
    pub hosts: Vec<HostPattern>,
    /// Only requests below this path, by whole segments; begins with `/`, no trailing `/`.
    pub path: Option<String>,
    pub container: ContainerName,
    /// Inside the container; without it, the port the image exposes.
    pub port: Option<NonZeroU16>,
    pub address: AddressPolicy,
    pub protocol: UpstreamProtocol,
    pub wait: WaitMode,
    /// A wake faster than this never shows a page.
    pub page_after: Duration,
    /// From the order to ready.
    pub wake_timeout: Duration,
    /// One client's patience.
    pub hold_timeout: Duration,
    /// How many requests may be held at once; 0: none is held.
    pub max_held: usize,
    pub readiness: Readiness,
    pub idle: IdlePolicy,
    pub waiting_page: WaitingPage,
    /// Under which heading it is shown; nothing else depends on it.
    pub group: Option<String>,
    /// A few characters shown beside its name: an emoji, most often. Never a URL.
    pub icon: Option<String>,
    /// Names of the users who may edit it without being admins.
    pub owners: Vec<String>,
}

impl ServiceSpec {
    /// A service with every default of the configuration reference.
    #[must_use]
    pub fn new(name: ServiceName, container: ContainerName) -> Self {
        Self {
            name,
            hosts: Vec::new(),
            path: None,
            container,
            port: None,
            address: AddressPolicy::Auto,
            protocol: UpstreamProtocol::Auto,
            wait: WaitMode::Auto,
            page_after: Duration::from_secs(2),
            wake_timeout: Duration::from_secs(60),
            hold_timeout: Duration::from_secs(60),
            max_held: 1000,
            readiness: Readiness::Default,
            idle: IdlePolicy::default(),
            waiting_page: WaitingPage::default(),
            group: None,
            icon: None,
            owners: Vec::new(),
        }
    }
}

/// Which of a container's addresses is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Its address on a network WakeDock reaches; for the host's network, loopback; for another
    /// container's network, that one's; else a published port.
    Auto,
    /// Its published port, on the host.
    Published,
    /// Its address on the network of this name.
    Network(String),
}

/// What is spoken to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/2 by prior knowledge for gRPC, else HTTP/1.1.
    Auto,
    Http1,
    H2c,
}

/// What a caller gets while the service wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitMode {
    /// Navigations: held for `page_after`, then the waiting page. The rest: held.
    Auto,
    /// Everybody is held.
    Hold,
    /// Navigations get the page at once. The rest is held.
    Page,
}

/// What turns `waking` into `ready`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Docker health where the container has one, else any HTTP answer but 502, 503 and 504,
    /// else TCP.
    Default,
    Http {
        path: String,
        status: RangeInclusive<u16>,
    },
    Tcp,
    /// Docker health; without one, the default with a visible warning.
    Docker,
    /// Ready when the start returns.
    None,
}

/// When an unused service is put to sleep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdlePolicy {
    /// No activity for this long: pause. `None`: never.
    pub pause_after: Option<Duration>,
    /// No activity for this long: stop. `None`: never.
    pub stop_after: Option<Duration>,
    /// Not put to sleep before this long after ready.
    pub min_awake: Duration,
    /// An upgraded stream without bytes stops counting after this. `None`: never.
    pub silent_stream: Option<Duration>,
    /// What Docker grants the container between SIGTERM and SIGKILL.
    pub stop_timeout: Duration,
}

impl Default for IdlePolicy {
    fn default() -> Self {
        Self {
            pause_after: None,
            stop_after: Some(Duration::from_secs(15 * 60)),
            min_awake: Duration::ZERO,
            silent_stream: None,
            stop_timeout: Duration::from_secs(10),
        }
    }
}

/// What strangers may read on the waiting page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitingPage {
    /// By default the host that was asked for.
    pub title: Option<String>,
    pub message: Option<String>,
    pub theme: Theme,
    /// Shows the container's last log lines when a wake failed.
    pub show_logs: bool,
}

/// Colours of the waiting page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the browser prefers.
    #[default]
    Auto,
    Light,
    Dark,
}
