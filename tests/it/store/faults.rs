//! Storage that fails. Trap 29: after one I/O error an open redb database stays unusable until it
//! is reopened.

use std::time::Duration;

use wakedock::store::{Activity, CommitError, ReadStoreError, Remembered, StoreHealth};

use super::disk::{Disk, until_ok, until_read_only};
use super::{intent, name, quiet, ready, session, soon, start};

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
