//! Wake, stop, restart.

use std::time::Duration;

use wakedock::domain::words::Phase;

use super::house::{House, entry};
use crate::support::fake_engine::{Call, FakeEngine, Fault};

#[tokio::test]
async fn a_wake_is_accepted_and_goes_on() {
    let engine = FakeEngine::new();
    engine.create_as("cloud", |container| container.start_delay = Duration::from_millis(50));
    let house = House::with(engine, &entry("cloud")).await;
    let answer = house.ask("POST /api/v1/services/cloud/wake").await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.field("location"), "/api/v1/services/cloud");
    assert_eq!(answer.json()["phase"], "waking");
    house.reaches("cloud", Phase::Ready).await;
    let again = house.ask("POST /api/v1/services/cloud/wake").await;
    assert_eq!((again.status.as_u16(), again.json()["phase"].as_str()), (200, Some("ready")));
}

#[tokio::test]
async fn a_wake_that_is_waited_for_answers_when_it_is_ready() {
    let engine = FakeEngine::new();
    engine.create_as("cloud", |container| container.start_delay = Duration::from_millis(400));
    let house = House::with(engine, &entry("cloud")).await;
    let prefer = [("prefer", "respond-async, wait=8")];
    let (first, second) = tokio::join!(
        house.ask("POST /api/v1/services/cloud/wake?wait=8s"),
        house.ask_with("POST /api/v1/services/cloud/wake", &prefer),
    );
    assert_eq!((first.status.as_u16(), first.json()["phase"].as_str()), (200, Some("ready")));
    assert_eq!(first.field("preference-applied"), "");
    assert_eq!(second.status, 200);
    assert_eq!(second.field("preference-applied"), "wait=8");
    assert_eq!(starts(&house), 1, "one wake for both");
}

fn starts(house: &House) -> usize {
    house.engine.made().iter().filter(|made| made.call == Call::Start).count()
}

#[tokio::test]
async fn patience_that_ends_first_is_an_answer_too() {
    let engine = FakeEngine::new();
    engine.create_as("cloud", |container| container.start_delay = Duration::from_secs(5));
    let house = House::with(engine, &entry("cloud")).await;
    let answer = house.ask("POST /api/v1/services/cloud/wake?wait=100ms").await;
    assert_eq!((answer.status.as_u16(), answer.json()["phase"].as_str()), (202, Some("waking")));
    // Who stops it on the way overtakes whoever waits for it.
    let (waited, _) = tokio::join!(house.ask("POST /api/v1/services/cloud/wake?wait=8s"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        house.ask("POST /api/v1/services/cloud/stop").await
    });
    assert_eq!(waited.status, 409);
    assert_eq!(waited.problem().0, "overtaken");
}

#[tokio::test]
async fn a_wake_that_fails_says_why() {
    let engine = FakeEngine::new();
    engine.create_as("cloud", |container| {
        container.faults.insert(Call::Start, Fault::refused("no space left on device"));
    });
    let house = House::with(engine, &entry("cloud")).await;
    for _ in 0..2 {
        let answer = house.ask("POST /api/v1/services/cloud/wake?wait=8s").await;
        assert_eq!(answer.status, 502);
        let (kind, detail) = answer.problem();
        assert_eq!(kind, "wake-failed");
        assert!(detail.contains("no space left on device"), "{detail}");
        assert!(!answer.field("retry-after").is_empty());
    }
    assert_eq!(starts(&house), 2, "a wake by hand ends the back-off");
    let shown = house.ask("GET /api/v1/services/cloud").await.json();
    assert!(shown["failure"]["reason"].as_str().unwrap().contains("no space left on device"));
}

#[tokio::test]
async fn a_stop_may_be_given_again() {
    let house = House::new(&["cloud"]).await;
    house.ask("POST /api/v1/services/cloud/wake?wait=8s").await;
    let stopped = house.ask("POST /api/v1/services/cloud/stop?wait=8s").await;
    assert_eq!((stopped.status.as_u16(), stopped.json()["phase"].as_str()), (200, Some("asleep")));
    assert_eq!(stopped.json()["last_stop"]["cause"], "manual");
    assert_eq!(house.ask("POST /api/v1/services/cloud/stop").await.status, 200);
}

#[tokio::test]
async fn a_restart_stops_and_wakes() {
    let house = House::new(&["cloud"]).await;
    house.ask("POST /api/v1/services/cloud/wake?wait=8s").await;
    let restarted = house.ask("POST /api/v1/services/cloud/restart?wait=8s").await;
    assert_eq!((restarted.status.as_u16(), restarted.json()["phase"].as_str()), (200, Some("ready")));
    assert_eq!(starts(&house), 2);
}

/// It goes on for whoever does not wait, and from sleep it is a wake.
#[tokio::test]
async fn a_restart_belongs_to_the_service() {
    let house = House::new(&["cloud"]).await;
    assert!(house.ask("POST /api/v1/services/cloud/restart").await.status.is_success());
    house.reaches("cloud", Phase::Ready).await;
    assert_eq!(starts(&house), 1);
}

#[tokio::test]
async fn a_service_is_kept_awake_for_a_while() {
    let house = House::new(&["cloud"]).await;
    let line = "POST /api/v1/services/cloud/keep-awake";
    let kept = house.put(line, &[], &serde_json::json!({ "for": "2h" })).await;
    assert_eq!(kept.status, 200);
    assert!(kept.json()["kept_awake_until"].is_string(), "{kept:?}");
    let ended = house.ask("DELETE /api/v1/services/cloud/keep-awake").await;
    assert_eq!((ended.status.as_u16(), &ended.json()["kept_awake_until"]), (200, &serde_json::Value::Null));
    for (body, wrong) in [
        ("{}", vec!["/for"]),
        (r#"{"for": 7}"#, vec!["/for"]),
        (r#"{"for": "7"}"#, vec!["/for"]),
        (r#"{"for": "31d"}"#, vec!["/for"]),
        (r#"{"for": "0s", "to/me": 1}"#, vec!["/for", "/to~1me"]),
    ] {
        let refused = house.tell(line, &[], "application/json", body).await;
        assert_eq!((refused.status.as_u16(), refused.problem().0.as_str()), (422, "invalid"), "{body}");
        let json = refused.json();
        let pointers: Vec<_> = json["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(pointers, wrong, "{body}");
    }
}

/// What cannot be read is told from what cannot be.
#[tokio::test]
async fn bodies_of_the_wrong_kind_are_refused() {
    let house = House::new(&["cloud"]).await;
    let line = "POST /api/v1/services/cloud/keep-awake";
    for (kind, body, status, problem) in [
        ("text/plain", r#"{"for":"2h"}"#, 415, "unsupported-media-type"),
        ("application/json; charset=latin1", r#"{"for":"2h"}"#, 415, "unsupported-media-type"),
        ("application/json; charset=UTF-8", r#"{"for":"2h"}"#, 200, ""),
        ("application/json", r#"{"for":"2h""#, 400, "bad-json"),
        ("application/json", r#"{"for":"2h","for":"3h"}"#, 400, "bad-json"),
        ("application/json", "[]", 400, "bad-json"),
        ("application/json", "", 400, "bad-json"),
    ] {
        let answer = house.tell(line, &[], kind, body).await;
        assert_eq!(answer.status.as_u16(), status, "{kind} {body}");
        if status != 200 {
            assert_eq!(answer.problem().0, problem, "{kind} {body}");
        }
    }
    let bare = house.ask(line).await;
    assert_eq!(bare.status, 415);
    assert_eq!(bare.field("accept-post"), "application/json");
    let large = house.tell(line, &[], "application/json", &" ".repeat(2 << 20)).await;
    assert_eq!((large.status.as_u16(), large.problem().0.as_str()), (413, "too-large"));
}

/// It was said that somebody else had ordered otherwise.
#[tokio::test]
async fn while_docker_is_away_an_order_says_so() {
    let house = House::with(
        {
            let engine = FakeEngine::new();
            engine.create("cloud");
            engine
        },
        "  { name: cloud, hosts: [cloud.test], container: cloud, wake_timeout: 500ms },\n",
    )
    .await;
    house.engine.go_away();
    let mut status = house.fleet.engine_status();
    let away = status.wait_for(|status| !status.connected);
    tokio::time::timeout(std::time::Duration::from_secs(5), away).await.expect("seen").unwrap();
    for order in ["wake", "restart"] {
        let answer = house.ask(&format!("POST /api/v1/services/cloud/{order}?wait=5s")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().0.as_str()),
            (503, "engine-unavailable"),
            "{order}"
        );
        assert_eq!(answer.field("retry-after"), "5");
    }
}

/// It was waited for to the end of the client's patience.
#[tokio::test]
async fn who_waits_for_a_service_that_is_deleted_is_told() {
    let engine = FakeEngine::new();
    engine.create_as("late", |container| container.start_delay = Duration::from_secs(30));
    let house = House::with(engine, "").await;
    let keys = serde_json::json!({ "name": "late", "container": "late", "hosts": ["late.test"] });
    assert_eq!(house.put("POST /api/v1/services", &[], &keys).await.status, 201);
    let (waited, deleted) = tokio::join!(house.ask("POST /api/v1/services/late/wake?wait=30s"), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        house.ask_with("DELETE /api/v1/services/late", &[("if-match", "*")]).await
    });
    assert_eq!(deleted.status, 204);
    assert_eq!((waited.status.as_u16(), waited.problem().0.as_str()), (404, "unknown-service"));
}
