//! What holds where nothing is written.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::{
    ADMIN_SOCKET, AdminConfig, CaddyAddress, CaddyConfig, CaddyMode, CaddyTls, Config, DockerConfig,
    DockerHost, ForwardAuth, ForwardRoles, HistoryConfig, Listen, LogConfig, LogFormat, OidcConfig,
    ProxyConfig, ProxyLimits, ProxyTimeouts, ShutdownConfig,
};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

impl Default for Config {
    fn default() -> Self {
        Self {
            domain: None,
            data_dir: PathBuf::from("/var/lib/wakedock"),
            proxy: ProxyConfig::default(),
            admin: AdminConfig::default(),
            caddy: CaddyConfig::default(),
            docker: DockerConfig {
                host: DockerHost::Unix(PathBuf::from("/var/run/docker.sock")),
                labels: true,
                image_labels: false,
                wildcard_labels: false,
                keep_removed: seconds(24 * 60 * 60),
            },
            history: HistoryConfig { keep: seconds(90 * 24 * 60 * 60), max_size: 64 << 20 },
            log: LogConfig { level: tracing::Level::INFO, format: LogFormat::Text, access: false },
            shutdown: ShutdownConfig { grace: seconds(30), stop_services: false },
            services: Vec::new(),
        }
    }
}

fn loopbacks() -> Vec<IpNet> {
    vec![
        IpNet::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST)),
        IpNet::from(std::net::IpAddr::from(std::net::Ipv6Addr::LOCALHOST)),
    ]
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: loopback(7081),
            host: None,
            hosts: Vec::new(),
            socket: Some(PathBuf::from(ADMIN_SOCKET)),
            socket_group: None,
            trusted_proxies: loopbacks(),
            metrics_auth: false,
            cors_origins: Vec::new(),
            forward_auth: ForwardAuth::default(),
            oidc: OidcConfig::default(),
        }
    }
}

impl Default for ForwardAuth {
    fn default() -> Self {
        Self {
            proxies: Vec::new(),
            user: "remote-user".to_owned(),
            groups: "remote-groups".to_owned(),
            roles: ForwardRoles::default(),
        }
    }
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            listen: vec![
                Listen::Unix(PathBuf::from("/run/wakedock/proxy.sock")),
                Listen::Tcp(loopback(7080)),
            ],
            socket_mode: 0o660,
            socket_group: None,
            trusted_proxies: loopbacks(),
            max_held: 10_000,
            timeouts: ProxyTimeouts {
                head: Some(seconds(10)),
                keep_alive: Some(seconds(75)),
                body: Some(seconds(60)),
                connect: Some(seconds(5)),
                response_head: Some(seconds(600)),
                write: Some(seconds(300)),
            },
            limits: ProxyLimits {
                head: 64 << 10,
                fields: 200,
                target: 32 << 10,
                connections: 20_000,
                connections_per_address: 2_000,
                streams: 256,
            },
        }
    }
}

impl Default for CaddyConfig {
    fn default() -> Self {
        Self {
            mode: CaddyMode::Managed,
            admin: CaddyAddress::Tcp("127.0.0.1:2019".to_owned()),
            file: PathBuf::from("/etc/caddy/wakedock.caddy"),
            extra: None,
            take_over: false,
            tls: CaddyTls::Auto,
            http_port: 80,
            https_port: 443,
        }
    }
}
