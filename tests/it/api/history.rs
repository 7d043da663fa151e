//! Sessions and roll-ups of a service.

use serde_json::Value;
use wakedock::domain::name::ServiceName;
use wakedock::domain::time::Timestamp;
use wakedock::domain::words::WakeCause;
use wakedock::store::{AskedBy, SessionStart};

use super::house::House;
use crate::support::fake_engine::FakeEngine;

#[tokio::test]
async fn sessions_tell_how_they_began_and_ended() {
    let house = House::new(&["cloud"]).await;
    for _ in 0..3 {
        house.ask("POST /api/v1/services/cloud/wake?wait=5s").await;
        house.ask("POST /api/v1/services/cloud/stop?wait=5s").await;
    }
    house.ask("POST /api/v1/services/cloud/wake?wait=5s").await;
    let page = house.ask("GET /api/v1/services/cloud/sessions?limit=2").await.json();
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!((&items[0]["outcome"], &items[0]["stop"]), (&"ready".into(), &Value::Null), "it goes on");
    assert_eq!(items[1]["stop"]["cause"], "manual");
    assert_eq!(items[1]["cause"], "manual");
    assert_eq!(items[1]["by"]["user"], "root");
    assert!(items[1]["took_ms"].is_u64());
    let next = page["next"].as_str().unwrap();
    let rest = house.ask(&format!("GET /api/v1/services/cloud/sessions?cursor={next}")).await.json();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (2, &Value::Null));
}

/// Sessions that began in the same millisecond were one place in the list, and a page that ended
/// between them lost those that came after.
#[tokio::test]
async fn pages_of_sessions_lose_none_that_began_in_the_same_millisecond() {
    let house = House::new(&["cloud"]).await;
    let cloud = ServiceName::parse("cloud").unwrap();
    for second in 0..7 {
        // Two and two at the same time, and one that goes on.
        let at = Timestamp::from_millis(1_000 * (second / 2));
        house.store.session_started(SessionStart {
            service: cloud.clone(),
            cause: WakeCause::Request,
            ordered_at: at,
            by: AskedBy::user(&second.to_string()),
        });
    }
    for limit in 1..=8 {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = house.ask(&format!("GET /api/v1/services/cloud/sessions?limit={limit}{cursor}")).await;
            let page = page.json();
            let users = page["items"].as_array().unwrap().iter().map(|item| &item["by"]["user"]);
            seen.extend(users.map(|user| user.as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"], "{limit} a page");
    }
}

#[tokio::test]
async fn what_was_counted_comes_by_the_hour_and_by_the_day() {
    let house = House::new(&["cloud"]).await;
    house.ask("POST /api/v1/services/cloud/wake?wait=5s").await;
    for step in ["hour", "day"] {
        let json = house.ask(&format!("GET /api/v1/services/cloud/metrics?step={step}")).await.json();
        assert_eq!(json["step"], step);
        let items = json["items"].as_array().unwrap();
        assert_eq!(items.last().unwrap()["wakes"], 1, "{json}");
    }
    let span = "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z";
    let none = house.ask(&format!("GET /api/v1/services/cloud/metrics?{span}")).await.json();
    assert_eq!(none["items"].as_array().unwrap().len(), 0);
    assert_eq!(none["from"], "2026-01-01T00:00:00.000Z");
    for bad in [
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=2020-01-02T00:00:00Z",
        "from=yesterday",
        "step=minute",
    ] {
        let refused = house.ask(&format!("GET /api/v1/services/cloud/metrics?{bad}")).await;
        assert_eq!((refused.status.as_u16(), refused.problem().0.as_str()), (400, "bad-parameter"), "{bad}");
    }
}

/// A service that lost its host had no past any more, just when somebody wants to know.
#[tokio::test]
async fn a_service_that_is_left_out_keeps_its_past() {
    let engine = FakeEngine::new();
    engine.create_as("web", |container| {
        container.label(&[("wakedock.enable", "true"), ("wakedock.host", "not a host")]);
    });
    let house = House::with(engine, "").await;
    house.catalog.look(std::time::Duration::from_secs(5)).await;
    for past in ["events", "metrics", "sessions"] {
        let answer = house.ask(&format!("GET /api/v1/services/web/{past}")).await;
        assert_eq!(answer.status, 200, "{past}: {}", answer.body);
    }
    let wake = house.ask("POST /api/v1/services/web/wake").await;
    assert_eq!((wake.status.as_u16(), wake.problem().0.as_str()), (409, "left-out"));
}
