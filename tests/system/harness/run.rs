//! One run of the tests: the image of the test application, the label on everything that is made,
//! what the engine told about it, and the sweep.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::{Value, json};

use super::docker::{Docker, Kind, encoded};
use super::http::{Connection, Request};

/// On every object of the tests; its value is the run.
const LABEL: &str = "wakedock.test";
/// Where `./dev.sh test` says that the test application lies already built.
const PREBUILT: &str = "WAKEDOCK_TESTAPP";

static CURRENT: Mutex<Weak<Run>> = Mutex::new(Weak::new());
/// Kept between runs of one process: building is looked into once.
static BINARY: Mutex<Option<PathBuf>> = Mutex::new(None);

/// One thing that happened to a container of this run.
#[derive(Debug, Clone)]
pub struct Event {
    pub container: String,
    pub action: String,
}

pub struct Run {
    id: String,
    pub docker: Docker,
    events: Arc<Mutex<Vec<Event>>>,
    stop_listening: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Run {
    /// The run that is going on, or a new one: it ends, and removes what it made, with the last
    /// guard that holds it.
    pub fn current() -> Arc<Self> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        current.upgrade().unwrap_or_else(|| {
            let run = Arc::new(Self::begin(Docker::here()));
            *current = Arc::downgrade(&run);
            run
        })
    }

    /// A run on this engine, beside the one on the machine's.
    pub fn begin(docker: Docker) -> Self {
        docker.require();
        sweep_the_dead(&docker);
        let process = ProcessId::own();
        let run = Self {
            id: format!("{}.{}.{}", process.pid, process.born, random()),
            events: Arc::default(),
            stop_listening: Mutex::new(None),
            docker,
        };
        let binary = std::fs::read(testapp()).expect("the test application's binary");
        let label = format!("LABEL {LABEL}={}", run.id);
        run.docker.import(
            &run.image(),
            archive("testapp", &binary),
            &["ENTRYPOINT [\"/testapp\"]", "EXPOSE 8080", &label],
        );
        run.listen();
        run
    }

    pub fn image(&self) -> String {
        format!("wakedock-test-{}", self.id)
    }

    pub fn labels(&self) -> Value {
        json!({ LABEL: self.id })
    }

    /// What happened to this container so far, oldest first.
    pub fn events_of(&self, container: &str) -> Vec<String> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().filter(|event| event.container == container).map(|event| event.action.clone()).collect()
    }

    /// How many objects of this kind carry this run's label.
    pub fn count(&self, kind: Kind) -> usize {
        self.docker.labelled(kind, LABEL).iter().filter(|(_, run)| *run == self.id).count()
    }

    /// Writes down container events: the engine itself remembers only the last few hundred.
    fn listen(&self) {
        let filters = json!({ "type": ["container"], "label": [format!("{LABEL}={}", self.id)] }).to_string();
        let request = Request::get("docker", &format!("/events?filters={}", encoded(&filters)));
        let mut connection = Connection::open(&self.docker.target()).expect("the engine");
        connection.set_patience(std::time::Duration::from_secs(24 * 3600)).expect("a patience");
        connection.send(&request.head()).expect("the engine");
        let head = connection.read_head().expect("the engine's events");
        assert_eq!(head.status, 200, "the engine's events");
        let stop = connection.breaker().expect("a file descriptor");
        *self.stop_listening.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(stop));
        let events = Arc::clone(&self.events);
        std::thread::spawn(move || {
            let mut pending = Vec::new();
            while let Ok(Some(chunk)) = connection.chunk() {
                pending.extend(chunk);
                while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = pending.drain(..=end).collect();
                    let Ok(event) = serde_json::from_slice::<Value>(&line) else { continue };
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    events.lock().unwrap_or_else(PoisonError::into_inner).push(Event {
                        container: text(&event["Actor"]["Attributes"]["name"]),
                        action: text(&event["Action"]),
                    });
                }
            }
        });
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(stop) = self.stop_listening.lock().unwrap_or_else(PoisonError::into_inner).take() {
            stop();
        }
        sweep(&self.docker, |run| run == self.id);
    }
}

/// Removes what runs left behind whose process is gone.
pub fn sweep_the_dead(docker: &Docker) {
    sweep(docker, |run| ProcessId::parse(run).is_some_and(|process| !process.lives()));
}

fn sweep(docker: &Docker, mut of: impl FnMut(&str) -> bool) {
    for kind in Kind::ALL {
        let found = docker.labelled(kind, LABEL);
        let ids: HashSet<_> = found.into_iter().filter(|(_, run)| of(run)).map(|(id, _)| id).collect();
        ids.iter().for_each(|id| docker.sweep(kind, id));
    }
}

/// A process, told from a later one with the same number by when it was born.
struct ProcessId {
    pid: u32,
    born: u64,
}

impl ProcessId {
    fn own() -> Self {
        let pid = std::process::id();
        Self { pid, born: born(pid).expect("this process") }
    }

    fn parse(run: &str) -> Option<Self> {
        let mut parts = run.split('.');
        Some(Self { pid: parts.next()?.parse().ok()?, born: parts.next()?.parse().ok()? })
    }

    fn lives(&self) -> bool {
        born(self.pid) == Some(self.born)
    }
}

/// When a process was started, in ticks since boot.
fn born(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, a name in brackets, may hold blanks: count from its end.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Tells runs of one process apart.
fn random() -> u32 {
    let mut bytes = [0; 4];
    let mut source = std::fs::File::open("/dev/urandom").expect("randomness");
    source.read_exact(&mut bytes).expect("randomness");
    u32::from_ne_bytes(bytes)
}

/// The test application's binary, built where nobody did so yet.
fn testapp() -> PathBuf {
    let mut binary = BINARY.lock().unwrap_or_else(PoisonError::into_inner);
    binary.get_or_insert_with(|| std::env::var_os(PREBUILT).map_or_else(build, PathBuf::from)).clone()
}

/// Linked statically: the image holds nothing else. In a folder of its own, because other flags
/// would make every dependency of WakeDock stale.
fn build() -> PathBuf {
    let version = Command::new("rustc").arg("-vV").output().expect("rustc");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc's host");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder").join("testapp");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--package", "wakedock-testapp", "--target", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .expect("cargo");
    assert!(
        built.status.success(),
        "the test application does not build:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    target.join(host).join("release/wakedock-testapp")
}

/// A tar archive of one executable file (POSIX ustar).
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut head = [0u8; 512];
    head[..name.len()].copy_from_slice(name.as_bytes());
    for (at, field) in [
        (100, "0000755\0".to_owned()),
        (108, "0000000\0".to_owned()),
        (116, "0000000\0".to_owned()),
        (124, format!("{:011o}\0", content.len())),
        (136, "00000000000\0".to_owned()),
        // The sum counts itself as blanks.
        (148, "        ".to_owned()),
        (156, "0".to_owned()),
        (257, "ustar\x0000".to_owned()),
    ] {
        head[at..at + field.len()].copy_from_slice(field.as_bytes());
    }
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = head.to_vec();
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}
