//! What is remembered, and what is let go.

use std::time::Duration;

use tempfile::tempdir;
use wakedock::domain::words::{StopCause, WakeCause, WakeOutcome};
use wakedock::store::{
    Activity, CommitError, KEPT_SESSIONS, REMEMBERED_WAKES, ReadStoreError, Session, SessionReady, Store,
    StoreHealth, Wake, WakeFailed,
};

use super::{at, end, intent, name, quiet, ready, session, soon, start};

#[tokio::test]
async fn trap_30_everything_is_back_after_a_restart() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("wakedock.redb");
    let (store, remembered) = Store::open(&path).unwrap();
    assert!(remembered.services.is_empty());

    store.session_started(start("cloud", 0));
    store.session_ready(ready("cloud", 4, Duration::from_millis(4_321)));
    store.activities(vec![(name("cloud"), quiet(60)), (name("db"), Activity::Busy)]).await.unwrap();
    store.intend_stop(name("cloud"), intent("c0ffee")).await.unwrap();
    assert_eq!(store.health(), StoreHealth::Ok);
    store.close().await.unwrap();

    let (_store, remembered) = Store::open(&path).unwrap();
    let cloud = &remembered.services[&name("cloud")];
    assert_eq!(cloud.activity, Some(quiet(60)));
    assert_eq!(cloud.ready_since, Some(at(4)));
    assert_eq!(cloud.stop_intent, Some(intent("c0ffee")));
    assert_eq!(cloud.wake_durations, [Duration::from_millis(4_321)]);
    let open = cloud.open_session.as_ref().unwrap();
    assert_eq!(open.cause, WakeCause::Request);
    assert_eq!(open.wake, Wake::Ready { at: at(4), took: Some(Duration::from_millis(4_321)), engine: None });
    assert_eq!(open.stop, None);
    assert_eq!(remembered.services[&name("db")].activity, Some(Activity::Busy));
    assert_eq!(remembered.services.len(), 2);
}

#[tokio::test]
async fn history_is_read_newest_first_with_the_open_session_in_front() {
    let directory = tempdir().unwrap();
    let (store, _) = Store::open(&directory.path().join("s.redb")).unwrap();
    session(&store, "cloud", 10);
    session(&store, "cloud.2", 15);
    store.session_started(start("cloud", 20));
    store.wake_failed(WakeFailed {
        service: name("cloud"),
        outcome: WakeOutcome::Timeout,
        reason: "no answer on port 80 after 60 s".into(),
        at: at(80),
    });
    store.session_started(start("cloud", 100));

    let all = store.sessions(name("cloud"), 10).await.unwrap();
    assert_eq!(all.iter().map(|session| session.ordered_at).collect::<Vec<_>>(), [at(100), at(20), at(10)]);
    assert_eq!(all[0].wake, Wake::Pending);
    assert!(
        matches!(&all[1].wake, Wake::Failed { outcome: WakeOutcome::Timeout, reason, .. } if reason.contains("port 80"))
    );
    let stop = all[2].stop.as_ref().unwrap();
    assert_eq!((stop.cause, stop.at, stop.took), (StopCause::Idle, at(11), Some(Duration::from_millis(250))));

    assert_eq!(store.sessions(name("cloud"), 2).await.unwrap(), all[..2]);
    assert_eq!(store.sessions(name("cloud"), 0).await.unwrap(), []);
    assert_eq!(store.sessions(name("nobody"), 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_session_cut_off_by_a_crash_is_reported_and_goes_into_the_history() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s.redb");
    let (store, _) = Store::open(&path).unwrap();
    store.session_started(start("cloud", 0));
    store.close().await.unwrap();

    let (store, remembered) = Store::open(&path).unwrap();
    let unfinished = remembered.services[&name("cloud")].open_session.clone().unwrap();
    assert_eq!(unfinished.ordered_at, at(0));
    store.session_started(start("cloud", 50));
    let sessions = store.sessions(name("cloud"), 10).await.unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions[1], Session { stop: None, ..unfinished });
}

#[tokio::test]
async fn ready_and_stopped_clear_the_intent_and_a_session_begins_without_old_idle_state() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s.redb");
    let (mut store, _) = Store::open(&path).unwrap();
    let transitions: [fn(&Store); 4] = [
        |store| store.clear_intent(name("cloud")),
        |store| store.session_ready(ready("cloud", 7, Duration::from_secs(1))),
        |store| store.session_ended(end("cloud", 9)),
        |store| store.session_started(start("cloud", 11)),
    ];
    for transition in transitions {
        store.activities(vec![(name("cloud"), quiet(5))]).await.unwrap();
        store.intend_stop(name("cloud"), intent("a")).await.unwrap();
        transition(&store);
        store.close().await.unwrap();
        let (reopened, remembered) = Store::open(&path).unwrap();
        assert_eq!(remembered.services[&name("cloud")].stop_intent, None);
        store = reopened;
    }
    let (_, remembered) = {
        store.close().await.unwrap();
        Store::open(&path).unwrap()
    };
    let cloud = &remembered.services[&name("cloud")];
    assert_eq!((cloud.activity, cloud.ready_since), (None, None), "of the session before");
}

#[tokio::test]
async fn the_newest_wakes_and_sessions_are_kept() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s.redb");
    let (store, _) = Store::open(&path).unwrap();
    let surplus = 7;
    let many = i64::try_from(KEPT_SESSIONS).unwrap() + surplus;
    for number in 0..many {
        store.session_started(start("cloud", number * 10));
        store.session_ready(ready("cloud", number * 10, Duration::from_millis(number.unsigned_abs())));
        store.session_ended(end("cloud", number * 10 + 1));
        // Written as they come, not more than the store lets wait.
        if number % 100 == 0 {
            store.activities(Vec::new()).await.unwrap();
        }
    }
    session(&store, "other", 0);
    // Found running, nobody woke it: says nothing about wakes.
    store.session_ready(SessionReady { service: name("cloud"), at: at(0), wake: None, engine: None });
    let sessions = store.sessions(name("cloud"), usize::MAX).await.unwrap();
    assert_eq!(sessions.len() as u64, KEPT_SESSIONS);
    assert_eq!(sessions.last().unwrap().ordered_at, at(surplus * 10), "the oldest went first");
    assert_eq!(store.sessions(name("other"), 5).await.unwrap().len(), 1);
    assert_eq!(store.dropped(), 0);
    store.close().await.unwrap();

    let (_, remembered) = Store::open(&path).unwrap();
    let wakes = &remembered.services[&name("cloud")].wake_durations;
    assert_eq!(wakes.len(), REMEMBERED_WAKES);
    assert_eq!(*wakes.last().unwrap(), Duration::from_millis(many.unsigned_abs() - 1), "the newest last");
}

#[tokio::test]
async fn a_closed_store_answers() {
    let directory = tempdir().unwrap();
    let (store, _) = Store::open(&directory.path().join("s.redb")).unwrap();
    let second = store.clone();
    store.close().await.unwrap();
    second.close().await.unwrap();
    assert_eq!(second.intend_stop(name("cloud"), intent("a")).await, Err(CommitError::Closed));
    assert_eq!(second.activities(vec![(name("cloud"), Activity::Busy)]).await, Err(CommitError::Closed));
    assert_eq!(second.sessions(name("cloud"), 1).await, Err(ReadStoreError::Closed));
    session(&second, "cloud", 0);
}

#[tokio::test]
async fn dropping_the_last_handle_saves_and_lets_go_of_the_file() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s.redb");
    let (store, _) = Store::open(&path).unwrap();
    drop(store.activities(vec![(name("cloud"), quiet(3))]));
    let mut health = store.watch_health();
    drop(store);
    // The thread's end of the channel goes with the thread.
    soon(async { while health.changed().await.is_ok() {} }).await;
    let (_, remembered) = Store::open(&path).unwrap();
    assert_eq!(remembered.services[&name("cloud")].activity, Some(quiet(3)));
}
