//! A Docker engine of the test's own, which can be restarted without harm to other tests.
//!
//! It has a bridge of its own and touches no firewall rule. (One without any bridge would take the
//! machine's `docker0` away: that is how an engine without a bridge cleans up.)

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::app::{App, Builder};
use super::docker::Docker;
use super::eventually;
use super::http::Request;
use super::process::Process;
use super::run::Run;

/// The first two parts of its addresses; the third tells engines of several test runs apart.
const RANGE: &str = "10.213";

pub struct Engine {
    // Dropped in this order: the run's objects are removed while the engine still answers.
    run: Option<Arc<Run>>,
    process: Process,
    docker: Docker,
    bridge: Bridge,
    folder: TempDir,
}

impl Engine {
    /// Its containers survive its restart (`live-restore`).
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("wakedock-engine-").tempdir().expect("a folder");
        let docker = Docker::at(folder.path().join("docker.sock"));
        let bridge = Bridge::make();
        let process = launch(&folder, &bridge);
        await_ready(&docker);
        let run = Run::begin(docker.clone());
        Self { run: Some(Arc::new(run)), process, docker, bridge, folder }
    }

    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// A container of this engine.
    pub fn app(&self, hint: &str) -> Builder {
        let run = self.run.as_ref().expect("a run lives as long as its engine");
        App::builder_on(Arc::clone(run), hint)
    }

    /// Ends it; its containers run on.
    pub fn stop(&mut self) {
        self.process.term();
        self.process.wait(Duration::from_secs(30));
    }

    pub fn start_again(&mut self) {
        self.process = launch(&self.folder, &self.bridge);
        await_ready(&self.docker);
    }

    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.process.ended().is_some() {
            self.start_again();
        }
        drop(self.run.take());
        self.stop();
        unmount(&self.folder);
    }
}

/// An engine whose containers shall survive leaves its mounts behind.
fn unmount(folder: &TempDir) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("the mounts");
    let points = mounts.lines().filter_map(|mount| mount.split(' ').nth(1));
    for point in points.filter(|point| std::path::Path::new(point).starts_with(folder.path())) {
        run(Command::new("umount").arg("--lazy").arg(point));
    }
}

/// A bridge interface, removed when dropped.
struct Bridge {
    name: String,
}

impl Bridge {
    fn make() -> Self {
        let number = (1..255)
            .find(|number| {
                Command::new("ip")
                    .args(["link", "add", &format!("wdtest{number}")])
                    // Without an address of its own it takes one from its ports, and each container
                    // that starts or ends then stalls the others until they ask for the new one.
                    .args(["address", &format!("02:57:44:00:00:{number:02x}"), "type", "bridge"])
                    .output()
                    .expect("the command `ip`")
                    .status
                    .success()
            })
            .expect("leave to make a bridge");
        let name = format!("wdtest{number}");
        run(Command::new("ip").args(["address", "add", &format!("{RANGE}.{number}.1/24"), "dev", &name]));
        run(Command::new("ip").args(["link", "set", &name, "up"]));
        Self { name }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        run(Command::new("ip").args(["link", "delete", &self.name]));
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn await_ready(docker: &Docker) {
    eventually(Duration::from_secs(60), "the engine of the test's own answers", || {
        let answer = Request::get("docker", "/_ping").send(&docker.target()).ok()?;
        (answer.status() == 200).then_some(())
    });
}

fn launch(folder: &TempDir, bridge: &Bridge) -> Process {
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("daemon.json"), "{}").expect("a file in a folder of our own");
    let mut command = Command::new("dockerd");
    command
        .arg("--host")
        .arg(format!("unix://{}", path("docker.sock").display()))
        .arg("--config-file")
        .arg(path("daemon.json"))
        .arg("--data-root")
        .arg(path("data"))
        .arg("--exec-root")
        .arg(path("exec"))
        .arg("--pidfile")
        .arg(path("docker.pid"))
        .arg("--bridge")
        .arg(&bridge.name)
        .args(["--live-restore", "--iptables=false", "--ip6tables=false"]);
    Process::start(&mut command, &path("dockerd.log"), || ())
}
