//! A Caddy of the test's own: it serves nothing until somebody publishes to it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Request, Target};
use super::process::Process;
use super::{eventually, free_port};

pub struct Caddy {
    process: Process,
    admin_port: u16,
    http_port: u16,
    https_port: u16,
    folder: TempDir,
}

impl Caddy {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("wakedock-caddy-").tempdir().expect("a folder");
        let (admin_port, http_port, https_port) = different_ports();
        let process = launch(&folder, admin_port);
        let caddy = Self { process, admin_port, http_port, https_port, folder };
        caddy.await_ready();
        caddy
    }

    pub fn admin(&self) -> Target {
        loopback(self.admin_port)
    }

    /// Where it serves HTTP once something is published.
    pub fn http(&self) -> Target {
        loopback(self.http_port)
    }

    pub fn https_port(&self) -> u16 {
        self.https_port
    }

    /// Where it keeps its files, its certificate authority among them.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends it; it stays away until [`Caddy::start_again`].
    pub fn stop(&mut self) {
        self.process.term();
        self.process.wait(Duration::from_secs(20));
    }

    /// Starts it again as it was first: without any published site.
    pub fn start_again(&mut self) {
        self.process = launch(&self.folder, self.admin_port);
        self.await_ready();
    }

    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// What it runs.
    pub fn config(&self) -> Value {
        // A load closes the connections of the admin API, also one that is just being made.
        let answer = eventually(Duration::from_secs(5), "Caddy's admin API answers", || {
            Request::get(&self.admin_host(), "/config/").send(&self.admin()).ok()
        });
        assert_eq!(answer.status(), 200, "/config/: {}", answer.text());
        answer.json()
    }

    /// Makes it run a Caddyfile.
    pub fn load(&self, caddyfile: &str) {
        let request =
            Request::post(&self.admin_host(), "/load", caddyfile).header("Content-Type", "text/caddyfile");
        let answer = request.send(&self.admin()).expect("Caddy's admin API");
        assert_eq!(answer.status(), 200, "/load: {}", answer.text());
    }

    /// Waits until it serves this host: until something answers that is not Caddy's empty page.
    pub fn wait_route(&self, host: &str, within: Duration) {
        eventually(within, &format!("Caddy routes {host}"), || {
            self.config().to_string().contains(&format!("\"{host}\"")).then_some(())
        });
    }

    /// How often it was given a configuration since it was started.
    pub fn loads(&mut self) -> usize {
        let log = self.process.output();
        let loads = log.lines().filter(|line| line.contains(r#""uri":"/load""#));
        loads.filter(|line| line.contains(r#""method":"POST""#)).count()
    }

    fn admin_host(&self) -> String {
        format!("127.0.0.1:{}", self.admin_port)
    }

    fn await_ready(&self) {
        eventually(Duration::from_secs(15), "Caddy's admin API answers", || {
            let asked = Request::get(&self.admin_host(), "/config/").send(&self.admin());
            asked.ok().filter(|answer| answer.status() == 200)
        });
    }
}

/// A port that is free is given out again until somebody has it.
fn different_ports() -> (u16, u16, u16) {
    loop {
        let ports = (free_port(), free_port(), free_port());
        if ports.0 != ports.1 && ports.1 != ports.2 && ports.0 != ports.2 {
            return ports;
        }
    }
}

fn loopback(port: u16) -> Target {
    Target::Tcp((Ipv4Addr::LOCALHOST, port).into())
}

/// The address of its admin API is all that it is told, so that no other Caddy is touched.
fn launch(folder: &TempDir, admin_port: u16) -> Process {
    let config = folder.path().join("caddy.json");
    let admin = json!({ "admin": { "listen": format!("127.0.0.1:{admin_port}") } });
    std::fs::write(&config, admin.to_string()).expect("a file in a folder of our own");
    let mut command = Command::new("caddy");
    command.arg("run").arg("--config").arg(&config);
    for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(variable, folder.path());
    }
    Process::start(&mut command, &folder.path().join("caddy.log"), || ())
}
