//! Tables of records: changes of several in one commit, on a healthy disk and on others.

use std::sync::atomic::Ordering;

use wakedock::store::{ChangeError, CommitError, Interrupted, Order, Store, StoreHealth, Table};

use super::disk::{Disk, until_ok};
use super::soon;
use crate::support::memory_disk::MemoryDisk;

const USERS: Table<String> = Table::new("users");
const LOG: Table<u32> = Table::new("log");
/// The same table, as somebody understands it who is wrong.
const MISREAD: Table<u32> = Table::new("users");

type Never = std::convert::Infallible;

async fn put(store: &Store, key: &str, value: &str) -> Result<(), ChangeError<&'static str>> {
    let (key, value) = (key.to_owned(), value.to_owned());
    store.change(move |tables| Ok(tables.put(&USERS, &key, &value)?)).await
}

async fn get(store: &Store, key: &str) -> Option<String> {
    let key = key.to_owned();
    store.read(move |tables| Ok::<_, Interrupted<Never>>(tables.get(&USERS, &key)?)).await.unwrap()
}

#[tokio::test]
async fn a_refusal_writes_nothing_of_any_table() {
    let disk = Disk::new();
    let (store, _) = disk.open().unwrap();
    put(&store, "ada", "admin").await.unwrap();
    let refused = store.change(|tables| {
        tables.put(&USERS, "ada", &"viewer".to_owned())?;
        tables.append(&LOG, &1)?;
        Err::<(), _>(Interrupted::Refused("the last admin"))
    });
    assert_eq!(refused.await, Err(ChangeError::Refused("the last admin")));
    assert_eq!(get(&store, "ada").await.as_deref(), Some("admin"));
    let key = store.change(|tables| Ok::<_, Interrupted<Never>>(tables.append(&LOG, &2)?)).await.unwrap();
    assert_eq!(key, format!("{:020}", 1), "the refused one took no number");
    assert_eq!(store.health(), StoreHealth::Ok);
}

#[tokio::test]
async fn numbers_go_on_where_the_table_was_emptied() {
    let disk = Disk::new();
    let (store, _) = disk.open().unwrap();
    let append =
        |value| store.change(move |tables| Ok::<_, Interrupted<Never>>(tables.append(&LOG, &value)?));
    for value in 1..=3 {
        append(value).await.unwrap();
    }
    let removed = store.change(|tables| {
        let some = tables.remove_range(&LOG, .., 2)?;
        let left = tables.scan(&LOG, .., Order::Ascending, 10)?;
        let rest = tables.remove_range(&LOG, .., 2)?;
        Ok::<_, Interrupted<Never>>((some, left.len(), rest))
    });
    assert_eq!(removed.await.unwrap(), (2, 1, 1), "the oldest go first");
    assert_eq!(append(4).await.unwrap(), format!("{:020}", 4));
    store.close().await.unwrap();
    let (store, _) = disk.open().unwrap();
    let again = store.change(|tables| Ok::<_, Interrupted<Never>>(tables.append(&LOG, &5)?));
    assert_eq!(again.await.unwrap(), format!("{:020}", 5));
}

#[tokio::test]
async fn ranges_are_read_both_ways() {
    let (store, _) = Disk::new().open().unwrap();
    for key in ["a", "b", "c", "d"] {
        put(&store, key, key).await.unwrap();
    }
    let read = |order, limit| {
        store.read(move |tables| {
            let (from, to) = ("b".to_owned(), "d".to_owned());
            let found = tables.scan(&USERS, from.as_str()..to.as_str(), order, limit)?;
            Ok::<_, Interrupted<Never>>(found.into_iter().map(|(key, _)| key).collect::<String>())
        })
    };
    assert_eq!(read(Order::Ascending, 10).await.unwrap(), "bc");
    assert_eq!(read(Order::Descending, 10).await.unwrap(), "cb");
    assert_eq!(read(Order::Descending, 1).await.unwrap(), "c");
}

/// A record that nobody understands was taken for a failing disk: the store closed and opened itself,
/// and said that it cannot write.
#[tokio::test]
async fn a_record_that_is_not_understood_is_no_fault_of_the_disk() {
    let disk = Disk::new();
    let (store, _) = disk.open().unwrap();
    put(&store, "ada", "admin").await.unwrap();
    let read = store.read(|tables| Ok::<_, Interrupted<Never>>(tables.get(&MISREAD, "ada")?)).await;
    let Err(ChangeError::Commit(CommitError::Record { reason })) = read else { panic!("{read:?}") };
    assert!(reason.contains("`ada`") && reason.contains("`users`"), "{reason}");
    let changed = store.change(|tables| {
        tables.put(&USERS, "bob", &"viewer".to_owned())?;
        Ok::<_, Interrupted<Never>>(tables.get(&MISREAD, "ada")?)
    });
    assert!(matches!(changed.await, Err(ChangeError::Commit(CommitError::Record { .. }))));
    assert_eq!(get(&store, "bob").await, None, "nothing of it was written");
    assert_eq!(store.health(), StoreHealth::Ok);
    assert_eq!(*disk.0.opened.borrow(), 1, "nobody reopened it");
    // One that is in the way of a list hides nobody else.
    let list =
        store.read(|tables| Ok::<_, Interrupted<Never>>(tables.scan(&MISREAD, .., Order::Ascending, 9)?));
    assert!(list.await.unwrap().is_empty());
}

/// A thousand at once: each is on the disk when it is acknowledged, those that are refused take
/// nobody with them, and they do not wait for a thousand syncs.
#[tokio::test]
async fn a_thousand_changes_at_once_are_all_durable() {
    let disk = Disk::new();
    let (store, _) = disk.open().unwrap();
    let before = disk.0.syncs.load(Ordering::SeqCst);
    let changes: Vec<_> = (0..1000)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let change = store.change(move |tables| {
                    tables.put(&USERS, &format!("user-{number:04}"), &"x".to_owned())?;
                    if number % 10 == 3 {
                        return Err(Interrupted::Refused(number));
                    }
                    Ok(())
                });
                change.await
            })
        })
        .collect();
    for (number, change) in changes.into_iter().enumerate() {
        let expected = if number % 10 == 3 { Err(ChangeError::Refused(number)) } else { Ok(()) };
        assert_eq!(soon(change).await.unwrap(), expected);
    }
    let syncs = disk.0.syncs.load(Ordering::SeqCst) - before;
    assert!(syncs < 500, "{syncs} syncs");
    // Not closed: the power goes.
    let (left, _) = disk.after_power_cut().open().unwrap();
    let found =
        left.read(|tables| Ok::<_, Interrupted<Never>>(tables.scan(&USERS, .., Order::Ascending, 2000)?));
    let found = found.await.unwrap();
    assert_eq!(found.len(), 900);
    assert!(found.iter().all(|(key, _)| !key.ends_with('3')));
}

#[tokio::test]
async fn a_disk_that_fails_is_told_at_once_and_forgotten_when_it_is_back() {
    let disk = Disk::new();
    let (store, _) = disk.open().unwrap();
    put(&store, "ada", "admin").await.unwrap();
    disk.break_down(true);
    for _ in 0..3 {
        let answer = soon(put(&store, "bob", "viewer")).await;
        assert!(matches!(answer, Err(ChangeError::Commit(CommitError::Unavailable { .. }))), "{answer:?}");
    }
    let read = store.read(|tables| Ok::<_, Interrupted<Never>>(tables.get(&USERS, "ada")?));
    assert!(matches!(soon(read).await, Err(ChangeError::Commit(CommitError::Unavailable { .. }))));
    assert!(matches!(store.health(), StoreHealth::ReadOnly { .. }));
    disk.break_down(false);
    until_ok(&store).await;
    assert_eq!(get(&store, "bob").await, None, "what was refused is not there");
    put(&store, "bob", "viewer").await.unwrap();
    assert_eq!(get(&store, "ada").await.as_deref(), Some("admin"));
}

/// Wherever the disk fails in the middle of changes that wait together: who was told that it is
/// written finds it after a power cut.
#[tokio::test]
async fn a_fault_in_the_middle_of_many_loses_none_that_was_acknowledged() {
    let mut failed = 0;
    for operation in 0..16 {
        let disk = Disk::new();
        let (store, _) = disk.open().unwrap();
        disk.fail_at(operation);
        let changes: Vec<_> = (0..20)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { (number, put(&store, &number.to_string(), "x").await.is_ok()) })
            })
            .collect();
        let mut acknowledged = Vec::new();
        for change in changes {
            let (number, ok) = soon(change).await.unwrap();
            if ok {
                acknowledged.push(number.to_string());
            }
        }
        failed += u32::from(disk.has_failed());
        disk.break_down(true);
        let (left, _) = disk.after_power_cut().open().unwrap();
        for key in acknowledged {
            assert!(get(&left, &key).await.is_some(), "{key} is gone, fault at {operation}");
        }
    }
    assert!(failed > 5, "the disk failed {failed} times");
}

#[tokio::test]
async fn whoever_asks_while_it_closes_is_answered() {
    let disk = Disk::new();
    let (store, _) = disk.open().unwrap();
    let asked: Vec<_> = (0..50)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { (number, put(&store, &number.to_string(), "x").await) })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await.unwrap();
    let (left, _) = disk.open().unwrap();
    for change in asked {
        match soon(change).await.unwrap() {
            (number, Ok(())) => assert!(get(&left, &number.to_string()).await.is_some()),
            (_, Err(error)) => assert_eq!(error, ChangeError::Commit(CommitError::Closed)),
        }
    }
    assert_eq!(soon(put(&store, "late", "x")).await, Err(ChangeError::Commit(CommitError::Closed)));
}

/// Nobody waits for it, and it is lost neither to whoever reads next nor to the end.
#[tokio::test]
async fn what_is_posted_is_read_next_and_saved_by_the_end() {
    let disk = Disk::new();
    let (store, _) = disk.open().unwrap();
    drop(store.post(|tables| tables.put(&USERS, "ada", &"admin".to_owned())));
    assert_eq!(get(&store, "ada").await.as_deref(), Some("admin"));
    drop(store.post(|tables| tables.put(&USERS, "bob", &"viewer".to_owned())));
    store.close().await.unwrap();
    let late = store.post(|tables| tables.put(&USERS, "late", &"viewer".to_owned()));
    assert_eq!(soon(late).await, Err(CommitError::Closed));
    let (store, _) = disk.open().unwrap();
    assert_eq!(get(&store, "bob").await.as_deref(), Some("viewer"));
    assert_eq!(get(&store, "late").await, None);
}

/// Whoever does not wait must not fill the memory while the disk hangs.
#[tokio::test]
async fn what_is_posted_is_bounded() {
    let disk = MemoryDisk::default();
    let (store, _) = disk.open();
    let storm = disk.hang();
    let mut posted: Vec<_> = (0..1_100)
        .map(|number| store.post(move |tables| tables.put(&USERS, &format!("{number:05}"), &String::new())))
        .collect();
    let refused = soon(posted.pop().unwrap()).await;
    assert!(matches!(refused, Err(CommitError::Unavailable { .. })), "{refused:?}");
    drop(storm);
    for (number, posted) in posted.into_iter().enumerate().take(1_000) {
        assert_eq!(soon(posted).await, Ok(()), "{number}");
    }
    assert!(get(&store, "00999").await.is_some());
}
