//! A relay in front of a unix socket that can be cut: Docker's API goes away, the engine lives on.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

struct Line {
    to: PathBuf,
    /// Both ends of every connection made so far.
    ends: Mutex<Vec<UnixStream>>,
    whole: AtomicBool,
    connections: AtomicU64,
}

pub struct Relay {
    line: Arc<Line>,
    folder: TempDir,
}

impl Relay {
    /// Relays to the socket at `to`.
    pub fn to(to: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("wakedock-relay-").tempdir().expect("a folder");
        let line = Line {
            to: to.to_owned(),
            ends: Mutex::default(),
            whole: AtomicBool::new(false),
            connections: AtomicU64::new(0),
        };
        let relay = Self { line: Arc::new(line), folder };
        relay.mend();
        relay
    }

    /// Where to connect instead.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("relay.sock")
    }

    /// How many connections were made through it.
    pub fn connections(&self) -> u64 {
        self.line.connections.load(Ordering::Relaxed)
    }

    /// Breaks every connection and refuses new ones.
    pub fn cut(&self) {
        self.line.whole.store(false, Ordering::SeqCst);
        let _ = std::fs::remove_file(self.path());
        for end in self.line.ends.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Accepts again after a cut.
    pub fn mend(&self) {
        assert!(!self.line.whole.swap(true, Ordering::SeqCst), "the relay is not cut");
        let listener = UnixListener::bind(self.path()).expect("the relay's socket");
        listener.set_nonblocking(true).expect("a listener that can be asked");
        let line = Arc::clone(&self.line);
        std::thread::spawn(move || {
            while line.whole.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((client, _)) => drop(line.connect(client)),
                    Err(_) => std::thread::sleep(Duration::from_millis(1)),
                }
            }
        });
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Line {
    fn connect(&self, client: UnixStream) -> io::Result<()> {
        client.set_nonblocking(false)?;
        let server = UnixStream::connect(&self.to)?;
        self.connections.fetch_add(1, Ordering::Relaxed);
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.extend([client.try_clone()?, server.try_clone()?]);
        for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
            std::thread::spawn(move || {
                let _ = io::copy(&mut &from, &mut &to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
        // Cut while this one was being made: the ends are in the list, but it was emptied before.
        if !self.whole.load(Ordering::SeqCst) {
            ends.drain(..).for_each(|end| drop(end.shutdown(Shutdown::Both)));
        }
        Ok(())
    }
}
