//! Files that earlier versions made, kept as they were: `fixtures/v1.redb` and so on.

use std::path::Path;
use std::time::Duration;

use wakedock::domain::time::Timestamp;
use wakedock::domain::words::{WakeCause, WakeOutcome};
use wakedock::store::{AskedBy, SessionReady, SessionStart, Store, WakeFailed};

use super::{intent, name, quiet, session};

/// Not a test: writes the fixture of the schema that this version writes, where
/// `WAKEDOCK_TEST_FIXTURE` says.
#[tokio::test]
#[ignore = "writes a fixture, once for each version of the schema"]
async fn write_fixture() {
    let path = std::env::var_os("WAKEDOCK_TEST_FIXTURE").expect("where to write it");
    let (store, _) = Store::open(Path::new(&path)).unwrap();
    for number in 1..=5 {
        session(&store, "cloud", number * 100);
    }
    store.activities(vec![(name("cloud"), quiet(1_700_000_000_000))]).await.unwrap();
    let at = Timestamp::from_millis(1_700_000_100_000);
    store.session_started(SessionStart {
        service: name("media"),
        cause: WakeCause::Manual,
        ordered_at: at,
        by: AskedBy::user("ada"),
    });
    store.session_ready(SessionReady {
        service: name("media"),
        at: Timestamp::from_millis(1_700_000_101_500),
        wake: Some(Duration::from_millis(1_500)),
        engine: Some(Duration::from_millis(400)),
    });
    store.session_started(SessionStart {
        service: name("broken"),
        cause: WakeCause::Request,
        ordered_at: at,
        by: AskedBy::default(),
    });
    store.wake_failed(WakeFailed {
        service: name("broken"),
        outcome: WakeOutcome::Timeout,
        reason: "did not answer within 60s".to_owned(),
        at: Timestamp::from_millis(1_700_000_160_000),
    });
    store.intend_stop(name("db"), intent("4f1c")).await.unwrap();
    store.close().await.unwrap();
}
