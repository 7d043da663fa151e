//! The file: who may read it, and when it is refused.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use redb::{Database, TableDefinition};
use tempfile::tempdir;
use wakedock::store::{OpenStoreError, Store};

use super::{name, quiet, session};

pub(super) fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A file with some state and history in it, closed.
async fn filled(path: &Path) {
    let (store, _) = Store::open(path).unwrap();
    for seconds in 0..40 {
        session(&store, "cloud", seconds * 10);
        store.activities(vec![(name("cloud"), quiet(seconds))]).await.unwrap();
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn only_its_own_user_may_read_it() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("var/lib/wakedock.redb");
    filled(&path).await;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(path.parent().unwrap().parent().unwrap()), 0o700);

    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let (store, _) = Store::open(&path).unwrap();
    assert_eq!(mode(&path), 0o600, "a restored file is closed again");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_second_opener_is_refused_and_disturbs_nobody() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s.redb");
    let (store, _) = Store::open(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(&error, OpenStoreError::Locked { path: named } if *named == path), "{error:?}");
    assert!(error.to_string().contains("is WakeDock running already?"), "{error}");
    store.activities(vec![(name("cloud"), quiet(1))]).await.unwrap();
    assert!(Store::open(&path).is_err(), "the failed attempt has not taken the lock away");
    store.close().await.unwrap();
    let (_, remembered) = Store::open(&path).unwrap();
    assert_eq!(remembered.services[&name("cloud")].activity, Some(quiet(1)));
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_untouched() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s.redb");
    filled(&path).await;
    {
        let database = Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        let meta: TableDefinition<&str, u64> = TableDefinition::new("meta");
        assert_eq!(transaction.open_table(meta).unwrap().insert("schema", 99).unwrap().unwrap().value(), 2);
        transaction.commit().unwrap();
    }
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, OpenStoreError::TooNew { found: 99, known: 2, .. }), "{error:?}");
    assert!(error.to_string().contains("newer WakeDock"), "{error}");
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn another_programs_database_is_refused_and_untouched() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s.redb");
    {
        let database = Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        let table: TableDefinition<u64, u64> = TableDefinition::new("meta");
        transaction.open_table(table).unwrap().insert(1, 1).unwrap();
        transaction.commit().unwrap();
    }
    refused_and_untouched(&path);
}

fn refused_and_untouched(path: &Path) {
    let before = std::fs::read(path).unwrap();
    let error = Store::open(path).unwrap_err();
    assert!(matches!(&error, OpenStoreError::Damaged { path: named, .. } if named == path), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains(&path.display().to_string()) && text.contains("put a backup in its place"),
        "{text}"
    );
    assert!(std::fs::read(path).unwrap() == before, "the file was changed");
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_untouched() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s.redb");

    std::fs::write(&path, "this is not a database\n".repeat(1000)).unwrap();
    refused_and_untouched(&path);
    std::fs::write(&path, "x").unwrap();
    refused_and_untouched(&path);

    std::fs::remove_file(&path).unwrap();
    filled(&path).await;
    let whole = std::fs::read(&path).unwrap();
    for short in [whole.len() / 2, 5000, 100] {
        std::fs::write(&path, &whole[..short]).unwrap();
        refused_and_untouched(&path);
    }
}

/// Whatever page is overwritten: the store opens with what was saved, or it refuses and leaves the
/// file alone. It never panics and never forgets in silence.
#[tokio::test]
async fn no_damage_is_made_worse() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s.redb");
    filled(&path).await;
    let whole = std::fs::read(&path).unwrap();
    let (mut refused, mut opened) = (0, 0);
    for start in (0..whole.len()).step_by(2048) {
        let mut damaged = whole.clone();
        let stop = (start + 700).min(damaged.len());
        damaged[start..stop].fill(0xa5);
        std::fs::write(&path, &damaged).unwrap();
        match Store::open(&path) {
            Ok((store, remembered)) => {
                opened += 1;
                assert_eq!(
                    remembered.services[&name("cloud")].activity,
                    Some(quiet(39)),
                    "damage at {start}"
                );
                store.close().await.unwrap();
            }
            Err(error) => {
                refused += 1;
                assert!(matches!(error, OpenStoreError::Damaged { .. }), "damage at {start}: {error:?}");
                assert!(std::fs::read(&path).unwrap() == damaged, "damage at {start} was changed");
            }
        }
    }
    assert!(refused > 0 && opened > 0, "{refused} refused, {opened} opened");
}

/// The making of a new file may be cut off: its draft is no database, and nobody's loss.
#[tokio::test]
async fn a_half_made_file_is_made_again() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s.redb");
    std::fs::write(directory.path().join("s.redb.new"), [0; 70_000]).unwrap();
    std::fs::write(&path, "").unwrap();
    let (store, remembered) = Store::open(&path).unwrap();
    assert!(remembered.services.is_empty());
    store.close().await.unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "the draft is gone");
}

#[test]
fn a_path_that_cannot_be_is_named() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("below/s.redb")).unwrap_err();
    assert!(matches!(error, OpenStoreError::Directory { .. }), "{error:?}");
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenStoreError::File { .. }), "{error:?}");
}
