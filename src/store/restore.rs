//! A backup takes the place of a store: looked through first, then swapped in one step, and what was
//! there is kept.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, TableHandle,
};

use crate::clock;
use crate::domain::name::ServiceName;
use crate::domain::time::Timestamp;
use crate::store::OpenStoreError;
use crate::store::backup::stamp;
use crate::store::error::{Fault, guarded};
use crate::store::open::{
    backend, beside, copy, directory_of, file_error, from_fault, open_backend, open_read_write,
    sync_directory,
};
use crate::store::record;
use crate::store::rehearsal::Rehearsal;
use crate::store::schema::{EVENTS, META, NEWEST, SESSIONS, STATES};
use crate::store::tables::{COUNTERS, Reading, StorageFault, Writing};

/// Restores within one second whose old stores are told apart.
const SAME_SECOND: usize = 100;
/// How many records that are not understood are named.
const NAMED: usize = 10;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The version of its schema, and the one that it is brought to.
    pub schema: u64,
    pub newest: u64,
    /// When it was made; `None` for a plain copy of a store's file.
    pub made_at: Option<Timestamp>,
    /// Bytes.
    pub size: u64,
    /// Records by table.
    pub tables: BTreeMap<String, u64>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced<T> {
    pub report: Report,
    /// What was in its place before.
    pub kept: Option<PathBuf>,
    /// What came of settling it.
    pub settled: T,
}

/// What a backup takes the place of.
#[derive(Debug)]
pub enum Before<'a> {
    Nothing,
    /// A store that is damaged, or of a newer WakeDock.
    Unreadable,
    Store(&'a Reading<'a>),
}

/// Why nothing was replaced.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup cannot be used.
    #[error(transparent)]
    Backup(OpenStoreError),
    #[error(
        "`{path}` holds records that are not understood ({}): restore another backup",
        records.join(", ")
    )]
    Unreadable { path: PathBuf, records: Vec<String> },
    #[error("`{path}` is in use: stop WakeDock first")]
    InUse { path: PathBuf },
    #[error("`{path}` is the store itself: name a backup")]
    Itself { path: PathBuf },
    #[error("cannot write `{path}`")]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Looks a backup through: it opens, its schema is known and can be brought to the newest, every page
/// has its checksum, and every record is understood. Changes nothing.
///
/// # Errors
/// Says what is wrong with it.
pub fn check(backup: &Path) -> Result<Report, RestoreError> {
    let io = |source| RestoreError::Backup(file_error(backup, source));
    let size = std::fs::metadata(backup).map_err(io)?.len();
    let file = open_read_write(backup).map_err(io)?;
    let file = backend(backup, file).map_err(RestoreError::Backup)?;
    let rehearsal = Rehearsal::new(file).map_err(io)?;
    let (database, found) = open_backend(backup, rehearsal, true).map_err(RestoreError::Backup)?;
    let Some(schema) = found else {
        let (path, detail) = (backup.to_owned(), "it is empty".to_owned());
        return Err(RestoreError::Backup(OpenStoreError::Damaged { path, detail }));
    };
    let looked = guarded(|| Ok((stamp(&database)?, look_through(&database)?)));
    let ((_, made_at), (tables, records)) =
        looked.map_err(|fault| RestoreError::Backup(from_fault(backup, fault)))?;
    if !records.is_empty() {
        return Err(RestoreError::Unreadable { path: backup.to_owned(), records });
    }
    let made_at = made_at.and_then(|at| i64::try_from(at).ok()).map(Timestamp::from_millis);
    Ok(Report { schema, newest: NEWEST, made_at, size, tables })
}

type Looked = (BTreeMap<String, u64>, Vec<String>);

/// Reads every record; how many there are, and which are not understood.
fn look_through(database: &Database) -> Result<Looked, Fault> {
    let seen = database.begin_read()?;
    let mut tables = BTreeMap::new();
    let mut bad = Vec::new();
    let mut note = |table: &str, key: &str| {
        if bad.len() < NAMED {
            bad.push(format!("`{key}` in `{table}`"));
        }
    };
    for handle in seen.list_tables()? {
        let name = handle.name();
        let mut count = 0;
        if name == META.name() || name == COUNTERS.name() {
            for entry in seen.open_table(TableDefinition::<&str, u64>::new(name))?.iter()? {
                entry?;
                count += 1;
            }
        } else if name == SESSIONS.name() {
            for entry in seen.open_table(SESSIONS)?.iter()? {
                let (key, value) = entry?;
                count += 1;
                if record::read_session(value.value()).is_err() {
                    note(name, &String::from_utf8_lossy(key.value()));
                }
            }
        } else {
            for entry in seen.open_table(TableDefinition::<&str, &[u8]>::new(name))?.iter()? {
                let (key, value) = entry?;
                count += 1;
                let understood = if name == STATES.name() {
                    ServiceName::parse(key.value()).is_ok() && record::read_state(value.value()).is_ok()
                } else {
                    serde_json::from_slice::<serde::de::IgnoredAny>(value.value()).is_ok()
                };
                if !understood {
                    note(name, key.value());
                }
            }
        }
        tables.insert(name.to_owned(), count);
    }
    Ok((tables, bad))
}

/// Puts a backup in the place of a store that nobody uses. What was there is kept beside it, as
/// `….before-restore-<time>`. Where anything is wrong, nothing is replaced.
///
/// `settle` changes what comes back, in view of what it replaces; it is called again, as if that were
/// not readable, where reading it fails.
///
/// # Errors
/// Says what stands against it.
pub fn replace<T>(
    backup: &Path,
    store: &Path,
    settle: impl Fn(&Writing<'_>, &Before<'_>) -> Result<T, StorageFault>,
) -> Result<Replaced<T>, RestoreError> {
    let write = |source| RestoreError::Write { path: store.to_owned(), source };
    let directory = directory_of(store);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(write)?;
    // Nobody makes a new store meanwhile. Not every file system knows this lock.
    let guard = File::open(directory).map_err(write)?;
    let _ = guard.lock();
    let old = Old::take(backup, store)?;
    let draft = beside(store, ".restoring");
    let swapped = copy(backup, &draft).map_err(write).and_then(|()| {
        let report = check(&draft).map_err(|error| name_backup(error, backup))?;
        let settled = finish(&draft, &old, &settle).map_err(RestoreError::Backup)?;
        own_as(&draft, store).map_err(write)?;
        let kept = old.keep(store).map_err(write)?;
        std::fs::rename(&draft, store).map_err(write)?;
        sync_directory(store);
        Ok(Replaced { report, kept, settled })
    });
    if swapped.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    swapped
}

/// The store that is to be replaced, locked.
struct Old {
    exists: bool,
    /// `None`: it cannot be read.
    database: Option<Database>,
    /// Never read: it holds the lock until it is dropped.
    _lock: Option<Box<dyn StorageBackend>>,
}

impl Old {
    fn take(backup: &Path, store: &Path) -> Result<Self, RestoreError> {
        let write = |source| RestoreError::Write { path: store.to_owned(), source };
        let Ok(there) = std::fs::metadata(store) else {
            return Ok(Self { exists: false, database: None, _lock: None });
        };
        if std::fs::metadata(backup).is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino())) {
            return Err(RestoreError::Itself { path: store.to_owned() });
        }
        let open = || backend(store, open_read_write(store).map_err(|error| file_error(store, error))?);
        let rehearsed = open().and_then(|file| {
            let file = Rehearsal::new(file).map_err(|error| file_error(store, error))?;
            open_backend(store, file, false)
        });
        let unreadable = Self { exists: true, database: None, _lock: None };
        match rehearsed {
            Ok((database, _)) => Ok(Self { database: Some(database), ..unreadable }),
            Err(OpenStoreError::Locked { .. }) => Err(RestoreError::InUse { path: store.to_owned() }),
            // Damaged, most likely: that is what backups are for. Its lock counts all the same.
            Err(_) => {
                let Ok(file) = open() else { return Ok(unreadable) };
                match file.try_lock_range(Bound::Unbounded, Bound::Unbounded) {
                    Ok(false) => Err(RestoreError::InUse { path: store.to_owned() }),
                    Ok(true) => Ok(Self { _lock: Some(Box::new(file)), ..unreadable }),
                    Err(redb::BackendError::Io(error)) => Err(write(error)),
                    Err(_) => Ok(unreadable),
                }
            }
        }
    }

    /// Gives it another name beside its own, where it stays.
    fn keep(&self, store: &Path) -> std::io::Result<Option<PathBuf>> {
        if !self.exists {
            return Ok(None);
        }
        let at = jiff::Timestamp::from_millisecond(clock::wall().as_millis()).unwrap_or_default();
        let name = format!(".before-restore-{}", at.strftime("%Y%m%dT%H%M%SZ"));
        // What an earlier restore kept stays, also where that was in the same second.
        for number in 0..SAME_SECOND {
            let more = if number == 0 { String::new() } else { format!(".{number}") };
            let kept = beside(store, &format!("{name}{more}"));
            match give_name(store, &kept) {
                Ok(()) => return Ok(Some(kept)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }
}

/// A second name leaves no moment without a store; not every file system has that. Takes nobody's.
fn give_name(store: &Path, kept: &Path) -> std::io::Result<()> {
    match std::fs::hard_link(store, kept) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        Err(_) if kept.symlink_metadata().is_ok() => Err(ErrorKind::AlreadyExists.into()),
        Err(_) => std::fs::rename(store, kept),
    }
}

/// The highest numbers that a store has given: of events, and of each table.
type Numbers = BTreeMap<Option<String>, u64>;

fn numbers(seen: &ReadTransaction) -> Result<Numbers, Fault> {
    let mut numbers = Numbers::new();
    numbers.extend(seen.open_table(META)?.get(EVENTS)?.map(|value| (None, value.value())));
    for entry in seen.open_table(COUNTERS)?.iter()? {
        let (table, last) = entry?;
        numbers.insert(Some(table.value().to_owned()), last.value());
    }
    Ok(numbers)
}

/// Brings the new file to the newest version, and settles it. What gets a number after it gets one that
/// the store that is replaced has not given; where that cannot be asked, one far beyond those of the
/// backup.
fn finish<T>(
    draft: &Path,
    old: &Old,
    settle: &impl Fn(&Writing<'_>, &Before<'_>) -> Result<T, StorageFault>,
) -> Result<T, OpenStoreError> {
    const FAR: u64 = 1 << 32;
    let file = open_read_write(draft).map_err(|error| file_error(draft, error))?;
    let (database, _) = open_backend(draft, backend(draft, file)?, false)?;
    let attempt = |before: &Before<'_>| {
        guarded(|| {
            let mut next = numbers(&database.begin_read()?)?;
            match before {
                Before::Nothing => {}
                Before::Unreadable => {
                    next.entry(None).or_default();
                    next.values_mut().for_each(|number| *number = number.saturating_add(FAR));
                }
                Before::Store(seen) => {
                    for (what, number) in numbers(seen.0)? {
                        let own = next.entry(what).or_default();
                        *own = number.max(*own);
                    }
                }
            }
            let transaction = database.begin_write()?;
            {
                let (mut meta, mut counters) =
                    (transaction.open_table(META)?, transaction.open_table(COUNTERS)?);
                for (what, number) in &next {
                    match what {
                        None => meta.insert(EVENTS, number)?,
                        Some(table) => counters.insert(table.as_str(), number)?,
                    };
                }
            }
            let settled = settle(&Writing(&transaction), before).map_err(|StorageFault(fault)| fault)?;
            transaction.commit()?;
            Ok(settled)
        })
    };
    let seen = old.database.as_ref().map(|database| guarded(|| Ok(database.begin_read()?)));
    let done = match (seen, old.exists) {
        (Some(Ok(seen)), _) => {
            attempt(&Before::Store(&Reading(&seen))).or_else(|_| attempt(&Before::Unreadable))
        }
        (_, true) => attempt(&Before::Unreadable),
        (_, false) => attempt(&Before::Nothing),
    };
    done.map_err(|fault| from_fault(draft, fault))
}

/// Root may restore for the user that WakeDock runs as.
fn own_as(draft: &Path, store: &Path) -> std::io::Result<()> {
    let like = std::fs::metadata(store).or_else(|_| std::fs::metadata(directory_of(store)))?;
    let own = std::fs::metadata(draft)?;
    if (own.uid(), own.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    std::os::unix::fs::chown(draft, Some(like.uid()), Some(like.gid()))
}

/// The problem is the backup's, not its copy's.
fn name_backup(error: RestoreError, backup: &Path) -> RestoreError {
    use OpenStoreError as Open;
    let path = backup.to_owned();
    match error {
        RestoreError::Unreadable { records, .. } => RestoreError::Unreadable { path, records },
        RestoreError::Backup(error) => RestoreError::Backup(match error {
            Open::Damaged { detail, .. } => Open::Damaged { path, detail },
            Open::TooNew { found, known, .. } => Open::TooNew { path, found, known },
            Open::Migration { from, to, source, .. } => Open::Migration { path, from, to, source },
            other => other,
        }),
        other => other,
    }
}
