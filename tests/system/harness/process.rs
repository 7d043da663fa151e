//! A child process: what it wrote, what it uses, signals, and its end with its guard.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::eventually;

/// One child is made at a time: [`super::inherit`] lets descriptors through while it makes one.
static SPAWNING: Mutex<()> = Mutex::new(());

/// How much of a log is shown when a test fails.
const SHOWN_LINES: usize = 60;

pub struct Process {
    child: Child,
    log: PathBuf,
    /// Where in the log this process begins.
    from: u64,
}

impl Process {
    /// Starts `command` with its output appended to `log`. `prepare` runs just before, while no
    /// other child is being made.
    pub fn start<T>(command: &mut Command, log: &Path, prepare: impl FnOnce() -> T) -> Self {
        let open = || -> std::io::Result<(File, File, u64)> {
            let file = OpenOptions::new().create(true).append(true).open(log)?;
            Ok((file.try_clone()?, file.try_clone()?, file.metadata()?.len()))
        };
        let (out, err, from) = open().unwrap_or_else(|problem| panic!("{}: {problem}", log.display()));
        let _one_at_a_time = SPAWNING.lock().unwrap_or_else(PoisonError::into_inner);
        let _prepared = prepare();
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
        Self { child, log: log.to_owned(), from }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        // A process that has just ended by itself is not an error of the one who ends it.
        let _ = kill_process(pid, signal);
    }

    /// SIGTERM.
    pub fn term(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGHUP.
    pub fn hup(&self) {
        self.signal(Signal::HUP);
    }

    /// SIGSTOP: it hangs.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended; `None`: it is running.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// Waits for its end.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let pid = self.pid();
        eventually(within, &format!("process {pid} ends"), || self.ended())
    }

    /// What this process wrote, without what earlier ones wrote to the same log.
    pub fn output(&self) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.log)?;
            file.seek(SeekFrom::Start(self.from))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().expect("the log")).into_owned()
    }

    /// Resident memory, in kB.
    pub fn rss_kb(&self) -> u64 {
        self.status_kb("VmRSS:")
    }

    /// Resident memory that is no file's, in kB.
    pub fn anonymous_kb(&self) -> u64 {
        self.status_kb("RssAnon:")
    }

    fn status_kb(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(&path).unwrap_or_else(|problem| panic!("{path}: {problem}"));
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
    }

    /// CPU time of its threads so far, to the nanosecond.
    pub fn cpu_time(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("its threads");
        let of = |task: std::fs::DirEntry| -> Option<u64> {
            let schedule = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            schedule.split_whitespace().next()?.parse().ok()
        };
        Duration::from_nanos(tasks.flatten().filter_map(of).sum())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<_> = output.lines().collect();
            eprintln!("process {}, end of {}:", self.pid(), self.log.display());
            lines[lines.len().saturating_sub(SHOWN_LINES)..].iter().for_each(|line| eprintln!("  {line}"));
        }
        self.kill9();
    }
}
