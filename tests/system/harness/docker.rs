//! The engine's API as the tests use it: not through WakeDock's own adapter, which is under test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{Answer, Request, Target};

/// Where Debian's engine listens.
const SOCKET: &str = "/var/run/docker.sock";

/// A client of one engine. Every call panics, naming the call, when the engine refuses.
#[derive(Debug, Clone)]
pub struct Docker {
    socket: PathBuf,
}

impl Docker {
    /// The engine of this machine.
    pub fn here() -> Self {
        Self::at(SOCKET)
    }

    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub fn target(&self) -> Target {
        Target::Unix(self.socket.clone())
    }

    /// Fails the test where no engine answers.
    pub fn require(&self) {
        let answer = Request::get("docker", "/_ping").patience(Duration::from_secs(10)).send(&self.target());
        assert!(
            answer.as_ref().is_ok_and(|answer| answer.status() == 200),
            "no Docker engine answers at {}: {answer:?}; `./dev.sh test` starts one",
            self.socket.display()
        );
    }

    /// Sends a request; any answer will do.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let request = match body {
            None => Request::new(method, "docker", path),
            Some(body) => {
                Request::post("docker", path, body.to_string()).header("Content-Type", "application/json")
            }
        };
        request.send(&self.target()).unwrap_or_else(|problem| panic!("{method} {path}: {problem}"))
    }

    fn get(&self, path: &str) -> Value {
        accepted("GET", path, &self.ask("GET", path, None)).json()
    }

    fn post(&self, path: &str, body: Option<&Value>) -> Answer {
        let answer = self.ask("POST", path, body);
        accepted("POST", path, &answer);
        answer
    }

    /// Makes an image of one layer, a tar archive; `changes` are Dockerfile lines.
    pub fn import(&self, image: &str, archive: Vec<u8>, changes: &[&str]) {
        let changes: String = changes.iter().map(|change| format!("&changes={}", encoded(change))).collect();
        let path = format!("/images/create?fromSrc=-&repo={image}&tag=latest{changes}");
        let answer = Request::post("docker", &path, archive)
            .header("Content-Type", "application/x-tar")
            .send(&self.target())
            .unwrap_or_else(|problem| panic!("import: {problem}"));
        accepted("POST", &path, &answer);
        assert!(!answer.text().contains("\"error\""), "import: {}", answer.text());
    }

    /// Gives an image another name.
    pub fn tag(&self, image: &str, repository: &str, tag: &str) {
        self.post(&format!("/images/{image}/tag?repo={}&tag={}", encoded(repository), encoded(tag)), None);
    }

    /// Creates a container and gives its id.
    pub fn create(&self, name: &str, spec: &Value) -> String {
        let answer = self.post(&format!("/containers/create?name={name}"), Some(spec)).json();
        answer["Id"].as_str().expect("the id of a new container").to_owned()
    }

    pub fn start(&self, container: &str) {
        self.post(&format!("/containers/{container}/start"), None);
    }

    pub fn stop(&self, container: &str, grace: Duration) {
        self.post(&format!("/containers/{container}/stop?t={}", grace.as_secs()), None);
    }

    pub fn signal(&self, container: &str, signal: &str) {
        self.post(&format!("/containers/{container}/kill?signal={signal}"), None);
    }

    pub fn pause(&self, container: &str) {
        self.post(&format!("/containers/{container}/pause"), None);
    }

    pub fn unpause(&self, container: &str) {
        self.post(&format!("/containers/{container}/unpause"), None);
    }

    pub fn rename(&self, container: &str, name: &str) {
        self.post(&format!("/containers/{container}/rename?name={name}"), None);
    }

    /// Removes a container, running or not; one that is gone is fine.
    pub fn remove(&self, container: &str) {
        let path = format!("/containers/{container}?force=true&v=true");
        let answer = self.ask("DELETE", &path, None);
        // 409: somebody else is removing it at this moment.
        assert!(matches!(answer.status(), 204 | 404 | 409), "DELETE {path}: {}", answer.text());
    }

    /// `None`: there is no such container.
    pub fn inspect(&self, container: &str) -> Option<Value> {
        let path = format!("/containers/{container}/json");
        let answer = self.ask("GET", &path, None);
        (answer.status() != 404).then(|| accepted("GET", &path, &answer).json())
    }

    /// Standard output and error together, without the multiplexing.
    pub fn logs(&self, container: &str) -> String {
        let path = format!("/containers/{container}/logs?stdout=1&stderr=1");
        let answer = self.ask("GET", &path, None);
        let mut frames = accepted("GET", &path, &answer).body.as_slice();
        let mut text = Vec::new();
        while let Some((head, rest)) = frames.split_first_chunk::<8>() {
            let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let (line, rest) = rest.split_at(length.min(rest.len()));
            text.extend(line);
            frames = rest;
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Objects with the label `key`, whatever its value: id and that value.
    pub fn labelled(&self, kind: Kind, key: &str) -> Vec<(String, String)> {
        let filters = encoded(&json!({ "label": [key] }).to_string());
        let list = self.get(&format!("/{}&filters={filters}", kind.list()));
        let items = list.as_array().expect("a list").iter();
        items
            .map(|item| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                (text(&item["Id"]), text(&item["Labels"][key]))
            })
            .collect()
    }

    pub fn create_network(&self, name: &str, labels: &Value) -> String {
        let spec = json!({ "Name": name, "Driver": "bridge", "Labels": labels });
        self.post("/networks/create", Some(&spec)).json()["Id"]
            .as_str()
            .expect("the id of a network")
            .to_owned()
    }

    /// Removes an object of any kind; one that is gone is fine.
    pub fn sweep(&self, kind: Kind, id: &str) {
        match kind {
            Kind::Container => self.remove(id),
            Kind::Network => drop(self.ask("DELETE", &format!("/networks/{id}"), None)),
            Kind::Image => drop(self.ask("DELETE", &format!("/images/{id}?force=true"), None)),
        }
    }
}

/// What a label can be on, in the order in which it can be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Container,
    Network,
    Image,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Container, Self::Network, Self::Image];

    fn list(self) -> &'static str {
        match self {
            Self::Container => "containers/json?all=true",
            Self::Network => "networks?",
            Self::Image => "images/json?all=false",
        }
    }
}

fn accepted<'a>(method: &str, path: &str, answer: &'a Answer) -> &'a Answer {
    assert!(answer.status() < 400, "{method} {path}: Docker answered {} {}", answer.status(), answer.text());
    answer
}

/// Percent-encoded for a query.
pub fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
