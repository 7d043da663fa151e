//! From a path, or a backend, to an open database.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, StorageBackend};

use crate::domain::name::ServiceName;
use crate::store::error::{Fault, OpenStoreError, guarded};
use crate::store::memory::{Session, States};
use crate::store::rehearsal::Rehearsal;
use crate::store::schema::{self, MIGRATIONS, NEWEST, SchemaError};

/// redb would take 1 GiB; the whole file is rarely larger than this.
pub(super) const CACHE: usize = 1 << 20;

/// Opens the database, for the first time and after each fault.
pub(super) struct Opener {
    /// For messages.
    path: PathBuf,
    open: Box<dyn Fn() -> Result<Database, OpenStoreError> + Send>,
}

/// A database and what is read from it at the start.
pub(super) struct Loaded {
    pub(super) database: Database,
    pub(super) states: States,
    /// The newest session that is over, of each service.
    pub(super) last: BTreeMap<ServiceName, Session>,
    /// The first number that events of this process may have.
    pub(super) next_event: u64,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Opener {
    pub(super) fn file(path: &Path) -> Self {
        let own = path.to_owned();
        Self { path: path.to_owned(), open: Box::new(move || open_file(&own)) }
    }

    pub(super) fn backend<B: StorageBackend>(
        factory: impl Fn() -> std::io::Result<B> + Send + 'static,
    ) -> Self {
        let path = PathBuf::from("backend");
        let own = path.clone();
        let open = move || {
            let backend = factory().map_err(|source| file_error(&own, source))?;
            open_backend(&own, backend, true).map(|(database, _)| database)
        };
        Self { path, open: Box::new(open) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn open(&self) -> Result<Database, OpenStoreError> {
        (self.open)()
    }

    pub(super) fn open_and_load(&self) -> Result<Loaded, OpenStoreError> {
        let database = self.open()?;
        let loaded = guarded(|| {
            let states = schema::load(&database)?;
            let last = schema::last_sessions(&database, &states)?;
            let next_event = schema::reserve_events(&database)?;
            Ok((states, last, next_event))
        });
        let (states, last, next_event) = loaded.map_err(|fault| from_fault(&self.path, fault))?;
        Ok(Loaded { database, states, last, next_event })
    }
}

fn open_file(path: &Path) -> Result<Database, OpenStoreError> {
    let error = |source| file_error(path, source);
    let directory = directory_of(path);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| OpenStoreError::Directory { path: directory.to_owned(), source })?;
    if is_absent(path).map_err(error)? {
        make(path, directory)?;
    }
    let file = open_read_write(path).map_err(error)?;
    tighten(path, &file).map_err(error)?;
    let rehearsal = Rehearsal::new(backend(path, file)?).map_err(error)?;
    let (rehearsed, found) = open_backend(path, rehearsal, true)?;
    if let Some(from) = found.filter(|found| *found < NEWEST) {
        // The file is locked and as it was: the migration so far is one in memory.
        let kept = keep_copy(path, from).map_err(error)?;
        tracing::info!(from, to = NEWEST, backup = %kept.display(), "migrating the store");
    }
    drop(rehearsed);
    Ok(open_backend(path, backend(path, open_read_write(path).map_err(error)?)?, false)?.0)
}

/// What a migration changes, or would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    pub from: u64,
    pub to: u64,
    /// The file as it was, where it was changed.
    pub backup: Option<PathBuf>,
}

/// Brings the file of a store to the version that this WakeDock writes, as [`crate::store::Store::open`]
/// does too. With `check` it only tries: the file stays as it is.
///
/// # Errors
/// As [`crate::store::Store::open`]; also where there is no file.
pub fn migrate(path: &Path, check: bool) -> Result<Migrated, OpenStoreError> {
    let error = |source| file_error(path, source);
    let file = backend(path, open_read_write(path).map_err(error)?)?;
    let (rehearsed, found) = open_backend(path, Rehearsal::new(file).map_err(error)?, true)?;
    drop(rehearsed);
    let from = found.unwrap_or(NEWEST);
    if check || from == NEWEST {
        return Ok(Migrated { from, to: NEWEST, backup: None });
    }
    drop(open_file(path)?);
    Ok(Migrated { from, to: NEWEST, backup: Some(beside(path, &format!(".v{from}.bak"))) })
}

/// A name beside a file.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Keeps a copy of a file of an older version, for the way back.
fn keep_copy(path: &Path, version: u64) -> std::io::Result<PathBuf> {
    let kept = beside(path, &format!(".v{version}.bak"));
    let draft = beside(&kept, ".new");
    copy(path, &draft)?;
    std::fs::rename(&draft, &kept)?;
    sync_directory(&kept);
    Ok(kept)
}

/// Copies a file that only its owner may read, over what is there, down to the disk.
pub(super) fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut source = File::open(from)?;
    let mut copy = create(to)?;
    std::io::copy(&mut source, &mut copy)?;
    copy.sync_all()
}

/// Makes a file that only its owner may read, in place of one that is there.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// The directory of a file.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The new name of a file must survive a power cut too. Not every file system can be asked for that.
pub(super) fn sync_directory(path: &Path) {
    if let Err(error) = File::open(directory_of(path)).and_then(|directory| directory.sync_all()) {
        tracing::warn!(path = %path.display(), %error, "cannot sync the directory of the file");
    }
}

fn is_absent(path: &Path) -> std::io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file() && metadata.len() == 0),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Makes a new database under another name and moves it into its place: cut off half way, the
/// making leaves nothing behind that the next start would take for a damaged database.
fn make(path: &Path, directory: &Path) -> Result<(), OpenStoreError> {
    let error = |source| file_error(path, source);
    let directory = File::open(directory).map_err(error)?;
    // One maker at a time. Not every file system knows this lock; there the last one wins.
    let _ = directory.lock();
    if !is_absent(path).map_err(error)? {
        return Ok(());
    }
    let draft = beside(path, ".new");
    let file = create(&draft).map_err(error)?;
    drop(open_backend(path, backend(path, file)?, false)?);
    std::fs::rename(&draft, path).map_err(error)?;
    sync_directory(path);
    Ok(())
}

/// A restored backup may be readable for others.
fn tighten(path: &Path, file: &File) -> std::io::Result<()> {
    if file.metadata()?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    // Not possible where the file belongs to somebody else, who then knows what he does.
    if let Err(error) = file.set_permissions(Permissions::from_mode(0o600)) {
        tracing::warn!(path = %path.display(), %error, "others may read what WakeDock remembers");
    }
    Ok(())
}

pub(super) fn open_read_write(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

pub(super) fn backend(path: &Path, file: File) -> Result<FileBackend, OpenStoreError> {
    FileBackend::new(file).map_err(|error| from_redb(path, error.into()))
}

/// Opens a database and brings it to the newest version; returns the one it had. `verify`: reads every
/// page and compares its checksum. Without it redb trusts the file.
pub(super) fn open_backend(
    path: &Path,
    backend: impl StorageBackend,
    verify: bool,
) -> Result<(Database, Option<u64>), OpenStoreError> {
    let opened = guarded(|| {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE).set_check_integrity_on_open(verify);
        let database = builder.create_with_backend(backend)?;
        Ok(schema::prepare(&database, MIGRATIONS).map(|found| (database, found)))
    });
    match opened {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(error)) => Err(from_schema(path, error)),
        Err(fault) => Err(from_fault(path, fault)),
    }
}

fn from_schema(path: &Path, error: SchemaError) -> OpenStoreError {
    let path = path.to_owned();
    match error {
        SchemaError::TooNew { found, known } => OpenStoreError::TooNew { path, found, known },
        SchemaError::Migration { from, to, source } => OpenStoreError::Migration { path, from, to, source },
        SchemaError::Fault(fault) => from_fault(&path, fault),
        foreign @ SchemaError::Foreign => OpenStoreError::Damaged { path, detail: foreign.to_string() },
    }
}

pub(super) fn from_fault(path: &Path, fault: Fault) -> OpenStoreError {
    match fault {
        Fault::Redb(error) => from_redb(path, *error),
        fault @ (Fault::Panicked(_) | Fault::Record(_)) => {
            OpenStoreError::Damaged { path: path.to_owned(), detail: fault.to_string() }
        }
    }
}

fn from_redb(path: &Path, error: redb::Error) -> OpenStoreError {
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            OpenStoreError::Locked { path: path.to_owned() }
        }
        redb::Error::Io(source) => file_error(path, source),
        other => OpenStoreError::Damaged { path: path.to_owned(), detail: other.to_string() },
    }
}

/// What redb reports of a file that is too short, or does not begin as a database does, are I/O
/// errors of these kinds.
pub(super) fn file_error(path: &Path, source: std::io::Error) -> OpenStoreError {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            OpenStoreError::Damaged { path, detail: source.to_string() }
        }
        _ => OpenStoreError::File { path, source },
    }
}
