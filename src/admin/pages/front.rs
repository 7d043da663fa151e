//! Where browsers reach the services: what stands in front of them, by its scheme and its port.

use std::net::SocketAddr;

use crate::config::{CaddyConfig, CaddyMode, CaddyTls};
use crate::domain::host::HostPattern;
use crate::domain::service::ServiceSpec;
use crate::html::dashboard::overview::Link;

/// What stands in front of the services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Front {
    /// Empty: the one that the dashboard itself came by.
    scheme: &'static str,
    /// `None`: the usual one of the scheme.
    port: Option<u16>,
}

impl Front {
    /// Caddy, by what it is told to serve. Without Caddy: whatever the dashboard itself came
    /// through, where that is in front of the services too (`through`: the port it is asked at), and
    /// else the proxy.
    pub(super) fn of(caddy: &CaddyConfig, proxy: Option<SocketAddr>, through: Option<Option<u16>>) -> Self {
        let usual = |scheme, port, usual| Self { scheme, port: (port != usual).then_some(port) };
        match (caddy.mode, through, proxy) {
            (CaddyMode::Managed | CaddyMode::File, ..) if caddy.tls == CaddyTls::Off => {
                usual("http:", caddy.http_port, 80)
            }
            (CaddyMode::Managed | CaddyMode::File, ..) => usual("https:", caddy.https_port, 443),
            (CaddyMode::Off, Some(port), _) => Self { scheme: "", port },
            (CaddyMode::Off, None, Some(proxy)) => usual("http:", proxy.port(), 80),
            (CaddyMode::Off, None, None) => Self { scheme: "", port: None },
        }
    }

    /// The address of a host.
    pub(super) fn address(&self, host: &str, path: &str) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}//{host}{port}{}", self.scheme, if path.is_empty() { "/" } else { path })
    }

    /// The addresses of a service. One for any name at all is none.
    pub(super) fn links(&self, spec: &ServiceSpec) -> Vec<Link> {
        let path = spec.path.as_deref().unwrap_or_default();
        let exact = spec.hosts.iter().filter_map(|host| match host {
            HostPattern::Exact(host) => Some(host.as_str()),
            HostPattern::Wildcard(_) => None,
        });
        exact.map(|host| Link { href: self.address(host, path), text: format!("{host}{path}") }).collect()
    }

    /// What asks for a host on this machine, word for word.
    pub(super) fn command(&self, host: &str) -> String {
        let local = host == "localhost" || host.ends_with(".localhost");
        let address = self.address(host, "");
        let address = if self.scheme.is_empty() { format!("http:{address}") } else { address };
        let mut command = "curl ".to_owned();
        if self.scheme == "https:" {
            // Nobody but Caddy itself vouches for such a name.
            if local {
                command.push_str("--insecure ");
            }
        }
        if !local {
            let usual = if self.scheme == "https:" { 443 } else { 80 };
            // Whatever the name leads to, and whether it leads anywhere yet.
            command.push_str(&format!("--resolve {host}:{}:127.0.0.1 ", self.port.unwrap_or(usual)));
        }
        command + &address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caddy(mode: CaddyMode, tls: CaddyTls, http_port: u16, https_port: u16) -> CaddyConfig {
        CaddyConfig { mode, tls, http_port, https_port, ..CaddyConfig::default() }
    }

    #[test]
    fn addresses_are_those_that_caddy_serves() {
        use CaddyMode::{File, Managed};
        let proxy = Some("127.0.0.1:7080".parse().unwrap());
        for (config, address) in [
            (caddy(Managed, CaddyTls::Auto, 80, 443), "https://a.example.com/"),
            (caddy(Managed, CaddyTls::Auto, 80, 8443), "https://a.example.com:8443/"),
            (caddy(Managed, CaddyTls::Internal, 8080, 443), "https://a.example.com/"),
            (caddy(Managed, CaddyTls::Off, 80, 443), "http://a.example.com/"),
            (caddy(Managed, CaddyTls::Off, 8080, 443), "http://a.example.com:8080/"),
            (caddy(File, CaddyTls::Off, 8080, 443), "http://a.example.com:8080/"),
            (caddy(File, CaddyTls::Auto, 80, 443), "https://a.example.com/"),
        ] {
            // Whatever the dashboard itself came through.
            for through in [None, Some(Some(9))] {
                assert_eq!(Front::of(&config, proxy, through).address("a.example.com", ""), address);
            }
        }
    }

    #[test]
    fn without_caddy_the_proxy_itself_or_what_the_dashboard_came_through() {
        let off = caddy(CaddyMode::Off, CaddyTls::Auto, 80, 443);
        let proxy = |address: &str| Some(address.parse().unwrap());
        for (proxy, through, address) in [
            (proxy("127.0.0.1:7080"), None, "http://a.localhost:7080/x"),
            (proxy("0.0.0.0:80"), None, "http://a.localhost/x"),
            (proxy("127.0.0.1:7080"), Some(None), "//a.localhost/x"),
            (proxy("127.0.0.1:7080"), Some(Some(8443)), "//a.localhost:8443/x"),
            (None, None, "//a.localhost/x"),
        ] {
            assert_eq!(Front::of(&off, proxy, through).address("a.localhost", "/x"), address);
        }
    }

    #[test]
    fn a_command_needs_no_name_server_and_no_certificate() {
        let of = |tls, http_port| Front::of(&caddy(CaddyMode::Managed, tls, http_port, 443), None, None);
        assert_eq!(of(CaddyTls::Off, 8080).command("hi.localhost"), "curl http://hi.localhost:8080/");
        assert_eq!(of(CaddyTls::Auto, 80).command("hi.localhost"), "curl --insecure https://hi.localhost/");
        assert_eq!(
            of(CaddyTls::Auto, 80).command("hi.example.com"),
            "curl --resolve hi.example.com:443:127.0.0.1 https://hi.example.com/"
        );
        assert_eq!(
            of(CaddyTls::Off, 8080).command("hi.example.com"),
            "curl --resolve hi.example.com:8080:127.0.0.1 http://hi.example.com:8080/"
        );
        let off = Front::of(&caddy(CaddyMode::Off, CaddyTls::Auto, 80, 443), None, Some(None));
        assert_eq!(off.command("hi.localhost"), "curl http://hi.localhost/");
    }
}
