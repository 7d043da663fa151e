//! Kinds that name places on a network: listeners, networks, the APIs of Caddy and Docker.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use figment::value::Value;
use ipnet::IpNet;
use serde_json::{Value as Json, json};

use super::plain::path_text;
use super::{Kind, text};
use crate::config::problem::{Fault, Faults};
use crate::config::{CaddyAddress, DockerHost, Listen};
use crate::domain::host::Hostname;

/// The kernel's own bound on a unix socket's path, without its final zero.
const LONGEST_SOCKET_PATH: usize = 107;

/// `address:port`.
pub(in crate::config) struct SocketAddress;

impl Kind for SocketAddress {
    type Value = SocketAddr;

    fn read(value: &Value) -> Result<SocketAddr, Faults> {
        Ok(socket_address(text(value)?)?)
    }

    fn show(value: &SocketAddr) -> Json {
        json!(value.to_string())
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(\\[[0-9a-fA-F:.]+\\]|[0-9.]+):[0-9]+$" })
    }

    fn describe() -> String {
        "`address:port`".to_owned()
    }
}

fn socket_address(text: &str) -> Result<SocketAddr, Fault> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let reason = "is not an IP address and port";
    if let Some(port) = text.strip_prefix(':').filter(|port| port.parse::<u16>().is_ok()) {
        return Err(Fault::new(
            reason,
            format!("write `0.0.0.0:{port}` for every address, or `127.0.0.1:{port}`"),
        ));
    }
    if let Some(port) = text.strip_prefix("localhost:") {
        return Err(Fault::new(reason, format!("write `127.0.0.1:{port}`")));
    }
    if text.parse::<u16>().is_ok() {
        return Err(Fault::new("is a port without an address", format!("write `127.0.0.1:{text}`")));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        let example = SocketAddr::new(address, 7080);
        return Err(Fault::new("has no port", format!("write it with one, like `{example}`")));
    }
    if text.contains("://") {
        return Err(Fault::new("is a URL, and an address is wanted", "write only `address:port`"));
    }
    let port = text.rsplit_once(':').map(|(_, port)| port);
    if port.is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_err()) {
        return Err(Fault::new("has a port outside 0 to 65535", "write `127.0.0.1:7080`, for example"));
    }
    Err(Fault::new(reason, "write it like `127.0.0.1:7080` or `[::1]:7080`"))
}

/// `unix:/path` or `address:port`.
pub(in crate::config) struct ListenAt;

impl Kind for ListenAt {
    type Value = Listen;

    fn read(value: &Value) -> Result<Listen, Faults> {
        let text = text(value)?;
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(socket_path(path).map(Listen::Unix)?);
        }
        if text.starts_with('/') {
            return Err(Fault::new("is a path without its kind", format!("write `unix:{text}`")).into());
        }
        Ok(socket_address(text).map(Listen::Tcp)?)
    }

    fn show(value: &Listen) -> Json {
        match value {
            Listen::Tcp(address) => json!(address.to_string()),
            Listen::Unix(path) => json!(format!("unix:{}", path.display())),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(unix:/.+|(\\[[0-9a-fA-F:.]+\\]|[0-9.]+):[0-9]+)$" })
    }

    fn describe() -> String {
        "`unix:/path` or `address:port`".to_owned()
    }
}

/// The path behind `unix:` or `unix://`.
pub(super) fn socket_path(text: &str) -> Result<PathBuf, Fault> {
    let path = path_text(text.strip_prefix("//").unwrap_or(text))?;
    if !path.starts_with('/') {
        return Err(Fault::new(
            "has a relative path",
            format!("write the whole path, like `unix:/run/{path}`"),
        ));
    }
    if let Some(odd) = path.chars().find(|c| c.is_whitespace() || "{}\"`#\\".contains(*c)) {
        let reason = format!("has a path with {odd:?}, which means something else in a Caddyfile");
        return Err(Fault::new(reason, "choose another one"));
    }
    if path.len() > LONGEST_SOCKET_PATH {
        let reason =
            format!("has a path longer than {LONGEST_SOCKET_PATH} characters, the most a socket can have");
        return Err(Fault::new(reason, "choose a shorter one"));
    }
    Ok(PathBuf::from(path))
}

/// A network (`10.0.0.0/8`) or one address.
pub(in crate::config) struct Network;

impl Kind for Network {
    type Value = IpNet;

    fn read(value: &Value) -> Result<IpNet, Faults> {
        let text = text(value)?;
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        Ok(network.map_err(|_| {
            Fault::new(
                "is not a network or an IP address",
                "write it like `10.0.0.0/8`, `fd00::/8` or `127.0.0.1`",
            )
        })?)
    }

    fn show(value: &IpNet) -> Json {
        json!(value.to_string())
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[0-9a-fA-F:.]+(/[0-9]{1,3})?$" })
    }

    fn describe() -> String {
        "network or IP address".to_owned()
    }
}

/// Where Caddy's admin API answers: `http://host:port` or `unix:/path`.
pub(in crate::config) struct CaddyAdmin;

impl Kind for CaddyAdmin {
    type Value = CaddyAddress;

    fn read(value: &Value) -> Result<CaddyAddress, Faults> {
        let text = text(value)?;
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(socket_path(path).map(CaddyAddress::Unix)?);
        }
        if text.starts_with("https://") {
            let reason = "is an https URL, and Caddy's admin API speaks plain HTTP";
            return Err(
                Fault::new(reason, "write `http://127.0.0.1:2019` or `unix:/run/caddy/admin.sock`").into()
            );
        }
        let Some(authority) = text.strip_prefix("http://") else {
            let mend = match host_and_port(text) {
                Ok(authority) => format!("write `http://{authority}`"),
                Err(_) => "write `http://127.0.0.1:2019` or `unix:/run/caddy/admin.sock`".to_owned(),
            };
            return Err(Fault::new("is not an http:// or unix: address", mend).into());
        };
        Ok(host_and_port(authority.strip_suffix('/').unwrap_or(authority)).map(CaddyAddress::Tcp)?)
    }

    fn show(value: &CaddyAddress) -> Json {
        match value {
            CaddyAddress::Tcp(authority) => json!(format!("http://{authority}")),
            CaddyAddress::Unix(path) => json!(format!("unix:{}", path.display())),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(http://.+|unix:/.+)$" })
    }

    fn describe() -> String {
        "`http://host:port` or `unix:/path`".to_owned()
    }
}

/// Where the engine's API answers: `unix:///path` or `tcp://host:port`.
pub(in crate::config) struct DockerApi;

impl Kind for DockerApi {
    type Value = DockerHost;

    fn read(value: &Value) -> Result<DockerHost, Faults> {
        let text = text(value)?;
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(socket_path(path).map(DockerHost::Unix)?);
        }
        if let Some(authority) = text.strip_prefix("tcp://") {
            let authority = authority.strip_suffix('/').unwrap_or(authority);
            return Ok(host_and_port(authority).map(DockerHost::Tcp)?);
        }
        let mend = match text.split_once("://") {
            Some(("http", authority)) => format!("write `tcp://{authority}`"),
            _ if text.starts_with('/') => format!("write `unix://{text}`"),
            _ => "write `unix:///var/run/docker.sock` or `tcp://127.0.0.1:2375`".to_owned(),
        };
        Err(Fault::new("is not a unix:// or tcp:// address", mend).into())
    }

    fn show(value: &DockerHost) -> Json {
        match value {
            DockerHost::Tcp(authority) => json!(format!("tcp://{authority}")),
            DockerHost::Unix(path) => json!(format!("unix://{}", path.display())),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(tcp://.+|unix:/.+)$" })
    }

    fn describe() -> String {
        "`unix:///path` or `tcp://host:port`".to_owned()
    }
}

/// Checks `host:port`, both of them there, and returns it in its plain form.
pub(super) fn host_and_port(text: &str) -> Result<String, Fault> {
    let mend = "write the host and the port, like `127.0.0.1:2019`";
    let Some((host, port)) = text.rsplit_once(':').filter(|(host, _)| !host.ends_with(':')) else {
        return Err(Fault::new("has no port", mend));
    };
    let host = Hostname::parse(host).map_err(|error| Fault::new(format!("has a host that {error}"), mend))?;
    let port: u16 = port
        .parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Fault::new("has a port outside 1 to 65535", mend))?;
    Ok(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        for text in ["unix:/run/a.sock", "127.0.0.1:0", "[::1]:7080"] {
            let listen = ListenAt::read(&text.into()).unwrap();
            assert_eq!(ListenAt::show(&listen), json!(text));
        }
        for text in ["http://127.0.0.1:2019", "http://[::1]:2019", "http://caddy:2019", "unix:/run/c.sock"] {
            let address = CaddyAdmin::read(&text.into()).unwrap();
            assert_eq!(CaddyAdmin::show(&address), json!(text));
        }
        for text in ["unix:///var/run/docker.sock", "tcp://socket-proxy:2375"] {
            let host = DockerApi::read(&text.into()).unwrap();
            assert_eq!(DockerApi::show(&host), json!(text));
        }
        assert_eq!(Network::show(&Network::read(&"127.0.0.1".into()).unwrap()), json!("127.0.0.1/32"));
    }

    #[test]
    fn faults_name_the_mend() {
        for (text, mend) in [
            (":7080", "0.0.0.0:7080"),
            ("localhost:7080", "127.0.0.1:7080"),
            ("7080", "127.0.0.1:7080"),
            ("127.0.0.1", "127.0.0.1:7080"),
            ("::1", "[::1]:7080"),
            ("127.0.0.1:70800", "127.0.0.1:7080"),
            ("/run/a.sock", "unix:/run/a.sock"),
            ("unix:a.sock", "unix:/run/a.sock"),
            ("http://127.0.0.1:80", "address:port"),
        ] {
            let fault = ListenAt::read(&text.into()).unwrap_err().0.remove(0);
            assert!(fault.mend.contains(mend), "{text}: {}", fault.mend);
        }
    }
}
