//! WakeDock as a process, with a configuration and a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::api::Api;
use super::caddy::Caddy;
use super::http::{Answer, Request, Target};
use super::inherit::Sockets;
use super::process::Process;
use super::{eventually, metrics};

/// How long WakeDock may take from its start to its readiness.
const START: Duration = Duration::from_secs(15);

/// The binary under test: `WAKEDOCK_BIN`, else the one cargo built along with the tests.
fn binary() -> PathBuf {
    std::env::var_os("WAKEDOCK_BIN").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_wakedock")),
        |path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path),
    )
}

/// A command of the binary under test without the surroundings' own `WAKEDOCK_…`.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    clean(&mut command);
    command.args(arguments);
    command
}

fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WAKEDOCK_") {
            command.env_remove(name);
        }
    }
}

/// What WakeDock shall be configured like.
#[must_use]
pub struct Builder {
    folder: TempDir,
    config: Value,
    env: Vec<(String, String)>,
    inherited: bool,
}

impl Builder {
    /// Sets a value by its dotted path: `set("proxy.max_held", 5)`.
    pub fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        let mut at = &mut self.config;
        for key in path.split('.') {
            at = &mut at[key];
        }
        *at = value.into();
        self
    }

    /// Adds a service, in the words of the configuration.
    pub fn service(mut self, service: Value) -> Self {
        self.config["services"].as_array_mut().expect("a list of services").push(service);
        self
    }

    /// Publishes to this Caddy, without TLS.
    pub fn caddy(mut self, caddy: &Caddy) -> Self {
        self.config["caddy"] = json!({
            "mode": "managed",
            "admin": format!("http://{}", caddy.admin().tcp()),
            "tls": "off",
            "http_port": caddy.http().tcp().port(),
            "https_port": caddy.https_port(),
        });
        self
    }

    /// Reaches the engine by this socket.
    pub fn docker_socket(self, socket: &Path) -> Self {
        self.set("docker.host", format!("unix://{}", socket.display()))
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Hands over listening sockets that stay open between restarts, as systemd does.
    pub fn with_inherited_sockets(self) -> Self {
        Self { inherited: true, ..self }
    }

    /// Where its state will be.
    pub fn data_dir(&self) -> PathBuf {
        PathBuf::from(self.config["data_dir"].as_str().expect("a folder"))
    }

    /// Starts it and waits until it is ready.
    pub fn start(self) -> WakeDock {
        let sockets = self.inherited.then(|| Sockets::listen(&self.folder.path().join("proxy.sock")));
        write_atomically(&self.folder.path().join("config.yml"), &pretty(&self.config));
        let process = launch(self.folder.path(), &self.env, sockets.as_ref());
        let mut dock = WakeDock {
            process,
            listeners: Listeners::default(),
            config: self.config,
            env: self.env,
            sockets,
            folder: self.folder,
        };
        dock.await_ready();
        dock
    }

    /// Starts it with a configuration that it ought to refuse: how it ended and what it wrote.
    pub fn start_refused(self) -> (ExitStatus, String) {
        write_atomically(&self.folder.path().join("config.yml"), &pretty(&self.config));
        let mut process = launch(self.folder.path(), &self.env, None);
        (process.wait(START), process.output())
    }
}

/// Where it says that it listens.
#[derive(Default)]
struct Listeners {
    proxy_tcp: Option<Target>,
    proxy_unix: Option<Target>,
    admin: Option<Target>,
}

impl Listeners {
    /// From lines like `{"message":"listening","listener":"proxy","address":"127.0.0.1:80",…}`.
    fn read(log: &str) -> Self {
        let mut listeners = Self::default();
        for line in log.lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            if line["message"] != "listening" {
                continue;
            }
            let address = line["address"].as_str().unwrap_or_default();
            let target = match address.strip_prefix("unix:") {
                Some(path) => Some(Target::Unix(PathBuf::from(path))),
                None => address.parse().ok().map(Target::Tcp),
            };
            match (line["listener"].as_str(), &target) {
                (Some("proxy"), Some(Target::Unix(_))) => listeners.proxy_unix = target,
                (Some("proxy"), Some(Target::Tcp(_))) => listeners.proxy_tcp = target,
                (Some("admin"), Some(Target::Tcp(_))) => listeners.admin = target,
                _ => {}
            }
        }
        listeners
    }
}

/// A running WakeDock. Dropping it kills it and removes its folder.
pub struct WakeDock {
    process: Process,
    listeners: Listeners,
    config: Value,
    env: Vec<(String, String)>,
    sockets: Option<Sockets>,
    folder: TempDir,
}

impl WakeDock {
    /// Listens on free ports and a unix socket, logs JSON, knows no service and no Caddy.
    pub fn builder() -> Builder {
        let folder = tempfile::Builder::new().prefix("wakedock-").tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = json!({
            "data_dir": path("data"),
            "proxy": { "listen": [format!("unix:{}", path("proxy.sock")), "127.0.0.1:0"] },
            "admin": { "listen": "127.0.0.1:0", "socket": path("admin.sock") },
            "caddy": { "mode": "off" },
            "docker": { "host": "unix:///var/run/docker.sock", "labels": false },
            "log": { "level": "info", "format": "json" },
            "services": [],
        });
        Builder { folder, config, env: Vec::new(), inherited: false }
    }

    fn await_ready(&mut self) {
        let process = &mut self.process;
        self.listeners = eventually(START, "WakeDock says where it listens", || {
            if let Some(status) = process.ended() {
                panic!("WakeDock ended with {status}");
            }
            let found = Listeners::read(&process.output());
            (found.proxy_tcp.is_some() && found.proxy_unix.is_some() && found.admin.is_some())
                .then_some(found)
        });
        eventually(START, "/readyz answers 200", || {
            let answer = Request::get("admin", "/readyz").send(&self.admin()).ok()?;
            (answer.status() == 200).then_some(())
        });
    }

    /// The proxy's TCP listener.
    pub fn proxy(&self) -> Target {
        self.listeners.proxy_tcp.clone().expect("a TCP listener")
    }

    /// The proxy's unix socket.
    pub fn proxy_unix(&self) -> Target {
        self.listeners.proxy_unix.clone().expect("a unix listener")
    }

    pub fn admin(&self) -> Target {
        self.listeners.admin.clone().expect("an admin listener")
    }

    /// The admin side's local socket.
    pub fn admin_unix(&self) -> Target {
        let path = self.config["admin"]["socket"].as_str().expect("a local socket");
        Target::Unix(PathBuf::from(path))
    }

    /// Its API over the local socket.
    pub fn api(&self) -> Api {
        Api::local(self)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("config.yml")
    }

    /// Asks for `path` of the service at `host`, through the proxy's TCP listener.
    pub fn get(&self, host: &str, path: &str) -> Answer {
        self.send(&Request::get(host, path))
    }

    /// Sends `request` through the proxy's TCP listener.
    pub fn send(&self, request: &Request) -> Answer {
        request.send(&self.proxy()).unwrap_or_else(|problem| panic!("{request:?}: {problem}"))
    }

    /// Asks the admin listener.
    pub fn ask(&self, path: &str) -> Answer {
        Request::get("admin", path).send(&self.admin()).unwrap_or_else(|problem| panic!("{path}: {problem}"))
    }

    /// `/metrics`.
    pub fn metrics(&self) -> String {
        let answer = self.ask("/metrics");
        assert_eq!(answer.status(), 200, "/metrics: {}", answer.text());
        answer.text()
    }

    /// One value of `/metrics`; several samples that fit are added up.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        metrics::value(&self.metrics(), name, labels)
    }

    /// The phase of a service as `/metrics` tells it.
    pub fn phase(&self, service: &str) -> Option<&'static str> {
        let metrics = self.metrics();
        ["asleep", "waking", "ready", "stopping", "failed"].into_iter().find(|phase| {
            let labels = [("service", service), ("phase", *phase)];
            metrics::value(&metrics, "wakedock_service_phase", &labels) == Some(1.0)
        })
    }

    pub fn wait_phase(&self, service: &str, phase: &str, within: Duration) {
        let reason = format!("service {service} is {phase}");
        eventually(within, &reason, || (self.phase(service) == Some(phase)).then_some(()));
    }

    /// Changes the configuration file at one stroke, as a careful editor does.
    pub fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.config);
        self.write_config(&pretty(&self.config));
    }

    /// Writes any text as the configuration file.
    pub fn write_config(&self, text: &str) {
        write_atomically(&self.config_path(), text);
    }

    /// What this process logged so far.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Log lines with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Where its log says that the first user is made.
    pub fn set_up_path(&self) -> String {
        let log = self.log();
        let (_, rest) = log.split_once("/setup?token=").expect("a set-up link in the log");
        let of_token = |letter: &char| letter.is_ascii_alphanumeric() || "-_".contains(*letter);
        let token: String = rest.chars().take_while(of_token).collect();
        format!("/setup?token={token}")
    }

    pub fn rss_kb(&self) -> u64 {
        self.process.rss_kb()
    }

    pub fn anonymous_kb(&self) -> u64 {
        self.process.anonymous_kb()
    }

    pub fn hup(&self) {
        self.process.hup();
    }

    /// SIGTERM, and waits for the end.
    pub fn term(&mut self) -> ExitStatus {
        self.process.term();
        self.process.wait(Duration::from_secs(45))
    }

    /// SIGKILL.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Starts it again after its end, with the same folder, and waits until it is ready.
    pub fn start_again(&mut self) {
        self.launch_again();
        self.await_ready();
    }

    /// SIGTERM and a new start.
    pub fn restart(&mut self) {
        self.term();
        self.start_again();
    }

    /// Starts it again after its end, without waiting.
    pub fn launch_again(&mut self) {
        assert!(self.process.ended().is_some(), "it is running");
        self.process = launch(self.folder.path(), &self.env, self.sockets.as_ref());
    }
}

fn launch(folder: &Path, env: &[(String, String)], sockets: Option<&Sockets>) -> Process {
    let log = folder.join("wakedock.log");
    let config = folder.join("config.yml");
    let serve = |command: &mut Command| {
        clean(command);
        command.arg("serve").arg("--config").arg(&config).current_dir(folder);
        command.envs(env.iter().map(|(name, value)| (name, value)));
    };
    match sockets {
        None => {
            let mut command = Command::new(binary());
            serve(&mut command);
            Process::start(&mut command, &log, || ())
        }
        Some(sockets) => {
            let (mut command, let_through) = sockets.hand_to(&binary());
            serve(&mut command);
            Process::start(&mut command, &log, let_through)
        }
    }
}

/// JSON is YAML.
fn pretty(config: &Value) -> String {
    serde_json::to_string_pretty(config).expect("JSON")
}

fn write_atomically(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).expect("a file in a folder of our own");
    std::fs::rename(&new, path).expect("a file in a folder of our own");
}

#[test]
fn the_log_says_where_it_listens() {
    let log = concat!(
        "starting\n",
        r#"{"time":"t","level":"INFO","message":"listening","listener":"proxy","address":"127.0.0.1:4000"}"#,
        "\n",
        r#"{"message":"listening","listener":"proxy","address":"unix:/tmp/p.sock"}"#,
        "\n",
        r#"{"message":"listening","listener":"admin","address":"[::1]:4001"}"#,
    );
    let found = Listeners::read(log);
    assert_eq!(found.proxy_tcp, Some(Target::Tcp("127.0.0.1:4000".parse().unwrap())));
    assert_eq!(found.proxy_unix, Some(Target::Unix("/tmp/p.sock".into())));
    assert_eq!(found.admin, Some(Target::Tcp("[::1]:4001".parse().unwrap())));
}
