//! How much of something each address has at once: a bound that no stranger takes from another.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// How many each address has.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// One of an address, counted until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    address: Option<IpAddr>,
}

impl Crowd {
    /// So many each.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, counts: Mutex::default() })
    }

    /// A seat; `None` where the address has as many as it may. Who is nobody in particular is not
    /// counted.
    pub(super) fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Seat> {
        let address = address.map(network_of);
        if let Some(address) = address {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(address).or_default();
            if *count >= self.most {
                return None;
            }
            *count += 1;
        }
        Some(Seat { crowd: Arc::clone(self), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut counts = self.crowd.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

/// The address that stands for one client: of IPv6 its /64.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_share_and_no_more() {
        let crowd = Crowd::new(2);
        let from = |text: &str| text.parse().ok();
        let own = [crowd.admit(from("2001:db8::1")), crowd.admit(from("2001:db8::2"))];
        assert!(own.iter().all(Option::is_some));
        assert!(crowd.admit(from("2001:db8::3")).is_none());
        assert!(crowd.admit(from("192.0.2.1")).is_some());
        assert!(crowd.admit(None).is_some());
        drop(own);
        assert!(crowd.admit(from("2001:db8::3")).is_some());
        assert!(crowd.counts.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
