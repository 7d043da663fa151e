//! The test application in a container of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::docker::Docker;
use super::eventually;
use super::http::{Request, Target};
use super::run::Run;

/// Where the test application listens unless told otherwise.
const PORT: u16 = 8080;

static COUNT: AtomicU32 = AtomicU32::new(0);

fn unique(hint: &str) -> String {
    format!("wd-{}-{}-{hint}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// What a container of the test application shall be like.
#[must_use]
pub struct Builder {
    hint: String,
    name: Option<String>,
    run: Arc<Run>,
    env: Vec<String>,
    spec: Value,
}

impl Builder {
    /// Sets one of the application's switches (`testapp --help`).
    pub fn env(mut self, switch: &str, value: &str) -> Self {
        self.env.push(format!("{switch}={value}"));
        self
    }

    /// A health check by `testapp health` every `interval`.
    pub fn health(self, interval: Duration) -> Self {
        self.health_command(&["/testapp", "health"], interval)
    }

    /// A health check by any command.
    pub fn health_command(mut self, argv: &[&str], interval: Duration) -> Self {
        let nanos = u64::try_from(interval.as_nanos()).expect("a short interval");
        let test: Vec<_> = ["CMD"].iter().chain(argv).collect();
        self.spec["Healthcheck"] =
            json!({ "Test": test, "Interval": nanos, "Timeout": 5_000_000_000_u64, "Retries": 3 });
        self
    }

    /// `host`, `none`, `container:NAME`, or a network's name.
    pub fn network(mut self, mode: &str) -> Self {
        self.spec["HostConfig"]["NetworkMode"] = json!(mode);
        self
    }

    /// Docker's restart policy: `always`, `unless-stopped`, `on-failure`.
    pub fn restart(mut self, policy: &str) -> Self {
        self.spec["HostConfig"]["RestartPolicy"] = json!({ "Name": policy });
        self
    }

    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.spec["Labels"][key] = json!(value);
        self
    }

    /// Publishes the application's port on a free port of the loopback interface.
    pub fn published(mut self) -> Self {
        self.spec["HostConfig"]["PortBindings"] =
            json!({ format!("{PORT}/tcp"): [{ "HostIp": "127.0.0.1", "HostPort": "" }] });
        self
    }

    /// Runs another program, linked statically, in place of the test application.
    pub fn program(mut self, program: &Path, arguments: &[&str]) -> Self {
        let mut entrypoint = vec!["/program"];
        entrypoint.extend(arguments);
        self.spec["Entrypoint"] = json!(entrypoint);
        self.spec["HostConfig"]["Binds"] = json!([format!("{}:/program:ro", program.display())]);
        self
    }

    /// Under this very name: on an engine where nobody else has one.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// From the same image under another name, `repository:tag`.
    pub fn image(mut self, image: &str) -> Self {
        let (repository, tag) = image.rsplit_once(':').expect("repository:tag");
        self.run.docker.tag(&self.run.image(), repository, tag);
        self.spec["Image"] = json!(image);
        self
    }

    /// Creates it, without starting it.
    pub fn create(mut self) -> App {
        self.spec["Env"] = json!(self.env);
        let port =
            self.env.iter().rev().find_map(|env| env.strip_prefix("PORT=")?.parse().ok()).unwrap_or(PORT);
        let name = self.name.unwrap_or_else(|| unique(&self.hint));
        self.run.docker.create(&name, &self.spec);
        App { name, port, spec: self.spec, run: self.run }
    }

    /// Creates and starts it, and waits until it answers.
    pub fn start(self) -> App {
        let app = self.create();
        app.start();
        app.answering();
        app
    }
}

/// A container of the test application, removed when dropped.
pub struct App {
    name: String,
    port: u16,
    spec: Value,
    run: Arc<Run>,
}

impl App {
    /// `hint` becomes part of the container's name.
    pub fn builder(hint: &str) -> Builder {
        Self::builder_on(Run::current(), hint)
    }

    /// On the engine of this run.
    pub fn builder_on(run: Arc<Run>, hint: &str) -> Builder {
        let spec = json!({ "Image": run.image(), "Labels": run.labels(), "HostConfig": {} });
        Builder { hint: hint.to_owned(), name: None, env: Vec::new(), spec, run }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn docker(&self) -> &Docker {
        &self.run.docker
    }

    pub fn id(&self) -> String {
        self.inspect()["Id"].as_str().expect("an id").to_owned()
    }

    pub fn start(&self) {
        self.docker().start(&self.name);
    }

    pub fn stop(&self, grace: Duration) {
        self.docker().stop(&self.name, grace);
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.signal("KILL");
    }

    /// Sends a signal, like `TERM`, without any order to stop.
    pub fn signal(&self, signal: &str) {
        self.docker().signal(&self.name, signal);
    }

    pub fn pause(&self) {
        self.docker().pause(&self.name);
    }

    pub fn unpause(&self) {
        self.docker().unpause(&self.name);
    }

    /// Removes the container; the guard stays for [`App::recreate`].
    pub fn remove(&self) {
        self.docker().remove(&self.name);
    }

    /// A new container under the old name, made alike, not started.
    pub fn recreate(&self) {
        self.remove();
        eventually(Duration::from_secs(10), "the container is gone", || {
            self.docker().inspect(&self.name).is_none().then_some(())
        });
        self.docker().create(&self.name, &self.spec);
    }

    /// A new container under the old name, as [`App::recreate`], but only where the old one is off;
    /// false: it runs.
    pub fn update(&self) -> bool {
        let gone = self.docker().ask("DELETE", &format!("/containers/{}?v=true", self.name), None);
        if gone.status() != 204 {
            return false;
        }
        self.docker().create(&self.name, &self.spec);
        true
    }

    pub fn inspect(&self) -> Value {
        self.docker().inspect(&self.name).unwrap_or_else(|| panic!("container {} is gone", self.name))
    }

    /// Docker's own word: `created`, `running`, `paused`, `exited`, ….
    pub fn state(&self) -> String {
        self.inspect()["State"]["Status"].as_str().expect("a state").to_owned()
    }

    pub fn running(&self) -> bool {
        self.state() == "running"
    }

    /// Docker's own word for its health, where it has a health check.
    pub fn health(&self) -> Option<String> {
        self.inspect()["State"]["Health"]["Status"].as_str().map(str::to_owned)
    }

    pub fn wait_state(&self, state: &str, within: Duration) {
        let reason = format!("container {} is {state}", self.name);
        eventually(within, &reason, || (self.state() == state).then_some(()));
    }

    /// What happened to it so far by Docker's events: `create`, `start`, `die`, `stop`, ….
    pub fn events(&self) -> Vec<String> {
        self.run.events_of(&self.name)
    }

    /// How often it was started, by whomever.
    pub fn starts(&self) -> usize {
        self.events().iter().filter(|action| *action == "start").count()
    }

    /// How often Docker's restart policy restarted it.
    pub fn restart_count(&self) -> u64 {
        self.inspect()["RestartCount"].as_u64().expect("a count")
    }

    pub fn logs(&self) -> String {
        self.docker().logs(&self.name)
    }

    /// Its address on its first network (`None` while it is off), or the host's loopback.
    pub fn address(&self) -> Option<IpAddr> {
        let inspected = self.inspect();
        if inspected["HostConfig"]["NetworkMode"] == "host" {
            return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let mut networks = inspected["NetworkSettings"]["Networks"].as_object()?.values();
        networks.find_map(|network| network["IPAddress"].as_str()?.parse().ok())
    }

    /// Where it is reached without WakeDock. Panics while it is off.
    pub fn target(&self) -> Target {
        let address = self.address().unwrap_or_else(|| panic!("container {} has no address", self.name));
        Target::Tcp(SocketAddr::new(address, self.port))
    }

    /// Waits until it answers at its own address.
    pub fn answering(&self) {
        let request = Request::get("direct", "/healthz").patience(Duration::from_secs(1));
        eventually(Duration::from_secs(20), &format!("container {} answers", self.name), || {
            request.send(&self.target()).ok().filter(|answer| answer.status() == 200)
        });
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("container {}: events {:?}", self.name, self.events());
        }
        self.remove();
    }
}

/// A bridge network, removed when dropped (after the containers on it).
pub struct Network {
    name: String,
    run: Arc<Run>,
}

impl Network {
    pub fn new(hint: &str) -> Self {
        let (run, name) = (Run::current(), unique(hint));
        run.docker.create_network(&name, &run.labels());
        Self { name, run }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.run.docker.sweep(super::docker::Kind::Network, &self.name);
    }
}
