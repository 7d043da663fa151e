//! Files that earlier versions made, kept as they were (`fixtures/v1.redb` and so on), and what this
//! version makes of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use redb::{Database, ReadableDatabase, TableDefinition};
use tempfile::tempdir;
use wakedock::domain::time::Timestamp;
use wakedock::domain::words::{WakeCause, WakeOutcome};
use wakedock::store::{
    AskedBy, Interrupted, Order, Session, SessionReady, SessionStart, Store, Table, Wake, WakeFailed, migrate,
};

use super::{intent, name, quiet, session};

/// The version that this WakeDock writes. Whoever raises it writes the fixture of the one before
/// first, with `WAKEDOCK_TEST_FIXTURE=tests/it/store/fixtures/vN.redb cargo test --test it
/// write_fixture -- --ignored`.
const NEWEST: u64 = 2;

const ENTRIES: Table<u32> = Table::new("entries");
const NOTES: Table<String> = Table::new("notes");

fn fixture(version: u64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/store/fixtures/v{version}.redb"))
}

fn version(path: &Path) -> u64 {
    let database = Database::open(path).unwrap();
    let meta: TableDefinition<&str, u64> = TableDefinition::new("meta");
    database.begin_read().unwrap().open_table(meta).unwrap().get("schema").unwrap().unwrap().value()
}

/// Not a test: writes the fixture of the schema that this version writes, where
/// `WAKEDOCK_TEST_FIXTURE` says.
#[tokio::test]
#[ignore = "writes a fixture, once for each version of the schema"]
async fn write_fixture() {
    let path = std::env::var_os("WAKEDOCK_TEST_FIXTURE").expect("where to write it");
    let (store, _) = Store::open(Path::new(&path)).unwrap();
    fill(&store).await;
    store.close().await.unwrap();
}

async fn fill(store: &Store) {
    for number in 1..=5 {
        session(store, "cloud", number * 100);
    }
    store.activities(vec![(name("cloud"), quiet(1_700_000_000_000))]).await.unwrap();
    let at = Timestamp::from_millis(1_700_000_100_000);
    let start = |service, cause, by| SessionStart { service: name(service), cause, ordered_at: at, by };
    store.session_started(start("media", WakeCause::Manual, AskedBy::user("ada")));
    store.session_ready(SessionReady {
        service: name("media"),
        at: Timestamp::from_millis(1_700_000_101_500),
        wake: Some(Duration::from_millis(1_500)),
        engine: Some(Duration::from_millis(400)),
    });
    store.session_started(start("broken", WakeCause::Request, AskedBy::default()));
    store.wake_failed(WakeFailed {
        service: name("broken"),
        outcome: WakeOutcome::Timeout,
        reason: "did not answer within 60s".to_owned(),
        at: Timestamp::from_millis(1_700_000_160_000),
    });
    store.intend_stop(name("db"), intent("4f1c")).await.unwrap();
    let written = store.change(|tables| {
        for number in 1..=7 {
            tables.append(&ENTRIES, &number)?;
        }
        tables.put(&NOTES, "colour", &"blue".to_owned())?;
        Ok::<_, Interrupted<()>>(())
    });
    written.await.unwrap();
}

/// What [`fill`] wrote is there, whatever version wrote it.
async fn is_whole(path: &Path) {
    let (store, remembered) = Store::open(path).unwrap();
    let memory = |service: &str| &remembered.services[&name(service)];
    assert_eq!(memory("cloud").activity, Some(quiet(1_700_000_000_000)));
    assert_eq!(memory("cloud").wake_durations, [Duration::from_millis(300); 5]);
    let last = memory("cloud").last_session.as_ref().unwrap();
    assert_eq!(last.stop.as_ref().unwrap().took, Some(Duration::from_millis(250)));
    let Session { cause, wake, .. } = memory("media").open_session.clone().unwrap();
    assert_eq!(cause, WakeCause::Manual);
    assert!(matches!(wake, Wake::Ready { took: Some(took), .. } if took == Duration::from_millis(1_500)));
    let failed = memory("broken").last_session.as_ref().unwrap();
    assert!(matches!(&failed.wake, Wake::Failed { outcome: WakeOutcome::Timeout, .. }), "{failed:?}");
    assert_eq!(memory("db").stop_intent, Some(intent("4f1c")));
    assert_eq!(store.sessions(name("cloud"), 10).await.unwrap().len(), 5);
    let read = store.read(|tables| {
        let entries = tables.scan(&ENTRIES, .., Order::Ascending, 100)?;
        let note = tables.get(&NOTES, "colour")?;
        Ok::<_, Interrupted<()>>((entries.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), note))
    });
    assert_eq!(read.await.unwrap(), ((1..=7).collect(), Some("blue".to_owned())));
    // What is numbered goes on where it was, also where everything has been let go.
    let key = store.change(|tables| {
        tables.remove_range(&ENTRIES, .., 100)?;
        Ok::<_, Interrupted<()>>(tables.append(&ENTRIES, &8)?)
    });
    assert_eq!(key.await.unwrap(), format!("{:020}", 8));
    store.close().await.unwrap();
}

#[tokio::test]
async fn every_earlier_version_is_migrated_and_kept_beside() {
    for earlier in 1..NEWEST {
        let directory = tempdir().unwrap();
        let path = directory.path().join("wakedock.redb");
        std::fs::copy(fixture(earlier), &path).unwrap();
        let before = std::fs::read(&path).unwrap();
        is_whole(&path).await;
        assert_eq!(version(&path), NEWEST);
        let kept = directory.path().join(format!("wakedock.redb.v{earlier}.bak"));
        assert!(std::fs::read(&kept).unwrap() == before, "the way back is the file as it was");
        assert_eq!(super::files::mode(&kept), 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
        // A second start finds nothing to do.
        std::fs::remove_file(&kept).unwrap();
        let (store, _) = Store::open(&path).unwrap();
        store.close().await.unwrap();
        assert!(!kept.exists());
    }
}

#[tokio::test]
async fn the_newest_version_goes_through_the_same() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("wakedock.redb");
    let (store, _) = Store::open(&path).unwrap();
    fill(&store).await;
    store.close().await.unwrap();
    assert_eq!(version(&path), NEWEST);
    is_whole(&path).await;
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing was migrated");
}

#[test]
fn a_check_says_what_a_migration_would_do_and_does_nothing() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("wakedock.redb");
    std::fs::copy(fixture(1), &path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let checked = migrate(&path, true).unwrap();
    assert_eq!((checked.from, checked.to, checked.backup), (1, NEWEST, None));
    assert!(std::fs::read(&path).unwrap() == before);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);

    let migrated = migrate(&path, false).unwrap();
    assert_eq!((migrated.from, migrated.to), (1, NEWEST));
    assert!(std::fs::read(migrated.backup.unwrap()).unwrap() == before);
    let again = migrate(&path, false).unwrap();
    assert_eq!((again.from, again.to, again.backup), (NEWEST, NEWEST, None));
    assert!(migrate(&directory.path().join("none.redb"), true).is_err());
}

#[tokio::test]
async fn a_migration_that_cannot_keep_the_way_back_does_not_begin() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("wakedock.redb");
    std::fs::copy(fixture(1), &path).unwrap();
    let before = std::fs::read(&path).unwrap();
    // A directory in its place cannot be replaced by a file.
    std::fs::create_dir_all(directory.path().join("wakedock.redb.v1.bak/x")).unwrap();
    assert!(Store::open(&path).is_err());
    assert!(std::fs::read(&path).unwrap() == before);
}
