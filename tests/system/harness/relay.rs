//! A relay in front of a unix socket that can be cut: Docker's API goes away, the engine lives on.
//! It also tells when a start was ordered.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Instant;

use tempfile::TempDir;

struct Line {
    to: PathBuf,
    /// Both ends of every connection made so far.
    ends: Mutex<Vec<UnixStream>>,
    whole: AtomicBool,
    connections: AtomicU64,
    starts: Mutex<Option<mpsc::Sender<StartOrder>>>,
}

/// A container was told to start, and the engine has said that it does.
#[derive(Debug, Clone, Copy)]
pub struct StartOrder {
    pub ordered: Instant,
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
            starts: Mutex::default(),
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

    /// Every start that is ordered from now on.
    pub fn starts(&self) -> mpsc::Receiver<StartOrder> {
        let (started, starts) = mpsc::channel();
        *self.line.starts.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        starts
    }

    /// Breaks every connection and refuses new ones.
    pub fn cut(&self) {
        self.line.whole.store(false, Ordering::SeqCst);
        // Whoever accepts sees it only when somebody comes.
        let _ = UnixStream::connect(self.path());
        let _ = std::fs::remove_file(self.path());
        for end in self.line.ends.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Accepts again after a cut.
    pub fn mend(&self) {
        assert!(!self.line.whole.swap(true, Ordering::SeqCst), "the relay is not cut");
        let listener = UnixListener::bind(self.path()).expect("the relay's socket");
        let line = Arc::clone(&self.line);
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept()
                && line.whole.load(Ordering::SeqCst)
            {
                // A client that has gone again is nobody's loss.
                let _ = line.connect(client);
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
    fn connect(self: &Arc<Self>, client: UnixStream) -> io::Result<()> {
        // A client connects when it has something to ask: what the relay itself takes from here on is
        // not the client's.
        let mut came = Some(Instant::now());
        let server = UnixStream::connect(&self.to)?;
        self.connections.fetch_add(1, Ordering::Relaxed);
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.extend([client.try_clone()?, server.try_clone()?]);
        let ordered = Arc::new(Mutex::new(None));
        for (from, to, asks) in [(client.try_clone()?, server.try_clone()?, true), (server, client, false)] {
            let (line, ordered, mut came) = (Arc::clone(self), Arc::clone(&ordered), came.take());
            std::thread::spawn(move || {
                let _ = carry(&from, &to, |bytes| {
                    line.look(bytes, asks, came.take().unwrap_or_else(Instant::now), &ordered);
                });
                let _ = to.shutdown(Shutdown::Write);
            });
        }
        // Cut while this one was being made: the ends are in the list, but it was emptied before.
        if !self.whole.load(Ordering::SeqCst) {
            ends.drain(..).for_each(|end| drop(end.shutdown(Shutdown::Both)));
        }
        Ok(())
    }

    /// A client asks one thing after the other on a connection.
    fn look(&self, bytes: &[u8], asks: bool, at: Instant, ordered: &Mutex<Option<Instant>>) {
        let mut ordered = ordered.lock().unwrap_or_else(PoisonError::into_inner);
        if asks {
            let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
            if line.starts_with(b"POST ") && line.windows(6).any(|part| part == b"/start") {
                *ordered = Some(at);
            }
        } else if let Some(ordered) = ordered.take()
            && let Some(starts) = &*self.starts.lock().unwrap_or_else(PoisonError::into_inner)
        {
            // Nobody may want to know any more.
            let _ = starts.send(StartOrder { ordered });
        }
    }
}

fn carry(mut from: &UnixStream, mut to: &UnixStream, mut look: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        look(&buffer[..length]);
        to.write_all(&buffer[..length])?;
    }
}
