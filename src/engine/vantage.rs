//! Where WakeDock itself stands: which networks it reaches, and where the host's ports answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::OnceLock;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::domain::address::Vantage;

/// Looks around. Networks come and go with containers, so this is asked at each wake; it reads two
/// small files of the kernel.
pub(super) fn look() -> Vantage {
    let v4 = std::fs::read_to_string("/proc/net/route").ok();
    let v6 = std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    see(v4.as_deref(), &v6, in_own_network())
}

fn see(v4: Option<&str>, v6: &str, contained: bool) -> Vantage {
    let Some(v4) = v4 else { return Vantage::ON_HOST };
    let (routes, gateway) = read_v4(v4);
    let host = if contained { gateway.map(IpAddr::V4) } else { None };
    Vantage {
        routes: Some(
            routes.into_iter().map(IpNet::V4).chain(read_v6(v6).into_iter().map(IpNet::V6)).collect(),
        ),
        host: host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    }
}

/// Whether this process runs in a container with a network of its own. One that shares the host's
/// sees the engine's bridges there.
fn in_own_network() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let contained = ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists());
        let sees_bridges = std::fs::read_dir("/sys/class/net")
            .is_ok_and(|all| all.flatten().any(|interface| interface.path().join("bridge").exists()));
        contained && !sees_bridges
    })
}

/// `/proc/net/route`: the networks with a route, and the gateway of the default one. Addresses are
/// hexadecimal in the machine's byte order.
fn read_v4(table: &str) -> (Vec<Ipv4Net>, Option<Ipv4Addr>) {
    let address = |text: &str| Some(Ipv4Addr::from(u32::from_str_radix(text, 16).ok()?.to_ne_bytes()));
    let (mut routes, mut gateway) = (Vec::new(), None);
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, destination, via, _, _, _, _, mask, ..] = fields.as_slice() else { continue };
        let (Some(destination), Some(via), Some(mask)) = (address(destination), address(via), address(mask))
        else {
            continue;
        };
        match Ipv4Net::with_netmask(destination, mask) {
            Ok(net) if net.prefix_len() == 0 => gateway = gateway.or(Some(via)),
            Ok(net) => routes.push(net),
            Err(_) => {}
        }
    }
    (routes, gateway)
}

/// `/proc/net/ipv6_route`: destination and prefix length, both hexadecimal, come first.
fn read_v6(table: &str) -> Vec<Ipv6Net> {
    let route = |line: &str| {
        let mut fields = line.split_whitespace();
        let destination = u128::from_str_radix(fields.next()?, 16).ok()?;
        let prefix = u8::from_str_radix(fields.next()?, 16).ok()?;
        Ipv6Net::new(Ipv6Addr::from(destination), prefix).ok().filter(|net| net.prefix_len() > 0)
    };
    table.lines().filter_map(route).collect()
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    const V4: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        nonsense\n";
    const V6: &str = "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
        fd000000000000000000000000000001 00000400 00000002 00000000 00000003 eth0\n";

    #[test]
    fn reads_routes_but_not_the_default_one() {
        let here = see(Some(V4), V6, false);
        let nets: Vec<String> = here.routes.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(nets, ["172.18.0.0/16", "fd00::/64"]);
        assert_eq!(here.host, IpAddr::from([127, 0, 0, 1]));
    }

    #[test]
    fn trap_39_inside_a_container_the_host_is_the_gateway() {
        assert_eq!(see(Some(V4), V6, true).host, IpAddr::from([172, 18, 0, 1]));
    }

    #[test]
    fn what_cannot_be_read_counts_as_reachable() {
        assert_eq!(see(None, "", true), Vantage::ON_HOST);
    }

    #[test]
    fn this_machine_can_be_read() {
        assert!(look().routes.is_some());
    }
}
