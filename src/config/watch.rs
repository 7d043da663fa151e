//! Watches the configuration file and reads it again when its content changes.
//!
//! Editors rename a new file over the old one and Kubernetes swaps symbolic links, so it is the
//! *directory* that is watched, and what counts is the file's content.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::clock;
use crate::config::env::Environment;
use crate::config::load::{Emptiness, Loaded, Source, assemble, load, unreadable};
use crate::config::problem::ConfigProblems;
use crate::domain::time::Moment;

/// An edit is over when nothing has happened for this long.
const QUIET: Duration = Duration::from_millis(150);
/// A directory in which something always happens does not hold an edit back for longer.
const RESTLESS: Duration = Duration::from_millis(450);
/// A file that is missing or empty gets this long to be written before it is a problem.
const REWRITE: Duration = Duration::from_millis(300);
/// How often the file is looked at without any event: file systems without them, directories
/// that were moved away and come back.
const LOOK: Duration = Duration::from_secs(2);

/// Asks for the file to be read again now, changed or not (SIGHUP).
#[derive(Debug, Clone)]
pub struct ReloadHandle(mpsc::Sender<()>);

impl ReloadHandle {
    /// Asks. Several asked at once are one.
    pub fn reload(&self) {
        // Full: a reload is on its way already. Closed: nobody watches any more.
        let _ = self.0.try_send(());
    }
}

/// Yields the configuration each time it was edited.
#[derive(Debug)]
pub struct ConfigWatcher {
    /// `None`: WakeDock runs without a file; only an order looks for one.
    file: Option<PathBuf>,
    variables: Vec<(String, String)>,
    seen: Seen,
    orders: mpsc::Receiver<()>,
    events: mpsc::Receiver<()>,
    /// `None` where the system has no more watches to give: the file is looked at all the same.
    watcher: Option<RecommendedWatcher>,
    watched: Vec<Directory>,
    /// When the file is looked at next.
    due: Moment,
    /// During an edit: when the file is looked at in spite of further events.
    latest: Option<Moment>,
    /// The file was met missing or empty, and has until then to be written.
    blank_until: Option<Moment>,
}

/// What the file held when it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Missing,
    Content(u64),
}

/// A watched directory, and which one it was: the path may come to mean another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Directory {
    path: PathBuf,
    identity: (u64, u64),
}

impl ConfigWatcher {
    /// Watches the file that `loaded` came from. `variables` are the environment it is read with.
    #[must_use]
    pub fn new(loaded: &Loaded, variables: Vec<(String, String)>) -> (Self, ReloadHandle) {
        // One slot: an event that is not taken yet stands for those after it.
        let (event, events) = mpsc::channel(1);
        let (order, orders) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |happened: notify::Result<notify::Event>| {
            if happened.is_err() || happened.is_ok_and(|happened| may_change_content(happened.kind)) {
                let _ = event.try_send(());
            }
        });
        let mut this = Self {
            file: loaded.file.as_deref().map(absolute),
            variables,
            seen: loaded.fingerprint.map_or(Seen::Missing, Seen::Content),
            orders,
            events,
            watcher: watcher.ok(),
            watched: Vec::new(),
            // It may have been edited between being read and being watched.
            due: clock::now(),
            latest: None,
            blank_until: None,
        };
        this.watch_directories();
        (this, ReloadHandle(order))
    }

    /// Waits for the next edit, or order to reload, and reads the configuration.
    /// May be dropped and called again without losing an edit.
    ///
    /// # Errors
    /// Every problem of the edited file, at once; the one before it goes on.
    pub async fn next(&mut self) -> Result<Loaded, ConfigProblems> {
        loop {
            tokio::select! {
                Some(()) = self.orders.recv() => return self.reload(),
                Some(()) = self.events.recv() => self.stirred(),
                () = sleep_until(clock::instant(self.due)) => {
                    self.latest = None;
                    self.due = clock::now() + LOOK;
                    self.watch_directories();
                    if let Some(outcome) = self.look() {
                        return outcome;
                    }
                }
            }
        }
    }

    /// Something happened in a watched directory: look at the file when it is quiet again.
    fn stirred(&mut self) {
        let now = clock::now();
        let latest = *self.latest.get_or_insert(now + RESTLESS);
        self.due = latest.min(now + QUIET);
    }

    /// Reads the file, changed or not.
    fn reload(&mut self) -> Result<Loaded, ConfigProblems> {
        self.blank_until = None;
        let Some(file) = self.file.clone() else {
            let loaded = load(None, self.variables.iter().cloned())?;
            self.file = loaded.file.as_deref().map(absolute);
            self.seen = loaded.fingerprint.map_or(Seen::Missing, Seen::Content);
            self.watch_directories();
            return Ok(loaded);
        };
        let source = Source::read(&file);
        self.seen = seen(&source);
        self.take(&file, source)
    }

    /// Reads the file if it changed since it was last seen.
    fn look(&mut self) -> Option<Result<Loaded, ConfigProblems>> {
        let file = self.file.clone()?;
        let source = Source::read(&file);
        if seen(&source) == self.seen {
            self.blank_until = None;
            return None;
        }
        if source.as_ref().map_or(true, |source| source.bytes.iter().all(u8::is_ascii_whitespace)) {
            let now = clock::now();
            let until = *self.blank_until.get_or_insert(now + REWRITE);
            if now < until {
                self.due = until;
                return None;
            }
        }
        self.blank_until = None;
        self.seen = seen(&source);
        Some(self.take(&file, source))
    }

    fn take(&self, file: &Path, source: io::Result<Source>) -> Result<Loaded, ConfigProblems> {
        let source = source.map_err(|error| unreadable(file, &error))?;
        assemble(Some(source), &Environment::new(self.variables.iter().cloned()), Emptiness::Refused)
    }

    /// Watches the directories that hold the file's name and, behind a symbolic link, its content.
    fn watch_directories(&mut self) {
        let (Some(file), Some(watcher)) = (&self.file, &mut self.watcher) else { return };
        let target = fs::canonicalize(file).ok();
        let mut wanted: Vec<Directory> = Vec::new();
        for path in [file.parent(), target.as_deref().and_then(Path::parent)].into_iter().flatten() {
            if let Ok(metadata) = fs::metadata(path)
                && !wanted.iter().any(|known| known.path == path)
            {
                wanted.push(Directory { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) });
            }
        }
        for gone in self.watched.iter().filter(|known| !wanted.contains(known)) {
            // The watch of a removed directory is gone already.
            let _ = watcher.unwatch(&gone.path);
        }
        wanted.retain(|directory| {
            self.watched.contains(directory)
                || watcher.watch(&directory.path, RecursiveMode::NonRecursive).is_ok()
        });
        self.watched = wanted;
    }
}

/// Reading the file is an event too, and must not lead to reading it again.
fn may_change_content(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

/// Independent of the working directory, which may be moved away.
fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

fn seen(source: &io::Result<Source>) -> Seen {
    source.as_ref().map_or(Seen::Missing, |source| Seen::Content(source.fingerprint()))
}
