//! Caddy: what is rendered, and what the real one makes of it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too, may fail a test")]

mod dashboard;
mod protocols;
mod publish;
mod real;
mod recorded;
mod render;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

use wakedock::caddy::sites::{OwnAddresses, Sites};
use wakedock::config::{CaddyAddress, CaddyConfig, CaddyMode, CaddyTls, Listen};
use wakedock::domain::host::HostPattern;

fn hosts(names: &[&str]) -> Vec<HostPattern> {
    names.iter().map(|name| HostPattern::parse(name).unwrap()).collect()
}

fn own() -> OwnAddresses {
    OwnAddresses {
        proxy: Listen::Unix("/run/wakedock/proxy.sock".into()),
        admin: SocketAddr::from(([127, 0, 0, 1], 7081)),
    }
}

fn sites(names: &[&str]) -> Sites {
    Sites { hosts: hosts(names).into_iter().collect(), own: own(), dashboard: None }
}

fn config() -> CaddyConfig {
    CaddyConfig {
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
