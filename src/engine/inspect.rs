//! The engine's answer to `inspect`, as far as WakeDock reads it.
//!
//! A record of our own, not bollard's model of the newest API: that one refuses the whole answer
//! over one word it does not know (Podman has states of its own), and is ten times as much to read
//! on the way of every wake.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::domain::time::Timestamp;
use crate::ports::{Container, ContainerId, ContainerState, Health, HealthCommand, NetworkMode};

/// What Docker grants a health command that names no timeout.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    id: String,
    name: String,
    created: Option<String>,
    state: State,
    #[serde(default)]
    config: Config,
    #[serde(default)]
    host_config: HostConfig,
    #[serde(default)]
    network_settings: NetworkSettings,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    #[serde(default)]
    status: String,
    #[serde(default)]
    running: bool,
    #[serde(default)]
    paused: bool,
    exit_code: Option<i64>,
    started_at: Option<String>,
    /// Podman's older versions say `Healthcheck`.
    #[serde(alias = "Healthcheck")]
    health: Option<HealthRecord>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthRecord {
    #[serde(default)]
    status: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    tty: bool,
    exposed_ports: Option<BTreeMap<String, IgnoredAny>>,
    healthcheck: Option<Healthcheck>,
    shell: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Healthcheck {
    test: Option<Vec<String>>,
    /// Nanoseconds.
    #[serde(default)]
    timeout: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    network_mode: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Endpoint>>,
    ports: Option<BTreeMap<String, Option<Vec<Binding>>>>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    #[serde(rename = "IPAddress", default)]
    v4: String,
    #[serde(rename = "GlobalIPv6Address", default)]
    v6: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Binding {
    #[serde(default)]
    host_ip: String,
    #[serde(default)]
    host_port: String,
}

impl Inspected {
    /// When it was made.
    pub(super) fn created(&self) -> Option<Timestamp> {
        self.created.as_deref().and_then(timestamp)
    }

    /// Whether it writes to a terminal: its log then is not framed.
    pub(super) fn tty(&self) -> bool {
        self.config.tty
    }

    pub(super) fn into_container(self) -> Container {
        let state = self.state.word();
        let off = matches!(state, ContainerState::Exited | ContainerState::Dead);
        Container {
            state,
            health: self.state.health.as_ref().and_then(|health| health_word(&health.status)),
            health_command: self.config.health_command(),
            started_at: self.state.started_at.as_deref().and_then(timestamp),
            exit_code: self.state.exit_code.filter(|_| off || state == ContainerState::Restarting),
            network_mode: network_mode(&self.host_config.network_mode),
            networks: self.network_settings.addresses(),
            published: self.network_settings.published(),
            exposed: self.config.exposed(),
            id: ContainerId(self.id),
            name: self.name.trim_start_matches('/').to_owned(),
        }
    }
}

impl State {
    fn word(&self) -> ContainerState {
        known_word(&self.status).unwrap_or(match (self.paused, self.running) {
            // A word of tomorrow's engine: the flags are as old as the API.
            (true, _) => ContainerState::Paused,
            (false, true) => ContainerState::Running,
            (false, false) => running_word(&self.status),
        })
    }
}

fn known_word(status: &str) -> Option<ContainerState> {
    match status {
        "created" | "configured" | "initialized" => Some(ContainerState::Created),
        "paused" => Some(ContainerState::Paused),
        "restarting" => Some(ContainerState::Restarting),
        "removing" => Some(ContainerState::Removing),
        "exited" | "stopped" => Some(ContainerState::Exited),
        "dead" => Some(ContainerState::Dead),
        _ => None,
    }
}

fn running_word(status: &str) -> ContainerState {
    match status {
        "running" | "stopping" => ContainerState::Running,
        _ => ContainerState::Exited,
    }
}

/// A state that comes as a word alone.
pub(super) fn state_word(status: &str) -> ContainerState {
    known_word(status).unwrap_or_else(|| running_word(status))
}

impl Config {
    fn health_command(&self) -> Option<HealthCommand> {
        let check = self.healthcheck.as_ref()?;
        let (kind, rest) = check.test.as_deref()?.split_first()?;
        let argv = match (kind.as_str(), rest) {
            ("CMD", argv @ [_, ..]) => argv.to_vec(),
            ("CMD-SHELL", [line]) => {
                let mut argv = match self.shell.as_deref() {
                    Some(shell @ [_, ..]) => shell.to_vec(),
                    _ => vec!["/bin/sh".to_owned(), "-c".to_owned()],
                };
                argv.push(line.clone());
                argv
            }
            _ => return None,
        };
        let timeout = u64::try_from(check.timeout).ok().filter(|nanos| *nanos > 0);
        Some(HealthCommand { argv, timeout: timeout.map_or(HEALTH_TIMEOUT, Duration::from_nanos) })
    }

    fn exposed(&self) -> Vec<u16> {
        let mut ports: Vec<u16> =
            self.exposed_ports.iter().flat_map(BTreeMap::keys).filter_map(|port| tcp_port(port)).collect();
        ports.sort_unstable();
        ports
    }
}

impl NetworkSettings {
    fn addresses(&self) -> Vec<(String, Option<IpAddr>)> {
        let mut found = Vec::new();
        for (name, endpoint) in self.networks.iter().flatten() {
            let addresses: Vec<IpAddr> =
                [&endpoint.v4, &endpoint.v6].into_iter().filter_map(|text| text.parse().ok()).collect();
            if addresses.is_empty() {
                found.push((name.clone(), None));
            }
            found.extend(addresses.into_iter().map(|address| (name.clone(), Some(address))));
        }
        found
    }

    fn published(&self) -> Vec<(u16, SocketAddr)> {
        let mut found = Vec::new();
        for (inside, bindings) in self.ports.iter().flatten() {
            let Some(inside) = tcp_port(inside) else { continue };
            for binding in bindings.iter().flatten() {
                // Podman writes "everywhere" as nothing.
                let ip = if binding.host_ip.is_empty() { "0.0.0.0" } else { &binding.host_ip };
                if let (Ok(ip), Ok(port)) = (ip.parse(), binding.host_port.parse()) {
                    found.push((inside, SocketAddr::new(ip, port)));
                }
            }
        }
        found.sort_unstable();
        found
    }
}

fn tcp_port(text: &str) -> Option<u16> {
    match text.split_once('/') {
        Some((port, "tcp")) => port.parse().ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

fn network_mode(text: &str) -> NetworkMode {
    match text {
        "host" => NetworkMode::Host,
        "none" => NetworkMode::None,
        _ => text
            .strip_prefix("container:")
            .map_or(NetworkMode::Own, |other| NetworkMode::Container(other.to_owned())),
    }
}

pub(super) fn health_word(text: &str) -> Option<Health> {
    match text {
        "starting" => Some(Health::Starting),
        "healthy" => Some(Health::Healthy),
        "unhealthy" => Some(Health::Unhealthy),
        _ => None,
    }
}

/// RFC 3339. The engine's "never" is the year 1.
fn timestamp(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.as_millisecond()).filter(|millis| *millis > 0).map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Container {
        serde_json::from_str::<Inspected>(text).unwrap().into_container()
    }

    fn with(state: &str, config: &str) -> Container {
        read(&format!(r#"{{"Id":"1","Name":"/a","State":{state},"Config":{config}}}"#))
    }

    #[test]
    fn reads_a_running_container() {
        let container = read(
            r#"{"Id":"abc","Name":"/shop-web-1","Created":"2026-01-01T00:00:00Z",
            "State":{"Status":"running","Running":true,"Paused":false,"ExitCode":0,
                "StartedAt":"2026-01-02T03:04:05.678901234Z","FinishedAt":"0001-01-01T00:00:00Z",
                "Health":{"Status":"starting","FailingStreak":0,"Log":null}},
            "Config":{"Tty":false,"ExposedPorts":{"8080/tcp":{},"53/udp":{},"443/tcp":{}},
                "Healthcheck":{"Test":["CMD","/check","-q"],"Interval":1000000000,"Timeout":3000000000}},
            "HostConfig":{"NetworkMode":"shop_default"},
            "NetworkSettings":{"Networks":{
                "shop_default":{"IPAddress":"172.20.0.2","GlobalIPv6Address":"fd00::2"},
                "idle":{"IPAddress":"","GlobalIPv6Address":""}},
              "Ports":{"8080/tcp":[{"HostIp":"0.0.0.0","HostPort":"80"},{"HostIp":"::","HostPort":"80"}],
                "443/tcp":null}}}"#,
        );
        assert_eq!(container.name, "shop-web-1");
        assert_eq!(container.state, ContainerState::Running);
        assert_eq!(container.health, Some(Health::Starting));
        assert_eq!(
            container.health_command,
            Some(HealthCommand {
                argv: vec!["/check".to_owned(), "-q".to_owned()],
                timeout: Duration::from_secs(3),
            })
        );
        assert_eq!(container.started_at, Some(Timestamp::from_millis(1_767_323_045_678)));
        assert_eq!(container.exit_code, None, "it has not ended");
        assert_eq!(container.network_mode, NetworkMode::Own);
        assert_eq!(
            container.networks,
            [
                ("idle".to_owned(), None),
                ("shop_default".to_owned(), Some("172.20.0.2".parse().unwrap())),
                ("shop_default".to_owned(), Some("fd00::2".parse().unwrap())),
            ]
        );
        assert_eq!(
            container.published,
            [(8080, "0.0.0.0:80".parse().unwrap()), (8080, "[::]:80".parse().unwrap())]
        );
        assert_eq!(container.exposed, [443, 8080]);
    }

    #[test]
    fn reads_containers_that_are_off() {
        let exited = with(r#"{"Status":"exited","ExitCode":137,"StartedAt":"0001-01-01T00:00:00Z"}"#, "{}");
        assert_eq!((exited.state, exited.exit_code), (ContainerState::Exited, Some(137)));
        assert_eq!(exited.started_at, None);
        let created = with(r#"{"Status":"created","ExitCode":0}"#, "{}");
        assert_eq!((created.state, created.exit_code), (ContainerState::Created, None));
    }

    /// Trap 23: words that only Podman, or only tomorrow's engine, says.
    #[test]
    fn trap_23_unknown_words_are_read_by_the_flags() {
        for (state, word) in [
            (r#"{"Status":"stopped"}"#, ContainerState::Exited),
            (r#"{"Status":"initialized"}"#, ContainerState::Created),
            (r#"{"Status":"stopping","Running":true}"#, ContainerState::Running),
            (r#"{"Status":"hibernating","Running":true}"#, ContainerState::Running),
            (r#"{"Status":"hibernating","Running":true,"Paused":true}"#, ContainerState::Paused),
            (r#"{"Status":"hibernating"}"#, ContainerState::Exited),
        ] {
            assert_eq!(with(state, "{}").state, word, "{state}");
        }
        let podman = with(r#"{"Status":"running","Healthcheck":{"Status":"healthy"}}"#, "{}");
        assert_eq!(podman.health, Some(Health::Healthy));
    }

    #[test]
    fn reads_health_commands() {
        let command = |config: &str| with(r#"{"Status":"running"}"#, config).health_command;
        let shell = command(r#"{"Healthcheck":{"Test":["CMD-SHELL","curl -f localhost"]}}"#).unwrap();
        assert_eq!(shell.argv, ["/bin/sh", "-c", "curl -f localhost"]);
        assert_eq!(shell.timeout, HEALTH_TIMEOUT);
        let own = command(r#"{"Healthcheck":{"Test":["CMD-SHELL","ok"]},"Shell":["/bin/ash","-ec"]}"#);
        assert_eq!(own.unwrap().argv, ["/bin/ash", "-ec", "ok"]);
        for none in ["{}", r#"{"Healthcheck":{"Test":["NONE"]}}"#, r#"{"Healthcheck":{"Test":[]}}"#] {
            assert_eq!(command(none), None, "{none}");
        }
        let state = r#"{"Status":"running","Health":{"Status":"none"}}"#;
        assert_eq!(with(state, "{}").health, None);
    }

    #[test]
    fn reads_network_modes() {
        assert_eq!(network_mode("host"), NetworkMode::Host);
        assert_eq!(network_mode("none"), NetworkMode::None);
        assert_eq!(network_mode("container:abc"), NetworkMode::Container("abc".to_owned()));
        assert_eq!(network_mode("bridge"), NetworkMode::Own);
        assert_eq!(network_mode(""), NetworkMode::Own);
    }
}
