//! What may change while connections are open.

use std::net::IpAddr;
use std::os::unix::net::UnixStream;

use tokio::sync::mpsc;

use crate::config::{ProxyConfig, ProxyLimits, ProxyTimeouts};
use crate::domain::host::Hostname;

/// The part of the configuration that the data plane reads anew for each connection and request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySettings {
    pub trusted_proxies: Vec<ipnet::IpNet>,
    pub timeouts: ProxyTimeouts,
    pub limits: ProxyLimits,
    /// One log line a request.
    pub access_log: bool,
    /// The host that is the dashboard's, and the way there.
    pub dashboard: Option<Dashboard>,
}

/// Where requests for the dashboard's own host go: connections are handed over to the control plane,
/// past any listener, so that nobody else can pretend to be the data plane.
#[derive(Debug, Clone)]
pub struct Dashboard {
    pub host: Hostname,
    pub hand_over: mpsc::Sender<UnixStream>,
}

impl PartialEq for Dashboard {
    fn eq(&self, other: &Self) -> bool {
        self.host == other.host && self.hand_over.same_channel(&other.hand_over)
    }
}

impl Eq for Dashboard {}

impl ProxySettings {
    #[must_use]
    pub fn new(config: &ProxyConfig, access_log: bool) -> Self {
        Self {
            trusted_proxies: config.trusted_proxies.clone(),
            timeouts: config.timeouts.clone(),
            limits: config.limits.clone(),
            access_log,
            dashboard: None,
        }
    }

    /// Whether the forwarded fields of this peer are believed. A unix socket has no address, and
    /// its permissions say who may speak: always.
    #[must_use]
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.is_none_or(|address| self.trusted_proxies.iter().any(|network| network.contains(&address)))
    }
}
