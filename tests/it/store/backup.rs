//! Backups, and what takes their place.

use std::path::{Path, PathBuf};

use redb::{Database, TableDefinition};
use tempfile::{TempDir, tempdir};
use wakedock::store::restore::{self, RestoreError};
use wakedock::store::{BackupError, Interrupted, OpenStoreError, Order, Store, Table};

use super::files::mode;
use super::{name, quiet, session, soon};

const USERS: Table<String> = Table::new("users");

type Never = std::convert::Infallible;

async fn add(store: &Store, user: &str) {
    let user = user.to_owned();
    let put = store.change(move |tables| Ok::<_, Interrupted<Never>>(tables.put(&USERS, &user, &user)?));
    put.await.unwrap();
}

async fn users(store: &Store) -> Vec<String> {
    let read = store
        .read(|tables| Ok::<_, Interrupted<Never>>(tables.scan(&USERS, .., Order::Ascending, 100_000)?));
    read.await.unwrap().into_iter().map(|(key, _)| key).collect()
}

fn replace(backup: &Path, store: &Path) -> Result<restore::Replaced<()>, RestoreError> {
    restore::replace(backup, store, |_, _| Ok(()))
}

/// A store with something in it, and a backup of that.
async fn backed_up() -> (TempDir, PathBuf, PathBuf) {
    let directory = tempdir().unwrap();
    let (path, backup) = (directory.path().join("s.redb"), directory.path().join("b.redb"));
    let (store, _) = Store::open(&path).unwrap();
    for seconds in 0..40 {
        session(&store, "cloud", seconds * 10);
    }
    store.activities(vec![(name("cloud"), quiet(7))]).await.unwrap();
    add(&store, "ada").await;
    let made = store.backup(&backup).await.unwrap();
    assert!(made.records > 40 && made.size == std::fs::metadata(&backup).unwrap().len(), "{made:?}");
    store.close().await.unwrap();
    (directory, path, backup)
}

/// What is in the directory, by name.
fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_is_a_whole_store_of_its_own() {
    let (directory, _, backup) = backed_up().await;
    assert_eq!(mode(&backup), 0o600);
    assert_eq!(names(directory.path()), ["b.redb", "s.redb"], "no draft is left");
    let report = restore::check(&backup).unwrap();
    assert_eq!((report.schema, report.newest), (2, 2));
    assert!(report.made_at.is_some());
    assert_eq!((report.tables["users"], report.tables["sessions"], report.tables["states"]), (1, 40, 1));
    let (store, remembered) = Store::open(&backup).unwrap();
    assert_eq!(remembered.services[&name("cloud")].activity, Some(quiet(7)));
    assert_eq!(store.sessions(name("cloud"), 100).await.unwrap().len(), 40);
    assert_eq!(users(&store).await, ["ada"]);
}

#[tokio::test]
async fn a_backup_is_one_moment_while_writing_goes_on() {
    let directory = tempdir().unwrap();
    let (path, backup) = (directory.path().join("s.redb"), directory.path().join("b.redb"));
    let (store, _) = Store::open(&path).unwrap();
    let many = store.change(|tables| {
        for number in 0..20_000 {
            tables.put(&USERS, &format!("{number:06}"), &"x".repeat(100))?;
        }
        Ok::<_, Interrupted<Never>>(())
    });
    many.await.unwrap();
    // Each of these moves one user from the front to the end: a view of one moment has 20,000.
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 0..500 {
                let moved = store.change(move |tables| {
                    tables.remove(&USERS, &format!("{number:06}"))?;
                    tables.put(&USERS, &format!("z{number:06}"), &"y".to_owned())?;
                    Ok::<_, Interrupted<Never>>(())
                });
                moved.await.unwrap();
            }
        }
    });
    let mut written = 0;
    while !writer.is_finished() && written < 3 {
        let made = store.backup(&backup).await.unwrap();
        assert!(made.records >= 20_000);
        let (copy, _) = Store::open(&backup).unwrap();
        let found = users(&copy).await;
        assert_eq!(found.len(), 20_000);
        let moved = found.iter().filter(|user| user.starts_with('z')).count();
        assert_eq!(found[0], format!("{moved:06}"));
        copy.close().await.unwrap();
        written += 1;
    }
    assert!(written > 0);
    writer.await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_backup_overwrites_no_store_and_no_stranger() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s.redb");
    let (store, _) = Store::open(&path).unwrap();
    assert!(matches!(store.backup(&path).await, Err(BackupError::Itself { .. })));
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(store.backup(&link).await, Err(BackupError::Itself { .. })));
    let letter = directory.path().join("letter.txt");
    std::fs::write(&letter, "dear Ada").unwrap();
    assert!(matches!(store.backup(&letter).await, Err(BackupError::Foreign { .. })));
    assert_eq!(std::fs::read_to_string(&letter).unwrap(), "dear Ada");
    let nowhere = directory.path().join("none/b.redb");
    assert!(matches!(store.backup(&nowhere).await, Err(BackupError::Write { .. })));
    store.close().await.unwrap();
    let late = soon(store.backup(&directory.path().join("b.redb"))).await;
    assert!(matches!(late, Err(BackupError::Store(_))), "{late:?}");
}

#[tokio::test]
async fn a_backup_takes_the_place_of_a_store_which_is_kept() {
    let (directory, path, backup) = backed_up().await;
    let (store, before) = Store::open(&path).unwrap();
    add(&store, "bob").await;
    store.close().await.unwrap();
    let replaced = replace(&backup, &path).unwrap();
    let (store, remembered) = Store::open(&path).unwrap();
    assert_eq!(users(&store).await, ["ada"]);
    assert!(remembered.next_event > before.next_event, "numbers of events are not given twice");
    store.close().await.unwrap();
    assert_eq!(mode(&path), 0o600);
    let kept = replaced.kept.unwrap();
    assert!(kept.to_str().unwrap().contains("s.redb.before-restore-"));
    let (old, _) = Store::open(&kept).unwrap();
    assert_eq!(users(&old).await, ["ada", "bob"]);
    old.close().await.unwrap();
    assert_eq!(names(directory.path()).len(), 3);
}

#[tokio::test]
async fn a_backup_goes_where_nothing_was_or_where_it_is_broken() {
    let (directory, path, backup) = backed_up().await;
    let fresh = directory.path().join("new/data/wakedock.redb");
    let replaced = replace(&backup, &fresh).unwrap();
    assert_eq!(replaced.kept, None);
    let (store, _) = Store::open(&fresh).unwrap();
    assert_eq!(users(&store).await, ["ada"]);
    store.close().await.unwrap();

    let broken = std::fs::read(&path).unwrap()[..5_000].to_vec();
    std::fs::write(&path, &broken).unwrap();
    let kept = replace(&backup, &path).unwrap().kept.unwrap();
    assert!(std::fs::read(kept).unwrap() == broken);
    let (store, _) = Store::open(&path).unwrap();
    assert_eq!(users(&store).await, ["ada"]);
    store.close().await.unwrap();
}

#[tokio::test]
async fn nothing_is_replaced_while_wakedock_runs() {
    let (directory, path, backup) = backed_up().await;
    let (store, _) = Store::open(&path).unwrap();
    let error = replace(&backup, &path).unwrap_err();
    assert!(matches!(&error, RestoreError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("stop WakeDock first"), "{error}");
    add(&store, "bob").await;
    store.close().await.unwrap();
    assert!(matches!(replace(&path, &path), Err(RestoreError::Itself { .. })));
    assert_eq!(names(directory.path()), ["b.redb", "s.redb"]);
}

/// Whatever is wrong with a backup: it is named, and nothing is replaced.
#[tokio::test]
async fn a_bad_backup_replaces_nothing() {
    let (directory, path, backup) = backed_up().await;
    let (before, whole) = (std::fs::read(&path).unwrap(), std::fs::read(&backup).unwrap());
    let refused = |what: &str| {
        let checked = restore::check(&backup).unwrap_err();
        let error = replace(&backup, &path).unwrap_err();
        assert_eq!(checked.to_string(), error.to_string(), "{what}");
        assert!(error.to_string().contains("b.redb"), "{what}: {error}");
        assert!(std::fs::read(&path).unwrap() == before, "{what}");
        assert_eq!(names(directory.path()), ["b.redb", "s.redb"], "{what}");
        error
    };
    for short in [whole.len() / 2, 4096, 7, 0] {
        std::fs::write(&backup, &whole[..short]).unwrap();
        refused(&format!("{short} bytes of it"));
    }
    let mut found = 0;
    for start in (4096..whole.len()).step_by(4096) {
        let mut damaged = whole.clone();
        damaged[start..start + 100].fill(0xa5);
        std::fs::write(&backup, &damaged).unwrap();
        if restore::check(&backup).is_err() {
            refused(&format!("damage at {start}"));
            found += 1;
        }
    }
    assert!(found > 5, "{found} damages found");

    std::fs::remove_file(&backup).unwrap();
    let foreign = Database::create(&backup).unwrap();
    let transaction = foreign.begin_write().unwrap();
    transaction.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(foreign);
    refused("another program's");

    edit(&backup, &whole, |transaction| {
        let meta: TableDefinition<&str, u64> = TableDefinition::new("meta");
        transaction.open_table(meta).unwrap().insert("schema", 99).unwrap();
    });
    let error = refused("too new");
    assert!(matches!(error, RestoreError::Backup(OpenStoreError::TooNew { found: 99, .. })), "{error:?}");

    edit(&backup, &whole, |transaction| {
        let states: TableDefinition<&str, &[u8]> = TableDefinition::new("states");
        transaction.open_table(states).unwrap().insert("cloud", b"{}".as_slice()).unwrap();
        let users: TableDefinition<&str, &[u8]> = TableDefinition::new("users");
        transaction.open_table(users).unwrap().insert("eve", b"not json".as_slice()).unwrap();
    });
    let error = refused("unreadable records");
    let RestoreError::Unreadable { records, .. } = &error else { panic!("{error:?}") };
    assert_eq!(records, &["`cloud` in `states`", "`eve` in `users`"]);
}

/// Puts the backup back, and changes it with redb alone.
fn edit(backup: &Path, whole: &[u8], change: impl FnOnce(&redb::WriteTransaction)) {
    std::fs::write(backup, whole).unwrap();
    let database = Database::open(backup).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

/// A backup of version 1 is brought to the newest on its way, and stays as it is.
#[tokio::test]
async fn an_old_backup_is_migrated_on_the_way() {
    let directory = tempdir().unwrap();
    let (backup, path) = (directory.path().join("b.redb"), directory.path().join("s.redb"));
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/store/fixtures/v1.redb"), &backup).unwrap();
    let before = std::fs::read(&backup).unwrap();
    let replaced = replace(&backup, &path).unwrap();
    assert_eq!((replaced.report.schema, replaced.report.newest), (1, 2));
    assert_eq!(replaced.report.made_at, None);
    let (store, remembered) = Store::open(&path).unwrap();
    assert!(remembered.services.contains_key(&name("cloud")));
    store.close().await.unwrap();
    assert!(std::fs::read(&backup).unwrap() == before);
    assert_eq!(names(directory.path()), ["b.redb", "s.redb"]);
}

/// The story: a second restore in the same second wrote over what the first one had kept.
#[tokio::test]
async fn what_a_restore_kept_stays_for_the_next() {
    let (_folder, path, backup) = backed_up().await;
    let (store, _) = Store::open(&path).unwrap();
    add(&store, "newer").await;
    store.close().await.unwrap();
    let original = std::fs::read(&path).unwrap();
    let kept: Vec<PathBuf> = (0..3).map(|_| replace(&backup, &path).unwrap().kept.unwrap()).collect();
    assert_eq!(kept.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "{kept:?}");
    assert_eq!(std::fs::read(&kept[0]).unwrap(), original);
}
