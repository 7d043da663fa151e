//! A copy of the whole store while it is in use: one consistent view, read on a thread of its own.

use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, Durability, Key, ReadTransaction, ReadableTable, TableDefinition, TableHandle, Value,
};

use crate::clock;
use crate::store::error::{CommitError, Fault, guarded};
use crate::store::open::{CACHE, beside, create, sync_directory};
use crate::store::schema::{META, SESSIONS, VERSION};
use crate::store::tables::COUNTERS;

/// The key, in the table of the version, of when a backup was made, in milliseconds since the Unix
/// epoch.
pub(super) const MADE_AT: &str = "backup_made_at";

/// How many records are copied in one transaction, so that their pages need not all be in memory.
const STRIDE: usize = 5_000;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub path: PathBuf,
    /// Bytes of the file.
    pub size: u64,
    /// Records in all tables.
    pub records: u64,
}

/// Why there is no backup.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BackupError {
    #[error("cannot read the store: {0}")]
    Store(#[from] CommitError),
    #[error("`{path}` is the store itself: name another file")]
    Itself { path: PathBuf },
    #[error("`{path}` is something else than a backup: name another file, or move it away")]
    Foreign { path: PathBuf },
    #[error("cannot write `{path}`: {reason}")]
    Write { path: PathBuf, reason: String },
}

/// Whether a file may be replaced with a backup: there is none, or it is a database.
pub(super) fn may_replace(path: &Path, store: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::MetadataExt;
    let Ok(there) = std::fs::metadata(path) else { return Ok(()) };
    let same = std::fs::metadata(store).is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino()));
    if same {
        return Err(BackupError::Itself { path: path.to_owned() });
    }
    let mut begin = [0; 4];
    let read =
        std::fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut begin));
    if !there.is_file() || read.is_err() || &begin != b"redb" {
        return Err(BackupError::Foreign { path: path.to_owned() });
    }
    Ok(())
}

/// Writes everything that a transaction sees into a new file, and gives it its name when it is whole.
pub(super) fn write(seen: &ReadTransaction, path: &Path) -> Result<Backup, BackupError> {
    let failed = |reason: String| BackupError::Write { path: path.to_owned(), reason };
    let draft = beside(path, ".partial");
    let copied = guarded(|| {
        let file = create(&draft).map_err(redb::Error::Io)?;
        let mut database =
            Builder::new().set_cache_size(CACHE).create_with_backend(FileBackend::new(file)?)?;
        let records = copy_all(seen, &database)?;
        // What was copied in order leaves half of each page empty.
        database.compact()?;
        Ok(records)
    });
    let records = match copied {
        Ok(records) => records,
        Err(fault) => {
            let _ = std::fs::remove_file(&draft);
            return Err(failed(fault.to_string()));
        }
    };
    std::fs::rename(&draft, path).map_err(|error| failed(error.to_string()))?;
    sync_directory(path);
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    Ok(Backup { path: path.to_owned(), size, records })
}

fn copy_all(seen: &ReadTransaction, to: &Database) -> Result<u64, Fault> {
    let mut records = 0;
    for table in seen.list_tables()? {
        let name = table.name();
        records += match name {
            _ if name == META.name() || name == COUNTERS.name() => {
                copy_table(seen, to, TableDefinition::<&str, u64>::new(name))?
            }
            _ if name == SESSIONS.name() => copy_table(seen, to, SESSIONS)?,
            _ => copy_table(seen, to, TableDefinition::<&str, &[u8]>::new(name))?,
        };
    }
    let transaction = to.begin_write()?;
    let at = u64::try_from(clock::wall().as_millis()).unwrap_or(0);
    transaction.open_table(META)?.insert(MADE_AT, at)?;
    transaction.commit()?;
    Ok(records)
}

fn copy_table<K: Key + 'static, V: Value + 'static>(
    seen: &ReadTransaction,
    to: &Database,
    definition: TableDefinition<'_, K, V>,
) -> Result<u64, Fault> {
    let source = seen.open_table(definition)?;
    let mut entries = source.iter()?;
    let mut copied = 0;
    loop {
        let mut transaction = to.begin_write()?;
        transaction.set_durability(Durability::None)?;
        let mut more = false;
        {
            let mut table = transaction.open_table(definition)?;
            for entry in entries.by_ref().take(STRIDE) {
                let (key, value) = entry?;
                table.insert(key.value(), value.value())?;
                copied += 1;
                more = true;
            }
        }
        transaction.commit()?;
        if !more {
            return Ok(copied);
        }
    }
}

/// The version and the time of a backup, from its tables.
pub(super) fn stamp(database: &Database) -> Result<(u64, Option<u64>), Fault> {
    use redb::ReadableDatabase;
    let meta = database.begin_read()?.open_table(META)?;
    let value = |key: &str| -> Result<Option<u64>, Fault> { Ok(meta.get(key)?.map(|value| value.value())) };
    Ok((value(VERSION)?.unwrap_or(0), value(MADE_AT)?))
}
