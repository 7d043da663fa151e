//! Who is at the other end of a connection, and whose word counts.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::HeaderName;

use crate::config::AdminConfig;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP: its address, and ours, which it dialled.
    Tcp { from: IpAddr, to: IpAddr },
    /// The local socket, by the credentials of the process there.
    Socket { uid: u32 },
    /// WakeDock's own data plane, which has put the forwarded fields right.
    Proxy,
}

/// Where a request came from, as far as somebody said so whose word counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The client's address. `None`: the local socket, or nobody knows.
    pub address: Option<IpAddr>,
    /// Whether the client speaks TLS.
    pub secure: bool,
    /// The host that the client asked for, where another one than `Host` says.
    pub host: Option<String>,
    /// Who is directly at the other end, over TCP: whether it is a log-in proxy is looked up further
    /// in.
    pub proxy: Option<IpAddr>,
    /// Whether the peer's word counts.
    pub believed: bool,
}

impl Origin {
    /// Reads it, the forwarded fields only where the peer is trusted.
    #[must_use]
    pub fn of(peer: &Peer, headers: &HeaderMap, config: &AdminConfig) -> Self {
        let trusted = |address: IpAddr| {
            config.trusted_proxies.iter().any(|network| network.contains(&address.to_canonical()))
        };
        let (nearest, believed) = match peer {
            Peer::Tcp { from, .. } => (Some(*from), trusted(*from)),
            Peer::Socket { .. } => (None, false),
            Peer::Proxy => (None, true),
        };
        let proxy = if let Peer::Tcp { from, .. } = peer { Some(*from) } else { None };
        if !believed {
            return Self { address: nearest, secure: false, host: None, proxy, believed };
        }
        let last = |name| headers.get_all(name).iter().next_back()?.to_str().ok().map(str::trim);
        Self {
            address: forwarded_for(headers, trusted).or(nearest),
            secure: last(&X_FORWARDED_PROTO).is_some_and(|proto| proto.eq_ignore_ascii_case("https")),
            host: last(&X_FORWARDED_HOST).map(ToOwned::to_owned),
            proxy,
            believed,
        }
    }
}

impl Origin {
    /// The client for whom a proxy speaks. `None`: nobody speaks for anybody.
    #[must_use]
    pub fn by_proxy(&self) -> Option<IpAddr> {
        self.address.filter(|address| self.believed && self.proxy.is_none_or(|proxy| proxy != *address))
    }
}

/// The nearest address that is not a trusted proxy's: whatever stands before it anybody may have
/// written.
fn forwarded_for(headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let mut nearest = None;
    for line in headers.get_all(&X_FORWARDED_FOR).iter().rev() {
        for hop in line.to_str().ok()?.rsplit(',') {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { return nearest };
            let address = address.to_canonical();
            nearest = Some(address);
            if !trusted(address) {
                return nearest;
            }
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Peer {
        Peer::Tcp { from: address.parse().unwrap(), to: "127.0.0.1".parse().unwrap() }
    }

    fn origin(peer: &Peer, fields: &[(&'static str, &str)]) -> Origin {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        Origin::of(peer, &headers, &AdminConfig::default())
    }

    #[test]
    fn a_stranger_names_no_address_but_its_own() {
        let forged = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-proto", "https")];
        let stranger = origin(&from("192.0.2.7"), &forged);
        assert_eq!(stranger.address, Some("192.0.2.7".parse().unwrap()));
        assert!(!stranger.secure);
        assert_eq!(origin(&Peer::Socket { uid: 0 }, &forged).address, None);
    }

    #[test]
    fn of_a_list_the_nearest_stranger_counts() {
        let fields = [("x-forwarded-for", "6.6.6.6, 192.0.2.7, 127.0.0.1"), ("x-forwarded-proto", "https")];
        let caddy = origin(&from("127.0.0.1"), &fields);
        assert_eq!(caddy.address, Some("192.0.2.7".parse().unwrap()));
        assert!(caddy.secure);
        let odd = origin(&from("127.0.0.1"), &[("x-forwarded-for", "6.6.6.6, unknown, 192.0.2.7")]);
        assert_eq!(odd.address, Some("192.0.2.7".parse().unwrap()));
        let two = origin(&from("::1"), &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.8")]);
        assert_eq!(two.address, Some("192.0.2.8".parse().unwrap()));
        assert_eq!(origin(&from("127.0.0.1"), &[]).address, Some("127.0.0.1".parse().unwrap()));
    }
}
