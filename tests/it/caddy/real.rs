//! A real Caddy for a test: its own ports and directories, ended by its own process id.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use wakedock::caddy::admin::Client;
use wakedock::config::{CaddyAddress, CaddyConfig, CaddyTls};
use wakedock::ports::CaddyAdmin;

use super::config;

/// Without a `PATH` Caddy finds nothing to put its certificates into the system's store with.
fn command(home: &Path) -> Command {
    let binary = std::env::var_os("WAKEDOCK_TEST_CADDY").unwrap_or_else(|| "/usr/bin/caddy".into());
    let mut command = Command::new(binary);
    command.env_clear().env("HOME", home).env("XDG_DATA_HOME", home).env("XDG_CONFIG_HOME", home);
    command
}

pub(super) struct Output {
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs one of Caddy's commands.
pub(super) fn caddy(args: &[&str], input: &str) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut child = command(home.path())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("these tests need Caddy: install it, or name it in WAKEDOCK_TEST_CADDY");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Output {
        success: output.status.success(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A port that nobody listens on.
pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(super) struct RealCaddy {
    process: Option<Child>,
    pub(super) dir: TempDir,
    pub(super) admin: CaddyAddress,
    pub(super) http_port: u16,
    pub(super) https_port: u16,
    /// Lines of the global options it is started with, beside its admin address.
    options: &'static str,
}

impl RealCaddy {
    /// Starts one that has its admin address and nothing else.
    pub(super) async fn start() -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        Self::with_admin(tempfile::tempdir().unwrap(), CaddyAddress::Tcp(address), "").await
    }

    /// Starts one that has some global options, and nothing that it serves.
    pub(super) async fn with_options(options: &'static str) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        Self::with_admin(tempfile::tempdir().unwrap(), CaddyAddress::Tcp(address), options).await
    }

    pub(super) async fn on_unix_socket() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let admin = CaddyAddress::Unix(dir.path().join("admin.sock"));
        Self::with_admin(dir, admin, "").await
    }

    async fn with_admin(dir: TempDir, admin: CaddyAddress, options: &'static str) -> Self {
        let (http_port, https_port) = (free_port(), free_port());
        let mut caddy = Self { process: None, dir, admin, http_port, https_port, options };
        caddy.run().await;
        caddy
    }

    /// Starts it, again where it was stopped.
    pub(super) async fn run(&mut self) {
        self.run_with(&[]).await;
    }

    /// Starts it with what it ran last.
    pub(super) async fn resume(&mut self) {
        self.run_with(&["--resume"]).await;
    }

    async fn run_with(&mut self, flags: &[&str]) {
        let admin = match &self.admin {
            CaddyAddress::Tcp(address) => address.clone(),
            CaddyAddress::Unix(path) => format!("unix/{}", path.display()),
        };
        let file = self.dir.path().join("Caddyfile");
        std::fs::write(&file, format!("{{\n\tadmin {admin}\n{}}}\n", self.options)).unwrap();
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let child = command(self.dir.path())
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(&file)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("these tests need Caddy: install it, or name it in WAKEDOCK_TEST_CADDY");
        self.process = Some(child);
        self.running().await;
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.admin.clone())
    }

    /// What it runs. It is asked again where it does not answer: it may be starting, and makes its
    /// admin endpoint anew with every load.
    pub(super) async fn running(&self) -> Value {
        let client = self.client();
        let answer = async {
            loop {
                if let Ok(running) = client.running().await {
                    return running;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
        answer.unwrap_or_else(|_| panic!("no answer: {}", self.log()))
    }

    /// WakeDock's configuration for this Caddy.
    pub(super) fn config(&self, tls: CaddyTls) -> CaddyConfig {
        CaddyConfig {
            admin: self.admin.clone(),
            http_port: self.http_port,
            https_port: self.https_port,
            extra: Some(self.dir.path().join("sites/*.caddy").display().to_string()),
            file: self.dir.path().join("wakedock.caddy"),
            tls,
            ..config()
        }
    }

    /// Puts a file beside it that WakeDock is to import.
    pub(super) fn put_extra(&self, name: &str, content: &str) {
        let sites = self.dir.path().join("sites");
        std::fs::create_dir_all(&sites).unwrap();
        std::fs::write(sites.join(name), content).unwrap();
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// How often it took up a new configuration.
    pub(super) fn loads(&self) -> usize {
        self.log().matches("autosaved config").count()
    }

    /// The body of a plain `GET /` for this host.
    pub(super) async fn get(&self, host: &str) -> String {
        let address = SocketAddr::from(([127, 0, 0, 1], self.http_port));
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        })
        .await
        .unwrap()
    }
}

impl Drop for RealCaddy {
    fn drop(&mut self) {
        self.stop();
    }
}
