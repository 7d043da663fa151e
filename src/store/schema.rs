//! The tables, their version, and the way from an older version to this one.

use std::collections::BTreeMap;

use redb::{
    Database, ReadableDatabase, ReadableTable, TableDefinition, TableError, TableHandle, WriteTransaction,
};

use crate::domain::name::ServiceName;
use crate::domain::time::Timestamp;
use crate::store::KEPT_SESSIONS;
use crate::store::error::Fault;
use crate::store::ledger::Finished;
use crate::store::memory::{Session, States};
use crate::store::record;
use crate::store::tables::COUNTERS;

pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// Service name to state record.
pub(super) const STATES: TableDefinition<&str, &[u8]> = TableDefinition::new("states");
/// [`session_key`] to session record.
pub(super) const SESSIONS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("sessions");

/// The key of the version in [`META`].
pub(super) const VERSION: &str = "schema";
/// The key, in [`META`], of the highest number that events may have had so far.
pub(super) const EVENTS: &str = "events";
/// How many numbers of events are set aside at once: what a process hands out and has no time to
/// write down is never handed out again.
const RESERVED_EVENTS: u64 = 1 << 20;

/// One step of the schema, within the transaction that also writes the new version.
pub(super) type Migration = fn(&WriteTransaction) -> Result<(), redb::Error>;

/// From version 1 to 2, from 2 to 3, and so on.
pub(super) const MIGRATIONS: &[Migration] = &[count_numbers];

/// The version that this WakeDock writes.
pub(super) const NEWEST: u64 = newest(MIGRATIONS);

/// To version 2: the highest number that was given in a table is kept beside it, for a table that is
/// emptied must not begin anew. Sessions and states may say who woke a service, and how long it is
/// kept awake, from now on; a version 1 would lose that.
fn count_numbers(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let own = [META.name(), COUNTERS.name(), STATES.name(), SESSIONS.name()];
    let names: Vec<String> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    let mut counters = transaction.open_table(COUNTERS)?;
    for name in names.iter().filter(|name| !own.contains(&name.as_str())) {
        let table = transaction.open_table(TableDefinition::<&str, &[u8]>::new(name))?;
        let last = table.last()?.and_then(|(key, _)| {
            let key = key.value();
            (key.len() == 20).then(|| key.parse::<u64>().ok()).flatten()
        });
        if let Some(last) = last {
            counters.insert(name.as_str(), last)?;
        }
    }
    Ok(())
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaError {
    #[error("schema {found} is newer than {known}")]
    TooNew { found: u64, known: u64 },
    #[error("it holds another program's tables")]
    Foreign,
    #[error("migration from schema {from} to {to}")]
    Migration {
        from: u64,
        to: u64,
        #[source]
        source: Box<redb::Error>,
    },
    #[error(transparent)]
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for SchemaError {
    fn from(fault: E) -> Self {
        Self::Fault(fault.into())
    }
}

pub(super) const fn newest(migrations: &[Migration]) -> u64 {
    1 + migrations.len() as u64
}

/// The version of a database, where it can be used; `None` for a new one. Writes nothing.
pub(super) fn check(database: &Database, migrations: &[Migration]) -> Result<Option<u64>, SchemaError> {
    let transaction = database.begin_read()?;
    let found = match transaction.open_table(META) {
        Ok(table) => table.get(VERSION)?.map(|value| value.value()),
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(TableError::Storage(error)) => return Err(error.into()),
        // A table of this name that is not ours.
        Err(_) => return Err(SchemaError::Foreign),
    };
    let known = newest(migrations);
    match found {
        Some(found) if found > known => Err(SchemaError::TooNew { found, known }),
        Some(0) => Err(SchemaError::Foreign),
        Some(found) => Ok(Some(found)),
        None if transaction.list_tables()?.next().is_some() => Err(SchemaError::Foreign),
        None => Ok(None),
    }
}

/// Brings a database to the newest version; makes the tables of a new one. Returns the version it had.
pub(super) fn prepare(database: &Database, migrations: &[Migration]) -> Result<Option<u64>, SchemaError> {
    let known = newest(migrations);
    let found = check(database, migrations)?;
    if found == Some(known) {
        return Ok(found);
    }
    let transaction = database.begin_write()?;
    // A new database is made as version 1 is, and goes the same way as all others.
    let from = found.unwrap_or(1);
    if found.is_none() {
        transaction.open_table(STATES)?;
        transaction.open_table(SESSIONS)?;
    }
    for (to, migrate) in (2..).zip(migrations).filter(|(to, _)| *to > from) {
        migrate(&transaction).map_err(|source| SchemaError::Migration {
            from: to - 1,
            to,
            source: Box::new(source),
        })?;
    }
    transaction.open_table(META)?.insert(VERSION, known)?;
    transaction.commit()?;
    Ok(found)
}

/// All states. A record that is not understood is left out, and said so: its service starts with
/// an empty memory.
pub(super) fn load(database: &Database) -> Result<States, Fault> {
    let mut states = States::new();
    for entry in database.begin_read()?.open_table(STATES)?.iter()? {
        let (key, value) = entry?;
        let service = match ServiceName::parse(key.value()) {
            Ok(service) => service,
            Err(error) => {
                tracing::warn!(service = key.value(), %error, "a remembered service has no valid name");
                continue;
            }
        };
        match record::read_state(value.value()) {
            Ok(state) => {
                states.insert(service, state);
            }
            Err(error) => tracing::warn!(%service, %error, "what was remembered of a service is lost"),
        }
    }
    Ok(states)
}

/// Sets numbers of events aside for this process, and returns the first.
pub(super) fn reserve_events(database: &Database) -> Result<u64, Fault> {
    let transaction = database.begin_write()?;
    let next = {
        let mut table = transaction.open_table(META)?;
        let last = table.get(EVENTS)?.map_or(0, |value| value.value());
        table.insert(EVENTS, last + RESERVED_EVENTS)?;
        last + 1
    };
    transaction.commit()?;
    Ok(next)
}

/// The newest session that is over, of each of these services.
pub(super) fn last_sessions(
    database: &Database,
    states: &States,
) -> Result<BTreeMap<ServiceName, Session>, Fault> {
    let mut last = BTreeMap::new();
    for service in states.keys() {
        if let Some((_, session)) = sessions(database, service, None, 1)?.pop() {
            last.insert(service.clone(), session);
        }
    }
    Ok(last)
}

/// Writes states and finished sessions in one commit, and lets go of the oldest sessions.
pub(super) fn save(database: &Database, states: &States, finished: &[Finished]) -> Result<(), Fault> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(STATES)?;
        for (service, state) in states {
            let bytes = record::write_state(state).map_err(Fault::Record)?;
            table.insert(service.as_str(), bytes.as_slice())?;
        }
    }
    if !finished.is_empty() {
        let mut table = transaction.open_table(SESSIONS)?;
        for Finished { service, number, session } in finished {
            let bytes = record::write_session(session).map_err(Fault::Record)?;
            table.insert(session_key(service, *number).as_slice(), bytes.as_slice())?;
            if let Some(oldest) = number.checked_sub(KEPT_SESSIONS) {
                let (first, last) = (session_key(service, 0), session_key(service, oldest));
                table.retain_in(first.as_slice()..=last.as_slice(), |_, _| false)?;
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Takes out the oldest sessions of each service that began before `cutoff`.
pub(super) fn remove_sessions(
    transaction: &WriteTransaction,
    cutoff: Timestamp,
    limit: usize,
) -> Result<usize, Fault> {
    let mut table = transaction.open_table(SESSIONS)?;
    let mut old = Vec::new();
    // From one to the next: sessions of a service lie together, in order of age.
    let mut from = Vec::new();
    while old.len() < limit {
        let Some(entry) = table.range(from.as_slice()..)?.next() else { break };
        let (key, value) = entry?;
        let key = key.value();
        let is_old = record::read_session(value.value()).map_or(true, |session| session.ordered_at < cutoff);
        if is_old {
            old.push(key.to_vec());
            from = [key, &[0]].concat();
        } else {
            // The others of this service are newer.
            let name = key.iter().position(|byte| *byte == 0).unwrap_or(key.len());
            from = [&key[..name], &[1]].concat();
        }
    }
    for key in &old {
        table.remove(key.as_slice())?;
    }
    Ok(old.len())
}

/// The newest finished sessions of a service, the newest first.
pub(super) fn sessions(
    database: &Database,
    service: &ServiceName,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<(u64, Session)>, Fault> {
    let (first, end) = (session_key(service, 0), session_key(service, before.unwrap_or(u64::MAX)));
    let table = database.begin_read()?.open_table(SESSIONS)?;
    let mut sessions = Vec::new();
    for entry in table.range(first.as_slice()..end.as_slice())?.rev().take(limit) {
        let (key, record) = entry?;
        let number = key.value().last_chunk().map_or(0, |number| u64::from_be_bytes(*number));
        match record::read_session(record.value()) {
            Ok(session) => sessions.push((number, session)),
            Err(error) => tracing::warn!(%service, %error, "a session in the history is not readable"),
        }
    }
    Ok(sessions)
}

/// The name, a zero byte (no name holds one) and the number, big-endian: in order of age.
fn session_key(service: &ServiceName, number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(service.as_str().len() + 9);
    key.extend_from_slice(service.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use redb::ReadableTableMetadata;
    use redb::backends::InMemoryBackend;

    use super::*;

    const NOTES: TableDefinition<&str, &str> = TableDefinition::new("notes");

    fn database() -> Database {
        Database::builder().create_with_backend(InMemoryBackend::new()).unwrap()
    }

    fn add_notes(transaction: &WriteTransaction) -> Result<(), redb::Error> {
        transaction.open_table(NOTES)?.insert("made by", "2")?;
        Ok(())
    }

    fn rewrite_notes(transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut notes = transaction.open_table(NOTES)?;
        let before = notes.get("made by")?.map(|value| value.value().to_owned()).unwrap_or_default();
        notes.insert("made by", format!("{before}, 3").as_str())?;
        Ok(())
    }

    fn note(database: &Database) -> String {
        let table = database.begin_read().unwrap().open_table(NOTES).unwrap();
        table.get("made by").unwrap().unwrap().value().to_owned()
    }

    #[test]
    fn each_migration_runs_once_and_in_order() {
        let database = database();
        prepare(&database, &[]).unwrap();
        assert_eq!(check(&database, &[]).unwrap(), Some(1));
        prepare(&database, &[add_notes]).unwrap();
        assert_eq!(note(&database), "2");
        prepare(&database, &[add_notes, rewrite_notes]).unwrap();
        prepare(&database, &[add_notes, rewrite_notes]).unwrap();
        assert_eq!(note(&database), "2, 3");
        assert_eq!(check(&database, &[add_notes, rewrite_notes]).unwrap(), Some(3));
    }

    #[test]
    fn a_new_database_goes_the_whole_way() {
        let database = database();
        prepare(&database, &[add_notes, rewrite_notes]).unwrap();
        assert_eq!(note(&database), "2, 3");
        assert!(load(&database).unwrap().is_empty());
    }

    #[test]
    fn a_failed_migration_changes_nothing() {
        fn fails(transaction: &WriteTransaction) -> Result<(), redb::Error> {
            add_notes(transaction)?;
            Err(redb::Error::Corrupted("half done".into()))
        }
        let database = database();
        prepare(&database, &[]).unwrap();
        let error = prepare(&database, &[fails]).unwrap_err();
        assert!(matches!(error, SchemaError::Migration { from: 1, to: 2, .. }), "{error}");
        assert_eq!(check(&database, &[]).unwrap(), Some(1));
        let transaction = database.begin_read().unwrap();
        assert!(transaction.open_table(NOTES).is_err());
        assert_eq!(transaction.open_table(STATES).unwrap().len().unwrap(), 0);
    }

    #[test]
    fn a_newer_or_foreign_database_is_refused() {
        let newer = database();
        prepare(&newer, &[add_notes]).unwrap();
        assert!(matches!(check(&newer, &[]).unwrap_err(), SchemaError::TooNew { found: 2, known: 1 }));

        let foreign = database();
        let transaction = foreign.begin_write().unwrap();
        transaction.open_table(NOTES).unwrap();
        transaction.commit().unwrap();
        assert!(matches!(prepare(&foreign, &[]).unwrap_err(), SchemaError::Foreign));
    }
}
