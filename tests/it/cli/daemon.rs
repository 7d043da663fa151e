//! A daemon of canned answers on a unix socket, and what it was asked.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use tempfile::TempDir;

use super::{Said, wakedock};

/// An answer to `METHOD PATH`; the last one of its kind is given again and again.
#[derive(Clone)]
struct Canned {
    call: String,
    answer: String,
    /// The connection stays open, and nothing more comes.
    stays: bool,
}

/// Answers as it was told to.
pub(super) struct Daemon {
    folder: TempDir,
    script: Arc<Mutex<VecDeque<Canned>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("admin.sock");
        let config = format!("admin: {{ socket: '{}', listen: '127.0.0.1:1' }}\n", socket.display());
        std::fs::write(folder.path().join("config.yml"), config).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let daemon = Self { folder, script: Arc::default(), asked: Arc::default() };
        let (script, asked) = (Arc::clone(&daemon.script), Arc::clone(&daemon.asked));
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, asked) = (Arc::clone(&script), Arc::clone(&asked));
                std::thread::spawn(move || serve(stream.unwrap(), &script, &asked));
            }
        });
        daemon
    }

    /// Answers `GET /path` with JSON.
    pub(super) fn says(self, call: &str, status: u16, body: &Json) -> Self {
        let kind = if status < 400 { "application/json" } else { "application/problem+json" };
        self.says_raw(call, status, kind, &body.to_string())
    }

    pub(super) fn says_raw(self, call: &str, status: u16, kind: &str, body: &str) -> Self {
        let length = body.len();
        self.says_exactly(
            call,
            &format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"),
        )
    }

    /// Writes these bytes and closes the connection.
    pub(super) fn says_exactly(self, call: &str, answer: &str) -> Self {
        self.tells(call, answer, false)
    }

    /// Writes these events and closes the connection, or leaves it open.
    pub(super) fn streams(self, call: &str, events: &str, stays: bool) -> Self {
        let head = "HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n\r\nretry: 2000\n\n";
        self.tells(call, &format!("{head}{events}"), stays)
    }

    fn tells(self, call: &str, answer: &str, stays: bool) -> Self {
        let canned = Canned { call: call.to_owned(), answer: answer.to_owned(), stays };
        self.script.lock().unwrap().push_back(canned);
        self
    }

    pub(super) fn config(&self) -> String {
        self.folder.path().join("config.yml").display().to_string()
    }

    pub(super) fn socket(&self) -> String {
        self.folder.path().join("admin.sock").display().to_string()
    }

    /// Runs a command against it.
    pub(super) fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, &[])
    }

    pub(super) fn run_with(&self, arguments: &[&str], env: &[(&str, &str)]) -> Said {
        let config = self.config();
        let mut command = wakedock(arguments);
        command.args(["--config", &config]).envs(env.iter().copied());
        command.output().unwrap().into()
    }

    /// Every request so far: its head and its body.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: UnixStream, script: &Mutex<VecDeque<Canned>>, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(&stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap() == 0 {
            return;
        }
    }
    let length = head
        .to_lowercase()
        .split_once("content-length: ")
        .map_or(0, |(_, rest)| rest.split_once("\r\n").unwrap().0.parse::<usize>().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let call = head.split(" HTTP/").next().unwrap().to_owned();
    asked.lock().unwrap().push(format!("{head}{}", String::from_utf8(body).unwrap()));
    let answer = {
        let mut script = script.lock().unwrap();
        let place = script.iter().position(|canned| canned.call == call);
        match place {
            // The same call once more further on: this answer was for once.
            Some(place) if script.iter().skip(place + 1).any(|canned| canned.call == call) => {
                script.remove(place).unwrap()
            }
            Some(place) => script[place].clone(),
            None => {
                let answer =
                    format!("HTTP/1.1 404 X\r\nContent-Length: 0\r\nX-Not-In-The-Script: {call}\r\n\r\n");
                Canned { call, answer, stays: false }
            }
        }
    };
    // Who has read enough is fine.
    let _ = (&stream).write_all(answer.answer.as_bytes());
    if answer.stays {
        let _ = reader.read(&mut [0]);
    }
}
