//! How much of the past is kept.

use std::time::Duration;

use tempfile::tempdir;
use wakedock::domain::name::ServiceName;
use wakedock::domain::time::Timestamp;
use wakedock::domain::words::{StopCause, WakeCause};
use wakedock::store::{AskedBy, Interrupted, Order, SessionEnd, SessionStart, SessionStop, Store, Table};
use wakedock::supervisor::retention::{Limits, trim};

const EVENTS: Table<serde_json::Value> = Table::new("events");
const AUDIT: Table<serde_json::Value> = Table::new("audit");
const USERS: Table<String> = Table::new("users");
const DAY: i64 = 86_400_000;

type Never = std::convert::Infallible;

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

fn now() -> i64 {
    wakedock::clock::wall().as_millis()
}

/// A hundred days of everything, the newest last, each `bulk` bytes.
async fn a_past(store: &Store, a_day: u32, bulk: usize) {
    for day in (0..100).rev() {
        let at = now() - day * DAY - 1_000;
        let written = store.change(move |tables| {
            for _ in 0..a_day {
                let record = serde_json::json!({ "at": at, "text": "x".repeat(bulk) });
                tables.append(&EVENTS, &record)?;
                tables.append(&AUDIT, &serde_json::json!({ "at": at }))?;
            }
            Ok::<_, Interrupted<Never>>(())
        });
        written.await.unwrap();
        for service in ["app", "ball"] {
            let at = Timestamp::from_millis(at);
            store.session_started(SessionStart {
                service: name(service),
                cause: WakeCause::Request,
                ordered_at: at,
                by: AskedBy::default(),
            });
            let stop = SessionStop { cause: StopCause::Idle, at, took: None };
            store.session_ended(SessionEnd { service: name(service), stop });
        }
        store.activities(Vec::new()).await.unwrap();
    }
    let put =
        store.change(|tables| Ok::<_, Interrupted<Never>>(tables.put(&USERS, "ada", &"admin".to_owned())?));
    put.await.unwrap();
}

async fn dates(store: &Store, table: Table<serde_json::Value>) -> Vec<i64> {
    let read = store.read(move |tables| {
        Ok::<_, Interrupted<Never>>(tables.scan(&table, .., Order::Ascending, 1_000_000)?)
    });
    read.await.unwrap().iter().map(|(_, record)| record["at"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn what_is_too_old_goes_and_the_rest_stays() {
    let directory = tempdir().unwrap();
    let (store, _) = Store::open(&directory.path().join("s.redb")).unwrap();
    a_past(&store, 20, 10).await;
    let limits = Limits { keep: Duration::from_secs(30 * 86_400), max_size: 1 << 30 };
    let trimmed = trim(&store, limits).await.unwrap();
    assert_eq!((trimmed.records, trimmed.compacted), (70 * (20 + 20 + 2), false));
    for table in [EVENTS, AUDIT] {
        let left = dates(&store, table).await;
        assert_eq!(left.len(), 30 * 20);
        assert!(left.iter().all(|at| *at > now() - 31 * DAY));
    }
    for service in ["app", "ball"] {
        let sessions = store.sessions(name(service), 1_000).await.unwrap();
        assert_eq!(sessions.len(), 30);
        assert!(sessions.iter().all(|session| session.ordered_at.as_millis() > now() - 31 * DAY));
    }
    assert_eq!(trim(&store, limits).await.unwrap().records, 0, "once is enough");
}

#[tokio::test]
async fn a_file_that_is_too_large_loses_its_oldest_and_gets_smaller() {
    let directory = tempdir().unwrap();
    let (store, _) = Store::open(&directory.path().join("s.redb")).unwrap();
    a_past(&store, 60, 1_000).await;
    let before = store.file_size().unwrap();
    let max_size = 4 << 20;
    assert!(before > 2 * max_size, "{before} bytes");
    let limits = Limits { keep: Duration::from_secs(365 * 86_400), max_size };
    assert!(trim(&store, limits).await.unwrap().compacted);
    let after = store.file_size().unwrap();
    assert!(after <= max_size, "{after} bytes");
    let left = dates(&store, EVENTS).await;
    assert!(left.len() > 500, "only {} are left", left.len());
    assert!(*left.last().unwrap() > now() - DAY, "the newest is there");
    assert!(left[0] < now() - 5 * DAY, "and what there is room for");
    assert_eq!(dates(&store, AUDIT).await.len(), 6_000, "what strangers may cause does not push it out");
    let user = store.read(|tables| Ok::<_, Interrupted<Never>>(tables.get(&USERS, "ada")?));
    assert_eq!(user.await.unwrap().as_deref(), Some("admin"), "people are no history");
    // What comes then finds its room in the file.
    a_past(&store, 3, 1_000).await;
    trim(&store, limits).await.unwrap();
    assert!(store.file_size().unwrap() <= max_size);
    store.close().await.unwrap();
}
