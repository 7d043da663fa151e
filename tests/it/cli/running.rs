//! A command that goes on: what it says as it says it, and its end.

#![allow(clippy::disallowed_methods, reason = "the real program lives in real time")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Nothing in these tests takes this long, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// A child, and what it has said so far.
pub(super) struct Running {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

fn collect(from: impl Read + Send + 'static, into: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

impl Running {
    pub(super) fn new(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (Arc::default(), Arc::default());
        let readers =
            vec![collect(child.stdout.take().unwrap(), &out), collect(child.stderr.take().unwrap(), &err)];
        Self { child, out, err, readers }
    }

    pub(super) fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    pub(super) fn err(&self) -> String {
        self.err.lock().unwrap().clone()
    }

    /// Waits until it has said enough, on either of its outputs.
    #[track_caller]
    pub(super) fn until(&self, what: &str, enough: impl Fn(&str, &str) -> bool) {
        let begun = Instant::now();
        while !enough(&self.out(), &self.err()) {
            assert!(begun.elapsed() < PATIENCE, "not {what}: {:?} {:?}", self.out(), self.err());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its end, with all that it said.
    #[track_caller]
    pub(super) fn ended(mut self) -> (Option<i32>, String, String) {
        let status = ends(&mut self.child).unwrap_or_else(|| panic!("{:?} {:?}", self.out(), self.err()));
        for reader in std::mem::take(&mut self.readers) {
            reader.join().unwrap();
        }
        (status.code(), self.out(), self.err())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where the test has failed it may still run.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The end of a child, in time.
pub(super) fn ends(child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}
