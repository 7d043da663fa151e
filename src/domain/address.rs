//! Where an awake service is dialled.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;

use ipnet::IpNet;

use crate::domain::service::AddressPolicy;

/// The address of one wake: it changes at every start, so it carries the generation that found it.
/// A pooled connection is used again only for the same upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Upstream {
    pub address: SocketAddr,
    /// Number of the wake that found this address, unique within the process.
    pub generation: u64,
}

/// How a container is attached, once "another container's network" is replaced by that one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    /// Networks of its own.
    Own,
    /// The host's network.
    Host,
    /// None at all.
    None,
}

/// Where a container could answer.
#[derive(Debug, Clone, Copy)]
pub struct Endpoints<'a> {
    pub attachment: Attachment,
    /// Name and address of every network it is on.
    pub networks: &'a [(String, Option<IpAddr>)],
    /// Ports inside the container and where the host publishes them.
    pub published: &'a [(u16, SocketAddr)],
    /// Ports that the image or the container exposes.
    pub exposed: &'a [u16],
}

/// Where WakeDock itself stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vantage {
    /// Networks with a route of their own, the default route not counted. `None`: not known, and
    /// every network is taken for reachable.
    pub routes: Option<Vec<IpNet>>,
    /// Where the host's own ports answer: loopback on the host, the gateway inside a container.
    pub host: IpAddr,
}

impl Vantage {
    /// On the host itself, with unknown routes.
    pub const ON_HOST: Self = Self { routes: None, host: IpAddr::V4(Ipv4Addr::LOCALHOST) };

    fn reaches(&self, address: IpAddr) -> bool {
        // Loopback is in no table of routes.
        address.is_loopback()
            || self.routes.as_ref().is_none_or(|routes| routes.iter().any(|route| route.contains(&address)))
    }

    /// The address to dial for a port that the host publishes at `bound`.
    fn dial_published(&self, bound: SocketAddr) -> Option<SocketAddr> {
        let ip = match bound.ip() {
            IpAddr::V6(any) if any.is_unspecified() && self.host.is_loopback() => Ipv6Addr::LOCALHOST.into(),
            any if any.is_unspecified() => self.host,
            own if own.is_loopback() && !self.host.is_loopback() => return None,
            own => own,
        };
        Some(SocketAddr::new(ip, bound.port()))
    }
}

/// The address a service is dialled at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    pub address: SocketAddr,
    /// It is a port that the host publishes: something may accept there before the application.
    pub published: bool,
}

/// Why there is no address to dial, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    #[error("the container exposes no port: set `port` to the one its application listens on")]
    NoPort,
    #[error("the container exposes the ports {}: set `port` to the one to use", listed(ports))]
    SeveralPorts { ports: Vec<u16> },
    #[error("the container has no network (`network_mode: none`)")]
    NoNetwork,
    #[error("the container has no address on any network and does not publish port {port}")]
    NotAttached { port: u16 },
    #[error("the container is not on the network `{network}`, but on {}", names(known))]
    NotOnNetwork { network: String, known: Vec<String> },
    #[error("the container has no address on the network `{network}`")]
    NoAddressOn { network: String },
    #[error(
        "WakeDock has no route to {}, and port {port} is not published: publish it, or attach WakeDock to \
         one of these networks",
        names(networks)
    )]
    OutOfReach { networks: Vec<String>, port: u16 },
    #[error("the container does not publish port {port}: it publishes {}", listed(published))]
    NotPublished { port: u16, published: Vec<u16> },
    #[error(
        "port {port} is published on the host's loopback only, which WakeDock does not reach from inside a \
         container"
    )]
    PublishedOnLoopback { port: u16 },
}

/// Chooses the one right address.
///
/// # Errors
/// Says what is missing, and what to set.
pub fn choose(
    endpoints: &Endpoints<'_>,
    policy: &AddressPolicy,
    port: Option<NonZeroU16>,
    here: &Vantage,
) -> Result<Choice, NoAddress> {
    if let (AddressPolicy::Auto | AddressPolicy::Published, Attachment::None) = (policy, endpoints.attachment)
    {
        return Err(NoAddress::NoNetwork);
    }
    let port = pick_port(endpoints, port)?;
    let own = |ip| Choice { address: SocketAddr::new(ip, port), published: false };
    match (policy, endpoints.attachment) {
        // Nothing is published on the host's network: the port itself is the host's.
        (AddressPolicy::Auto | AddressPolicy::Published, Attachment::Host) => Ok(own(here.host)),
        (AddressPolicy::Auto, _) => on_any_network(endpoints, port, here),
        (AddressPolicy::Published, _) => on_host(endpoints, port, here),
        (AddressPolicy::Network(name), _) => on_network(endpoints, name).map(own),
    }
}

fn pick_port(endpoints: &Endpoints<'_>, port: Option<NonZeroU16>) -> Result<u16, NoAddress> {
    if let Some(port) = port {
        return Ok(port.get());
    }
    let mut known: BTreeSet<u16> = endpoints.exposed.iter().copied().collect();
    if known.is_empty() {
        known = endpoints.published.iter().map(|(inside, _)| *inside).collect();
    }
    match Vec::from_iter(known).as_slice() {
        [] => Err(NoAddress::NoPort),
        [only] => Ok(*only),
        several => Err(NoAddress::SeveralPorts { ports: several.to_vec() }),
    }
}

fn on_any_network(endpoints: &Endpoints<'_>, port: u16, here: &Vantage) -> Result<Choice, NoAddress> {
    // By name, IPv4 first, so that every wake makes the same choice.
    let mut attached: Vec<(&str, IpAddr)> =
        endpoints.networks.iter().filter_map(|(name, ip)| Some((name.as_str(), (*ip)?))).collect();
    attached.sort_by_key(|(name, ip)| (ip.is_ipv6(), *name, *ip));
    if let Some((_, ip)) = attached.iter().find(|(_, ip)| here.reaches(*ip)) {
        return Ok(Choice { address: SocketAddr::new(*ip, port), published: false });
    }
    on_host(endpoints, port, here).map_err(|problem| match problem {
        NoAddress::NotPublished { .. } if attached.is_empty() => NoAddress::NotAttached { port },
        NoAddress::NotPublished { .. } => NoAddress::OutOfReach {
            networks: attached.iter().map(|(name, _)| (*name).to_owned()).collect(),
            port,
        },
        other => other,
    })
}

fn on_network(endpoints: &Endpoints<'_>, network: &str) -> Result<IpAddr, NoAddress> {
    let mut addresses = endpoints.networks.iter().filter(|(name, _)| name == network).peekable();
    if addresses.peek().is_none() {
        let known = endpoints.networks.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
        return Err(NoAddress::NotOnNetwork {
            network: network.to_owned(),
            known: known.into_iter().collect(),
        });
    }
    addresses
        .filter_map(|(_, ip)| *ip)
        .min_by_key(IpAddr::is_ipv6)
        .ok_or_else(|| NoAddress::NoAddressOn { network: network.to_owned() })
}

fn on_host(endpoints: &Endpoints<'_>, port: u16, here: &Vantage) -> Result<Choice, NoAddress> {
    let mut bound: Vec<SocketAddr> =
        endpoints.published.iter().filter(|(inside, _)| *inside == port).map(|(_, at)| *at).collect();
    if bound.is_empty() {
        let published: BTreeSet<u16> = endpoints.published.iter().map(|(inside, _)| *inside).collect();
        return Err(NoAddress::NotPublished { port, published: published.into_iter().collect() });
    }
    bound.sort_by_key(|at| (at.is_ipv6(), !at.ip().is_unspecified(), *at));
    bound
        .into_iter()
        .find_map(|at| here.dial_published(at))
        .map(|address| Choice { address, published: true })
        .ok_or(NoAddress::PublishedOnLoopback { port })
}

fn listed(values: &[u16]) -> String {
    join(values, "none")
}

fn names(values: &[String]) -> String {
    join(&values.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>(), "no network")
}

fn join(values: &[impl Display], none: &str) -> String {
    if values.is_empty() {
        return none.to_owned();
    }
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    //! Trap 39: each way of being attached has one right address, or a clear error.

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn port(port: u16) -> Option<NonZeroU16> {
        NonZeroU16::new(port)
    }

    #[derive(Default)]
    struct Case {
        networks: Vec<(String, Option<IpAddr>)>,
        published: Vec<(u16, SocketAddr)>,
        exposed: Vec<u16>,
    }

    impl Case {
        fn on(mut self, name: &str, address: &str) -> Self {
            self.networks.push((name.to_owned(), Some(ip(address))));
            self
        }

        fn publishing(mut self, inside: u16, outside: &str) -> Self {
            self.published.push((inside, at(outside)));
            self
        }

        fn exposing(mut self, ports: &[u16]) -> Self {
            self.exposed = ports.to_vec();
            self
        }

        fn choose(
            &self,
            attachment: Attachment,
            policy: &AddressPolicy,
            port: Option<NonZeroU16>,
            here: &Vantage,
        ) -> Result<Choice, NoAddress> {
            let endpoints = Endpoints {
                attachment,
                networks: &self.networks,
                published: &self.published,
                exposed: &self.exposed,
            };
            choose(&endpoints, policy, port, here)
        }

        fn auto(&self, port: Option<NonZeroU16>, here: &Vantage) -> Result<Choice, NoAddress> {
            self.choose(Attachment::Own, &AddressPolicy::Auto, port, here)
        }
    }

    fn reaching(routes: &[&str]) -> Vantage {
        Vantage {
            routes: Some(routes.iter().map(|route| route.parse().unwrap()).collect()),
            host: ip("127.0.0.1"),
        }
    }

    fn own(address: &str) -> Result<Choice, NoAddress> {
        Ok(Choice { address: at(address), published: false })
    }

    fn published(address: &str) -> Result<Choice, NoAddress> {
        Ok(Choice { address: at(address), published: true })
    }

    #[test]
    fn trap_39_of_several_networks_one_that_is_reached() {
        let case = Case::default().on("back", "172.20.0.2").on("front", "172.21.0.2");
        assert_eq!(case.auto(port(80), &reaching(&["172.21.0.0/16"])), own("172.21.0.2:80"));
        assert_eq!(case.auto(port(80), &Vantage::ON_HOST), own("172.20.0.2:80"), "the first by name");
        let turned = Case::default().on("front", "172.21.0.2").on("back", "172.20.0.2");
        assert_eq!(turned.auto(port(80), &Vantage::ON_HOST), own("172.20.0.2:80"), "whatever the order");
    }

    #[test]
    fn trap_39_the_host_network_is_loopback_or_the_gateway() {
        let case = Case::default().exposing(&[8123]);
        for policy in [AddressPolicy::Auto, AddressPolicy::Published] {
            let choice = case.choose(Attachment::Host, &policy, None, &Vantage::ON_HOST);
            assert_eq!(choice, own("127.0.0.1:8123"));
        }
        let inside = Vantage { routes: None, host: ip("172.17.0.1") };
        let choice = case.choose(Attachment::Host, &AddressPolicy::Auto, port(32400), &inside);
        assert_eq!(choice, own("172.17.0.1:32400"));
    }

    #[test]
    fn trap_39_no_network_is_an_error() {
        for policy in [AddressPolicy::Auto, AddressPolicy::Published] {
            let choice = Case::default().choose(Attachment::None, &policy, port(80), &Vantage::ON_HOST);
            assert_eq!(choice, Err(NoAddress::NoNetwork));
        }
    }

    #[test]
    fn trap_39_ipv6_only() {
        let case = Case::default().on("six", "fd00::2");
        assert_eq!(case.auto(port(80), &reaching(&["fd00::/64"])), own("[fd00::2]:80"));
        let both = Case::default().on("net", "fd00::2").on("net", "172.20.0.2");
        assert_eq!(both.auto(port(80), &Vantage::ON_HOST), own("172.20.0.2:80"), "IPv4 where both answer");
    }

    #[test]
    fn trap_39_only_a_published_port() {
        let case = Case::default().on("far", "10.9.0.2").publishing(80, "0.0.0.0:8080");
        let here = reaching(&["172.17.0.0/16"]);
        assert_eq!(case.auto(port(80), &here), published("127.0.0.1:8080"));
        let six = Case::default().publishing(80, "[::]:8080");
        assert_eq!(six.auto(port(80), &here), published("[::1]:8080"));
        let address = Case::default().publishing(80, "192.168.1.5:8080");
        assert_eq!(address.auto(port(80), &here), published("192.168.1.5:8080"));
        let both = Case::default().publishing(80, "[::]:8081").publishing(80, "0.0.0.0:8080");
        assert_eq!(both.auto(port(80), &here), published("127.0.0.1:8080"));
    }

    #[test]
    fn trap_39_wakedock_itself_in_a_container() {
        let inside = Vantage { routes: Some(vec!["172.18.0.0/16".parse().unwrap()]), host: ip("172.18.0.1") };
        let shared = Case::default().on("app", "172.19.0.2").on("edge", "172.18.0.7");
        assert_eq!(shared.auto(port(80), &inside), own("172.18.0.7:80"));
        let wide = Case::default().on("app", "172.19.0.2").publishing(80, "0.0.0.0:8080");
        assert_eq!(wide.auto(port(80), &inside), published("172.18.0.1:8080"));
        let narrow = Case::default().on("app", "172.19.0.2").publishing(80, "127.0.0.1:8080");
        assert_eq!(narrow.auto(port(80), &inside), Err(NoAddress::PublishedOnLoopback { port: 80 }));
    }

    #[test]
    fn trap_39_out_of_reach_names_the_networks() {
        let case = Case::default().on("app", "172.19.0.2");
        let error = case.auto(port(80), &reaching(&["172.17.0.0/16"])).unwrap_err();
        assert_eq!(error, NoAddress::OutOfReach { networks: vec!["app".to_owned()], port: 80 });
        assert!(error.to_string().contains("`app`"), "{error}");
        let off = Case { networks: vec![("app".to_owned(), None)], ..Case::default() };
        assert_eq!(off.auto(port(80), &Vantage::ON_HOST), Err(NoAddress::NotAttached { port: 80 }));
    }

    #[test]
    fn the_published_port_where_asked_for() {
        let case = Case::default().on("net", "172.20.0.2").publishing(80, "0.0.0.0:8080");
        let choose = |port| case.choose(Attachment::Own, &AddressPolicy::Published, port, &Vantage::ON_HOST);
        assert_eq!(choose(port(80)), published("127.0.0.1:8080"));
        assert_eq!(choose(None), published("127.0.0.1:8080"), "the only one published");
        assert_eq!(choose(port(81)), Err(NoAddress::NotPublished { port: 81, published: vec![80] }));
    }

    #[test]
    fn the_network_that_was_named() {
        let case = Case::default().on("back", "172.20.0.2").on("front", "172.21.0.2");
        let choose = |name: &str| {
            let policy = AddressPolicy::Network(name.to_owned());
            case.choose(Attachment::Own, &policy, port(80), &reaching(&["172.20.0.0/16"]))
        };
        assert_eq!(choose("front"), own("172.21.0.2:80"), "also where no route is seen");
        let error = choose("side").unwrap_err();
        assert!(error.to_string().ends_with("but on `back`, `front`"), "{error}");
    }

    #[test]
    fn the_port_that_is_exposed_where_it_is_the_only_one() {
        let auto = |case: Case| case.on("net", "172.20.0.2").auto(None, &Vantage::ON_HOST);
        assert_eq!(auto(Case::default().exposing(&[3000])), own("172.20.0.2:3000"));
        assert_eq!(auto(Case::default().publishing(9000, "0.0.0.0:1")), own("172.20.0.2:9000"));
        assert_eq!(auto(Case::default()), Err(NoAddress::NoPort));
        let several = auto(Case::default().exposing(&[80, 443])).unwrap_err();
        assert_eq!(
            several.to_string(),
            "the container exposes the ports 80, 443: set `port` to the one to use"
        );
    }
}
