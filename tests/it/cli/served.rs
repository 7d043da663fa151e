//! What goes on, against a WakeDock that runs, ends, and runs again.

#![allow(clippy::disallowed_methods, reason = "the real program lives in real time")]

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::running::{Running, ends};
use super::{Said, wakedock};

/// WakeDock without Docker or Caddy.
struct House {
    folder: TempDir,
    port: u16,
    serving: Option<Child>,
    edits: u32,
}

impl House {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut house = Self { folder, port, serving: None, edits: 0 };
        house.write();
        house.serve();
        house
    }

    fn config(&self) -> String {
        self.folder.path().join("config.yml").display().to_string()
    }

    fn write(&self) {
        let path = self.folder.path().display();
        let text = format!(
            "data_dir: {path}/data\nproxy: {{ listen: ['unix:{path}/proxy.sock'] }}\n\
             admin: {{ listen: '127.0.0.1:{}', socket: '{path}/admin.sock' }}\n\
             caddy: {{ mode: off }}\ndocker: {{ host: 'unix://{path}/docker.sock' }}\n\
             services:\n  - {{ name: cloud-with-a-name-that-goes-on, container: cloud, hosts: \
             [cloud.example.com], max_held: {} }}\n",
            self.port,
            self.edits + 1,
        );
        let next = self.folder.path().join("next.yml");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, self.config()).unwrap();
    }

    /// One more event: the configuration is applied.
    fn edit(&mut self) {
        self.edits += 1;
        self.write();
    }

    fn serve(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = wakedock(&["serve", "--config", &self.config()]);
        self.serving = Some(command.stderr(log).stdin(Stdio::null()).spawn().unwrap());
        let begun = Instant::now();
        while self.run(&["health"]).code != Some(0) {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(30), "it does not serve: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut serving) = self.serving.take() {
            kill_process(Pid::from_child(&serving), signal).unwrap();
            ends(&mut serving).expect("it ends");
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = wakedock(arguments);
        command.args(["--config", &self.config()]);
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.command(arguments).output().unwrap().into()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.end(Signal::KILL);
    }
}

fn ids(lines: &str) -> Vec<u64> {
    lines.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()["id"].as_u64().unwrap()).collect()
}

fn count(lines: &str, kind: &str) -> usize {
    lines.matches(&format!("\"kind\":\"{kind}\"")).count()
}

#[test]
fn events_are_followed_through_restarts_and_each_is_told_once() {
    let mut house = House::start();
    let following = Running::new(house.command(&["events", "-f", "--json", "-n", "0"]));
    // Before anything is told: the first event falls into the time without a WakeDock.
    std::thread::sleep(Duration::from_millis(500));
    for round in 1..=2 {
        house.end(Signal::TERM);
        house.serve();
        following.until("started again", |out, _| count(out, "started") == round);
        house.edit();
        following.until("the edit", |out, _| count(out, "config-applied") >= round);
    }
    house.end(Signal::KILL);
    following.until("missed", |_, err| err.contains("trying again"));
    house.serve();
    following.until("back", |_, err| err.contains("answers again"));
    house.edit();
    following
        .until("the last edit", |out, _| count(out, "started") == 3 && count(out, "config-applied") >= 3);
    following.signal(Signal::INT);
    let (code, out, err) = following.ended();
    assert_eq!(code, Some(0), "{err}");

    let told = ids(&out);
    assert!(told.is_sorted_by(|a, b| a < b), "each once and in order: {told:?}");
    let written = ids(house.run(&["events", "--json", "-n", "500"]).fine());
    let missed: Vec<_> = written.iter().filter(|id| **id >= told[0] && !told.contains(*id)).collect();
    assert!(missed.is_empty(), "{missed:?} of {written:?}");
    assert!(count(&out, "draining") == 2, "what happened last before the end, too: {out}");
}

#[test]
fn a_token_that_is_revoked_ends_what_it_let_in() {
    let house = House::start();
    let token = house.run(&["token", "create", "phone"]).out.trim().to_owned();
    assert!(token.starts_with("wd_"), "{token}");
    let list: Json = serde_json::from_str(house.run(&["token", "list", "--json"]).fine()).unwrap();
    let url = format!("http://127.0.0.1:{}", house.port);
    let over = |arguments: &[&str]| {
        let mut command = wakedock(arguments);
        command.args(["--url", &url]).env("WAKEDOCK_TOKEN", &token);
        Running::new(command)
    };
    let (events, watching) = (over(&["events", "-f"]), over(&["status", "--watch", "--json"]));
    events.until("begun", |out, _| out.contains("started"));
    watching.until("begun", |out, _| out.contains("cloud-with"));
    house.run(&["token", "revoke", list["items"][0]["id"].as_str().unwrap()]).fine();
    for running in [events, watching] {
        let (code, _, err) = running.ended();
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains("error: ") && err.contains("mend   give a token by"), "{err}");
    }
}

#[test]
fn what_is_watched_in_a_pipe_goes_on_after_a_restart() {
    let mut house = House::start();
    let watching = Running::new(house.command(&["status", "--watch"]));
    watching.until("begun", |out, _| out.contains("cloud-with"));
    house.end(Signal::TERM);
    watching.until("missed", |_, err| err.contains("trying again"));
    house.serve();
    watching.until("back", |_, err| err.contains("answers again"));
    watching.signal(Signal::INT);
    let (code, out, err) = watching.ended();
    assert_eq!(code, Some(0), "{err}");
    assert!(!out.contains('\u{1b}') && err.matches("trying again").count() == 1, "{out} {err}");
}

/// What is listed can be read by a program, and is the same list.
#[test]
fn whatever_is_listed_speaks_json() {
    let house = House::start();
    let password = house.folder.path().join("password");
    std::fs::write(&password, "correct horse\n").unwrap();
    let mut adding = house.command(&["user", "add", "anna", "--password-stdin"]);
    Said::from(adding.stdin(File::open(&password).unwrap()).output().unwrap()).fine();
    assert_eq!(house.run(&["token", "create", "phone"]).code, Some(0));
    let backup = house.folder.path().join("b.redb").display().to_string();
    let name = "cloud-with-a-name-that-goes-on";
    for (arguments, pointer, expected) in [
        (&["status"][..], "/services/0/name", name),
        (&["status", name], "/name", name),
        (&["user", "list"], "/items/0/username", "anna"),
        (&["token", "list"], "/items/0/name", "phone"),
        // Without Docker.
        (&["health"], "/status", "degraded"),
        (&["keep-awake", name, "--for", "1h"], "/name", name),
        (&["stop", name], "/name", name),
        (&["backup", &backup], "/file", &backup),
    ] {
        let said = house.run(&[arguments, &["--json"]].concat());
        let list: Json = serde_json::from_str(&said.out)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {} {}", said.out, said.err));
        let found = list.pointer(pointer).and_then(Json::as_str);
        assert_eq!((said.code, found), (Some(0), Some(expected)), "{arguments:?}: {list}");
    }
    let events = house.run(&["events", "--json"]);
    assert!(ids(events.fine()).len() > 1, "{}", events.out);
    assert_eq!(house.run(&["config", "print", "--origin", "--json"]).code, Some(0));
}

/// In a terminal of 40 columns and 8 lines, which ends by Ctrl-C.
#[test]
fn a_narrow_terminal_is_drawn_in_and_given_back() {
    let house = House::start();
    let mut command = Command::new("script");
    let watch = format!(
        "stty cols 40 rows 8; exec {} status --watch --config {}",
        env!("CARGO_BIN_EXE_wakedock"),
        house.config()
    );
    command.args(["-qefc", &watch, "/dev/null"]).env("TERM", "xterm");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let seen = std::thread::spawn(move || {
        let mut seen = Vec::new();
        std::io::Read::read_to_end(&mut screen, &mut seen).unwrap();
        String::from_utf8_lossy(&seen).into_owned()
    });
    // Two pictures: the first, and one a second later.
    std::thread::sleep(Duration::from_millis(1500));
    std::io::Write::write_all(&mut keyboard, b"\x03").unwrap();
    let status = ends(&mut child).expect("Ctrl-C ends it");
    assert_eq!(status.code(), Some(0));
    let seen = seen.join().unwrap();
    let (enter, leave) = ("\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l", "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l");
    let (_, rest) = seen.split_once(enter).unwrap_or_else(|| panic!("{seen:?}"));
    let (drawn, left) = rest.split_once(leave).unwrap_or_else(|| panic!("{seen:?}"));
    assert!(drawn.matches("\u{1b}[H").count() >= 2, "times go on: {drawn:?}");
    assert!(drawn.contains("live · Ctrl-C ends"), "{drawn:?}");
    for page in drawn.split("\u{1b}[H").skip(1) {
        assert!(page.matches("\r\n").count() < 8, "it scrolls: {page:?}");
    }
    assert!(left.contains("cloud-with"), "the last picture stays: {left:?}");
    for line in left.lines() {
        let letters = without_colours(line).trim_end().chars().count();
        assert!(letters <= 40, "{letters}: {line:?}");
    }
}

fn without_colours(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}
