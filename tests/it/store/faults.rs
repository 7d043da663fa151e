//! Storage that fails. Trap 29: after one I/O error an open redb database stays unusable until it
//! is reopened.

use std::io::{Error, Result};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redb::StorageBackend;
use tokio::sync::watch;
use wakedock::store::{Activity, CommitError, ReadStoreError, Remembered, Store, StoreHealth};

use super::{intent, name, quiet, ready, session, soon, start};

/// A disk that outlives the databases on it, with a cache that a power cut empties.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<DiskState>);

#[derive(Debug, Default)]
struct DiskState {
    /// How often it was opened.
    opened: watch::Sender<u32>,
    live: Mutex<Vec<u8>>,
    /// As of the last sync.
    durable: Mutex<Vec<u8>>,
    /// Both of them, as the failed operation left them.
    at_fault: Mutex<Vec<Vec<u8>>>,
    broken: AtomicBool,
    /// How many writes, syncs and changes of length go well before one fails; negative: all.
    countdown: AtomicI64,
}

impl Disk {
    fn new() -> Self {
        let disk = Self::default();
        disk.0.countdown.store(-1, Ordering::SeqCst);
        disk
    }

    fn open(&self) -> std::result::Result<(Store, Remembered), wakedock::store::OpenStoreError> {
        let disk = self.clone();
        Store::with_backend(move || {
            disk.0.opened.send_modify(|times| *times += 1);
            Ok(disk.clone())
        })
    }

    fn fail_at(&self, operation: i64) {
        self.0.countdown.store(operation, Ordering::SeqCst);
    }

    fn has_failed(&self) -> bool {
        !self.0.at_fault.lock().unwrap().is_empty()
    }

    fn break_down(&self, broken: bool) {
        self.0.broken.store(broken, Ordering::SeqCst);
    }

    fn holding(image: Vec<u8>) -> Self {
        let disk = Self::new();
        *disk.0.live.lock().unwrap() = image;
        disk
    }

    /// A healthy disk with what is left of this one.
    fn after_power_cut(&self) -> Self {
        Self::holding(self.0.durable.lock().unwrap().clone())
    }

    fn check(&self) -> Result<()> {
        if self.0.broken.load(Ordering::SeqCst) {
            return Err(Error::other("the disk is broken"));
        }
        Ok(())
    }

    fn count(&self) -> Result<()> {
        self.check()?;
        let left = self
            .0
            .countdown
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| (left >= 0).then_some(left - 1));
        if left != Ok(0) {
            return Ok(());
        }
        for image in [&self.0.live, &self.0.durable] {
            self.0.at_fault.lock().unwrap().push(image.lock().unwrap().clone());
        }
        Err(Error::other("the disk failed once"))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64> {
        self.check()?;
        Ok(self.0.live.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.check()?;
        let start = usize::try_from(offset).unwrap();
        let live = self.0.live.lock().unwrap();
        out.copy_from_slice(live.get(start..start + out.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.count()?;
        self.0.live.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        self.count()?;
        self.0.durable.lock().unwrap().clone_from(&self.0.live.lock().unwrap());
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.count()?;
        let start = usize::try_from(offset).unwrap();
        self.0.live.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

async fn until_read_only(store: &Store) {
    let mut health = store.watch_health();
    soon(health.wait_for(|health| *health != StoreHealth::Ok)).await.unwrap();
}

async fn until_ok(store: &Store) {
    let mut health = store.watch_health();
    soon(health.wait_for(|health| *health == StoreHealth::Ok)).await.unwrap();
}

fn activity(remembered: &Remembered) -> Option<Activity> {
    remembered.services.get(&name("cloud")).and_then(|memory| memory.activity)
}

/// What a store that opens `disk` remembers.
async fn remembered_on(disk: &Disk) -> Remembered {
    let (store, remembered) = disk.open().expect("a consistent file");
    store.close().await.unwrap();
    remembered
}

/// One run: the `n`-th operation of a commit fails. False where it has no `n`-th.
async fn fail_nth(n: i64) -> bool {
    let disk = Disk::new();
    let (store, _) = disk.open().unwrap();
    store.activities(vec![(name("cloud"), quiet(1))]).await.unwrap();
    store.intend_stop(name("cloud"), intent("old")).await.unwrap();

    disk.fail_at(n);
    let durable = store.activities(vec![(name("cloud"), quiet(2))]);
    // The store recovers by itself, and carries what it could not write.
    soon(durable).await.unwrap();
    let failed = disk.has_failed();
    disk.fail_at(-1);
    // Right after the fault, as a killed process and as a power cut would leave the file.
    let images = std::mem::take(&mut *disk.0.at_fault.lock().unwrap());
    for image in images {
        let found = remembered_on(&Disk::holding(image)).await;
        assert!([Some(quiet(1)), Some(quiet(2))].contains(&activity(&found)), "operation {n}: {found:?}");
        assert_eq!(found.services[&name("cloud")].stop_intent, Some(intent("old")), "operation {n}");
    }
    until_ok(&store).await;
    store.intend_stop(name("cloud"), intent("new")).await.unwrap();
    let found = remembered_on(&disk.after_power_cut()).await;
    assert_eq!(activity(&found), Some(quiet(2)), "operation {n}");
    assert_eq!(found.services[&name("cloud")].stop_intent, Some(intent("new")), "operation {n}");
    soon(store.close()).await.unwrap();
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_29_whichever_operation_fails_the_file_is_whole_and_the_store_recovers() {
    let runs: Vec<_> = (0..20).map(|n| (n, tokio::spawn(fail_nth(n)))).collect();
    let mut failures = 0;
    let mut over = false;
    for (n, run) in runs {
        let failed = run.await.unwrap_or_else(|error| panic!("operation {n}: {error}"));
        assert!(!(failed && over), "operation {n} failed although there was no {}", n - 1);
        over = !failed;
        failures += u32::from(failed);
    }
    assert!(failures >= 5, "a commit has at least five operations, {failures} were made to fail");
    assert!(over, "more operations than were tried");
}

#[tokio::test]
async fn trap_29_while_the_disk_is_away_history_is_counted_intent_is_refused_and_state_waits() {
    let disk = Disk::new();
    let (store, _) = disk.open().unwrap();
    store.session_started(start("cloud", 0));
    store.session_ready(ready("cloud", 2, Duration::from_secs(2)));
    session(&store, "other", 0);
    store.intend_stop(name("cloud"), intent("old")).await.unwrap();
    store.clear_intent(name("cloud"));
    store.activities(vec![(name("cloud"), Activity::Busy)]).await.unwrap();

    disk.break_down(true);
    session(&store, "other", 50);
    let refused = soon(store.intend_stop(name("cloud"), intent("new"))).await;
    assert!(
        matches!(&refused, Err(CommitError::Unavailable { reason }) if reason.contains("broken")),
        "{refused:?}"
    );
    until_read_only(&store).await;

    // At once, without touching the disk.
    let refused = soon(store.intend_stop(name("cloud"), intent("newer"))).await;
    assert!(matches!(refused, Err(CommitError::Unavailable { .. })));
    assert!(matches!(soon(store.sessions(name("other"), 5)).await, Err(ReadStoreError::Unavailable { .. })));
    for seconds in 0..3 {
        session(&store, "other", 100 + seconds);
    }
    let before = store.activities(vec![(name("cloud"), quiet(50))]);
    let newest = store.activities(vec![(name("cloud"), quiet(60))]);
    assert_eq!(store.dropped(), 4);
    match store.health() {
        StoreHealth::ReadOnly { dropped, reason, .. } => assert!(dropped == 4 && reason.contains("broken")),
        StoreHealth::Ok => panic!("the disk is broken"),
    }
    // It tries more than once before the disk is back.
    let mut opened = disk.0.opened.subscribe();
    soon(opened.wait_for(|times| *times >= 4)).await.unwrap();
    assert_ne!(store.health(), StoreHealth::Ok);

    disk.break_down(false);
    soon(before).await.unwrap();
    soon(newest).await.unwrap();
    until_ok(&store).await;
    assert_eq!(store.dropped(), 4, "what is lost stays counted");
    let found = remembered_on(&disk.after_power_cut()).await;
    let cloud = &found.services[&name("cloud")];
    assert_eq!(cloud.activity, Some(quiet(60)), "the newest");
    assert_eq!(cloud.stop_intent, None, "a refused intent was not meant");
    assert!(cloud.open_session.is_some(), "a session that goes on is not lost");
    assert_eq!(store.sessions(name("other"), 10).await.unwrap().len(), 1);

    session(&store, "other", 500);
    store.intend_stop(name("cloud"), intent("newest")).await.unwrap();
    assert_eq!(store.sessions(name("other"), 10).await.unwrap().len(), 2);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_close_tries_once_more_and_says_how_it_went() {
    let disk = Disk::new();
    let (store, _) = disk.open().unwrap();
    disk.break_down(true);
    drop(store.activities(vec![(name("cloud"), quiet(1))]));
    until_read_only(&store).await;
    let second = disk.after_power_cut();
    disk.break_down(false);
    soon(store.close()).await.unwrap();
    assert_eq!(activity(&remembered_on(&disk.after_power_cut()).await), Some(quiet(1)));

    let (store, _) = second.open().unwrap();
    second.break_down(true);
    drop(store.activities(vec![(name("cloud"), quiet(2))]));
    assert!(matches!(soon(store.close()).await, Err(CommitError::Unavailable { .. })));
}
