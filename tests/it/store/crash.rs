//! `kill -9` in the middle of many writes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::tempdir;
use wakedock::store::{Interrupted, Order, Store, Table};

use super::{intent, name, quiet, session};

const NOTES: Table<i64> = Table::new("notes");

type Never = std::convert::Infallible;

/// A change of a table, and another at the same time.
async fn note(store: &Store, number: i64) {
    let other = store.change(|tables| Ok::<_, Interrupted<Never>>(tables.put(&NOTES, "other", &0)?));
    let append = store.change(move |tables| Ok::<_, Interrupted<Never>>(tables.append(&NOTES, &number)?));
    let (first, second) = tokio::join!(other, append);
    first.unwrap();
    second.unwrap();
}

/// Names the file for the child.
const CHILD_FILE: &str = "WAKEDOCK_TEST_STORE";

/// Not a test: the process that [`trap_30_what_was_acknowledged_survives_kill_9`] kills.
#[tokio::test]
#[ignore = "the child process of trap_30_what_was_acknowledged_survives_kill_9"]
async fn child() {
    let path = std::env::var_os(CHILD_FILE).expect("started by the test");
    let (store, _) = Store::open(Path::new(&path)).unwrap();
    for number in 1.. {
        session(&store, "history", number * 10);
        store.activities(vec![(name("cloud"), quiet(number))]).await.unwrap();
        store.intend_stop(name("db"), intent(&number.to_string())).await.unwrap();
        note(&store, number).await;
        writeln!(std::io::stdout().lock(), "acknowledged {number}").unwrap();
    }
}

#[tokio::test]
async fn trap_30_what_was_acknowledged_survives_kill_9() {
    for lines in [1, 7, 40, 41, 120] {
        let directory = tempdir().unwrap();
        let path = directory.path().join("s.redb");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::crash::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(CHILD_FILE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut seen = 0;
        let mut last = None;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if let Some(number) = line.unwrap().split("acknowledged ").nth(1) {
                last = Some(number.parse::<i64>().unwrap());
                seen += 1;
                if seen == lines {
                    child.kill().unwrap();
                }
            }
        }
        assert!(!child.wait().unwrap().success());
        let last = last.expect("the child acknowledged nothing");

        let (store, remembered) = Store::open(&path).unwrap();
        let noted = &remembered.services[&name("cloud")].activity;
        assert!([Some(quiet(last)), Some(quiet(last + 1))].contains(noted), "{noted:?} after {last}");
        let intended = remembered.services[&name("db")].stop_intent.clone().unwrap();
        assert!([intent(&last.to_string()), intent(&(last + 1).to_string())].contains(&intended));
        let notes = store.read(|tables| {
            Ok::<_, Interrupted<Never>>(tables.scan(&NOTES, "0".."9", Order::Ascending, 1000)?)
        });
        let notes: Vec<_> = notes.await.unwrap().into_iter().map(|(_, number)| number).collect();
        let next = i64::try_from(notes.len()).unwrap();
        assert!(next >= last, "{next} notes after {last}");
        assert_eq!(notes, (1..=next).collect::<Vec<_>>(), "in order, each once");
        let sessions = store.sessions(name("history"), 1000).await.unwrap();
        assert!(i64::try_from(sessions.len()).unwrap() >= last, "{} after {last}", sessions.len());
        store.close().await.unwrap();
    }
}
