//! What may change while connections are open.

use std::net::IpAddr;

use crate::config::{ProxyConfig, ProxyLimits, ProxyTimeouts};

/// The part of the configuration that the data plane reads anew for each connection and request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySettings {
    pub trusted_proxies: Vec<ipnet::IpNet>,
    pub timeouts: ProxyTimeouts,
    pub limits: ProxyLimits,
    /// One log line a request.
    pub access_log: bool,
}

impl ProxySettings {
    #[must_use]
    pub fn new(config: &ProxyConfig, access_log: bool) -> Self {
        Self {
            trusted_proxies: config.trusted_proxies.clone(),
            timeouts: config.timeouts.clone(),
            limits: config.limits.clone(),
            access_log,
        }
    }

    /// Whether the forwarded fields of this peer are believed. A unix socket has no address, and
    /// its permissions say who may speak: always.
    #[must_use]
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.is_none_or(|address| self.trusted_proxies.iter().any(|network| network.contains(&address)))
    }
}
