//! What Caddy is to know of WakeDock: the hosts, and where WakeDock answers.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Listen;
use crate::domain::host::{HostPattern, Hostname};

/// The hosts of all services, and where requests for them go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sites {
    /// Sorted and without duplicates, so that the same routes are the same text.
    pub hosts: BTreeSet<HostPattern>,
    pub own: OwnAddresses,
    /// The dashboard's own host, which Caddy sends to it directly.
    pub dashboard: Option<Hostname>,
}

/// Where Caddy reaches WakeDock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAddresses {
    /// Where requests go.
    pub proxy: Listen,
    /// Where Caddy asks whether a host is known, before it gets a certificate for it.
    pub admin: SocketAddr,
}

impl OwnAddresses {
    /// Picks the listener for Caddy: a unix socket where there is one (nobody can pretend to be
    /// Caddy there), else the first. `None` without listeners.
    #[must_use]
    pub fn choose(proxy: &[Listen], admin: SocketAddr) -> Option<Self> {
        let best = proxy.iter().find(|listen| matches!(listen, Listen::Unix(_))).or_else(|| proxy.first())?;
        let proxy = match best {
            Listen::Unix(path) => Listen::Unix(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
            Listen::Tcp(address) => Listen::Tcp(dialable(*address)),
        };
        Some(Self { proxy, admin: dialable(admin) })
    }
}

/// A listener on every interface is reached on the loopback one.
#[must_use]
pub fn dialable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(text: &str) -> Listen {
        Listen::Tcp(text.parse().unwrap())
    }

    #[test]
    fn the_unix_socket_goes_first() {
        let admin = "0.0.0.0:7081".parse().unwrap();
        let unix = Listen::Unix("/run/wakedock/proxy.sock".into());
        let own = OwnAddresses::choose(&[tcp("127.0.0.1:7080"), unix.clone()], admin).unwrap();
        assert_eq!(own, OwnAddresses { proxy: unix, admin: "127.0.0.1:7081".parse().unwrap() });
        let own = OwnAddresses::choose(&[tcp("[::]:7080")], admin).unwrap();
        assert_eq!(own.proxy, tcp("[::1]:7080"));
        assert_eq!(OwnAddresses::choose(&[], admin), None);
    }
}
