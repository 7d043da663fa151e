//! How many connections are open, in all and from one address. Touched when a connection comes and
//! when it goes, never on the way of a request.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::words::Limit;
use crate::proxy::settings::ProxySettings;

/// Bits of an IPv6 address that one client has for itself.
const ONES_OWN: u32 = 64;

/// The open connections of all workers.
#[derive(Debug, Default)]
pub(super) struct Counted {
    all: AtomicUsize,
    /// How often one was parked.
    parked: AtomicUsize,
    /// Of addresses that are not trusted.
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

impl Counted {
    pub(super) fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    /// How often a connection was parked: each time two of hyper's buffers were freed.
    pub(super) fn parked(&self) -> usize {
        self.parked.load(Ordering::Relaxed)
    }

    pub(super) fn park(&self) {
        self.parked.fetch_add(1, Ordering::Relaxed);
    }

    /// A place for a connection from this address.
    ///
    /// # Errors
    /// Which limit is reached.
    pub(super) fn admit(
        self: &Arc<Self>,
        from: Option<IpAddr>,
        settings: &ProxySettings,
    ) -> Result<Place, Limit> {
        let limits = &settings.limits;
        // Given back when it is dropped, whatever the outcome.
        let mut place = Place { counted: Arc::clone(self), address: None };
        if self.all.fetch_add(1, Ordering::Relaxed) >= limits.connections {
            return Err(Limit::Connections);
        }
        if let Some(address) = from.filter(|_| !settings.trusts(from)).map(whose) {
            let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = by_address.entry(address).or_default();
            if *count >= limits.connections_per_address {
                return Err(Limit::ConnectionsPerAddress);
            }
            *count += 1;
            place.address = Some(address);
        }
        Ok(place)
    }
}

/// The address that stands for a client.
fn whose(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> ONES_OWN << ONES_OWN).into(),
    }
}

/// Counted for as long as it lives.
#[derive(Debug)]
pub(super) struct Place {
    counted: Arc<Counted>,
    address: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counted.all.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut by_address = self.counted.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProxyConfig;

    #[test]
    fn strangers_are_counted_by_address_and_trusted_peers_are_not() {
        let mut config = ProxyConfig::default();
        config.limits.connections = 12;
        config.limits.connections_per_address = 2;
        let settings = ProxySettings::new(&config, false);
        let counted = Arc::new(Counted::default());
        let come = |from: &str| counted.admit(from.parse().ok(), &settings);
        let mut places = Vec::new();
        // The last is none, as of a unix socket; the loopback addresses are trusted by default.
        for from in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::f:1", "2001:db8:0:1::1"]
            .into_iter()
            .chain(["127.0.0.1", "127.0.0.1", "127.0.0.1", "", "", ""].into_iter().take(5))
        {
            places.push(come(from).unwrap_or_else(|limit| panic!("{from}: {limit}")));
        }
        assert_eq!(come("192.0.2.1").unwrap_err(), Limit::ConnectionsPerAddress);
        assert_eq!(come("2001:db8::2").unwrap_err(), Limit::ConnectionsPerAddress, "one /64 is one client");
        assert_eq!(counted.all(), 11, "who is refused takes no place");
        places.push(come("").unwrap());
        assert_eq!(come("").unwrap_err(), Limit::Connections);
        drop(places.remove(0));
        places.push(come("192.0.2.1").unwrap());
        assert!(come("192.0.2.1").is_err());
        drop(places);
        assert_eq!(counted.all(), 0);
        assert!(counted.by_address.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
