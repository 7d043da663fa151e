//! What the audit says of what was done: behind an order, with a change, and never of what was refused.

use std::time::Duration;

use serde_json::{Value, json};
use wakedock::domain::words::Phase;
use wakedock::store::StoreHealth;

use super::house::House;

const SOON: Duration = Duration::from_secs(5);

/// What was done to whom, the oldest first.
async fn deeds(house: &House) -> Vec<(String, String)> {
    let mut deeds: Vec<_> =
        entries(house).await.iter().map(|entry| (text(entry, "what"), text(entry, "subject"))).collect();
    deeds.reverse();
    deeds
}

async fn entries(house: &House) -> Vec<Value> {
    let page = house.ask("GET /api/v1/audit").await.json();
    page["items"].as_array().unwrap().clone()
}

fn text(entry: &Value, key: &str) -> String {
    entry[key].as_str().unwrap().to_owned()
}

fn deed(what: &str, subject: &str) -> (String, String) {
    (what.to_owned(), subject.to_owned())
}

async fn writes_again(house: &House) {
    let mut health = house.store.watch_health();
    let ok = health.wait_for(|health| *health == StoreHealth::Ok);
    tokio::time::timeout(SOON, ok).await.expect("not in time").unwrap();
}

/// The story: the entry stood before the order, and a wake waited for the disk.
#[tokio::test]
async fn orders_wait_for_no_disk_and_are_in_the_audit_afterwards() {
    let house = House::new(&["cloud"]).await;
    let storm = house.disk.hang();
    let answer = tokio::time::timeout(SOON, house.ask("POST /api/v1/services/cloud/wake?wait=4s")).await;
    assert_eq!(answer.expect("the wake waits for the disk").status, 200);
    house.reaches("cloud", Phase::Ready).await;
    let answer = tokio::time::timeout(SOON, house.ask("POST /api/v1/services/cloud/restart")).await;
    assert!(answer.expect("the restart waits for the disk").status.is_success());
    drop(storm);
    assert_eq!(deeds(&house).await, [deed("wake", "cloud"), deed("restart", "cloud")]);
}

#[tokio::test]
async fn a_broken_disk_fails_no_wake() {
    let house = House::new(&["cloud"]).await;
    let storm = house.disk.fail();
    assert_eq!(house.ask("POST /api/v1/services/cloud/wake?wait=4s").await.status, 200);
    drop(storm);
}

#[tokio::test]
async fn a_change_and_its_entry_are_one_commit() {
    let house = House::new(&[]).await;
    let web = json!({ "container": "web", "hosts": ["web.test"] });
    let made = house.put("PUT /api/v1/services/web", &[], &web).await;
    assert_eq!(made.status, 201, "{made:?}");
    let tag = made.field("etag").to_owned();
    // Refused by whoever reads it: of that there is no entry.
    let more = json!({ "container": "web", "hosts": ["other.test"] });
    assert_eq!(house.put("PUT /api/v1/services/web", &[("if-match", "\"99\"")], &more).await.status, 412);
    let bad = json!({ "container": "web", "no_such_key": 1 });
    assert_eq!(house.put("PUT /api/v1/services/web", &[("if-match", &tag)], &bad).await.status, 422);
    let changed = house.put("PUT /api/v1/services/web", &[("if-match", &tag)], &more).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let tag = changed.field("etag").to_owned();
    let gone = house.ask_with("DELETE /api/v1/services/web", &[("if-match", &tag)]).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    let entries = entries(&house).await;
    let said: Vec<_> =
        entries.iter().rev().map(|entry| (text(entry, "what"), &entry["before"], &entry["after"])).collect();
    assert_eq!(
        said,
        [
            ("service-created".to_owned(), &Value::Null, &web),
            ("service-changed".to_owned(), &web, &more),
            ("service-deleted".to_owned(), &more, &Value::Null),
        ]
    );
}

/// Refused by the disk, which is found out last.
#[tokio::test]
async fn what_the_disk_refused_was_not_done() {
    let house = House::new(&[]).await;
    let web = json!({ "container": "web", "hosts": ["web.test"] });
    let storm = house.disk.fail();
    let made = house.put("PUT /api/v1/services/web", &[], &web).await;
    assert_eq!(made.status, 503, "{made:?}");
    let ann = json!({ "username": "ann", "password": "long enough", "role": "admin" });
    assert_eq!(house.put("POST /api/v1/users", &[], &ann).await.status, 503);
    drop(storm);
    writes_again(&house).await;
    assert_eq!(deeds(&house).await, []);
    assert_eq!(house.ask("GET /api/v1/services/web").await.status, 404);
    assert_eq!(house.put("PUT /api/v1/services/web", &[], &web).await.status, 201);
    assert_eq!(deeds(&house).await, [deed("service-created", "web")]);
}

/// The story: a service that was deleted and made again began with the same `ETag`, so that a change of
/// the old one hit the new one.
#[tokio::test]
async fn a_tag_of_something_that_is_gone_never_fits_again() {
    let house = House::new(&[]).await;
    let web = json!({ "container": "web", "hosts": ["web.test"] });
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..3 {
        let made = house.put("PUT /api/v1/services/web", &[], &web).await;
        assert_eq!(made.status, 201, "{made:?}");
        let tag = made.field("etag").to_owned();
        for old in &seen {
            let old = old.as_str();
            let stale = house.put("PUT /api/v1/services/web", &[("if-match", old)], &web).await;
            assert_eq!(stale.status, 412, "{old} of {seen:?}");
        }
        let gone = house.ask_with("DELETE /api/v1/services/web", &[("if-match", &tag)]).await;
        assert_eq!(gone.status, 204);
        seen.push(tag);
    }
    let mut users = Vec::new();
    for name in ["root", "ann", "ann", "bob", "ann"] {
        let made = json!({ "username": name, "password": "long enough", "role": "admin" });
        let made = house.put("POST /api/v1/users", &[], &made).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert!(!users.contains(&made.field("etag").to_owned()), "{users:?}");
        users.push(made.field("etag").to_owned());
        if name == "ann" {
            assert_eq!(house.ask("DELETE /api/v1/users/ann").await.status, 204);
        }
    }
}

/// The story: what was ordered by a client that hung up was done, and nobody had ordered it.
#[tokio::test]
async fn whoever_hangs_up_has_ordered_it_all_the_same() {
    let house = House::new(&["cloud"]).await;
    house.give_up_on("POST /api/v1/services/cloud/keep-awake", &json!({ "for": "1h" })).await;
    house.give_up_on("PUT /api/v1/services/web", &json!({ "container": "web", "hosts": ["web.test"] })).await;
    let expected = [deed("keep-awake", "cloud"), deed("service-created", "web")];
    let all = async {
        while deeds(&house).await != expected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, all).await.expect("not in the audit");
}
