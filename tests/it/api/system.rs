//! How WakeDock itself does, and what Caddy is to run.

use super::house::House;
use crate::support::fake_engine::FakeEngine;

#[tokio::test]
async fn the_totals_follow_the_services() {
    let house = House::new(&["cloud", "films"]).await;
    let totals = house.ask("GET /api/v1/system/overview").await.json();
    assert_eq!((&totals["services"], &totals["asleep"], &totals["awake"]), (&2.into(), &2.into(), &0.into()));
    house.ask("POST /api/v1/services/cloud/wake?wait=5s").await;
    let totals = house.ask("GET /api/v1/system/overview").await.json();
    assert_eq!((&totals["asleep"], &totals["awake"]), (&1.into(), &1.into()));
    assert_eq!((&totals["wakes_today"], &totals["problems"]), (&1.into(), &0.into()));
    assert!(totals["wake_p50_ms"].is_u64(), "{totals}");
}

#[tokio::test]
async fn health_names_what_is_away() {
    let house = House::new(&["cloud"]).await;
    let check = |json: &serde_json::Value, name: &str| {
        json["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone()
    };
    let mut connected = house.fleet.engine_status();
    connected.wait_for(|status| status.connected).await.unwrap();
    let fine = house.ask("GET /api/v1/system/health").await.json();
    assert_eq!(fine["status"], "ready", "{fine}");
    house.engine.go_away();
    connected.wait_for(|status| !status.connected).await.unwrap();
    let away = house.ask("GET /api/v1/system/health").await.json();
    assert_eq!(away["status"], "degraded");
    let engine = check(&away, "engine");
    assert_eq!(engine["status"], "degraded");
    assert!(engine["detail"].as_str().unwrap().contains("what is awake goes on"));
    assert_eq!(check(&away, "store")["status"], "ok");
}

#[tokio::test]
async fn info_says_which_wakedock_this_is() {
    let info = House::new(&[]).await.ask("GET /api/v1/system/info").await.json();
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(info["caddy"], "off");
    assert!(info["started_at"].is_string() && info["host"].is_string());
}

#[tokio::test]
async fn where_nothing_is_published_that_is_said() {
    let house = House::new(&["cloud"]).await;
    let early = house.ask("GET /api/v1/caddy/config").await;
    assert_eq!((early.status.as_u16(), early.problem().0.as_str()), (503, "starting"));
    for line in ["POST /api/v1/caddy/validate", "POST /api/v1/caddy/publish"] {
        let answer = house.ask(line).await;
        assert_eq!((answer.status.as_u16(), answer.problem().0.as_str()), (409, "caddy-off"), "{line}");
    }
    house.catalog.begin_to_publish();
    let shown = house.ask("GET /api/v1/caddy/config").await.json();
    assert_eq!(shown["mode"], "off");
    assert!(shown["caddyfile"].as_str().unwrap().contains("cloud.test"), "{shown}");
}

/// What made no service was counted, and stood nowhere.
#[tokio::test]
async fn every_problem_is_listed_with_whose_it_is() {
    let engine = FakeEngine::new();
    engine.create_as("odd", |container| container.label(&[("wakedock.enable", "perhaps")]));
    engine.create_as("web", |container| {
        container.label(&[("wakedock.enable", "true"), ("wakedock.host", "web.test")]);
        container.label(&[("wakedock.stop-after", "soon"), ("wakedock.nonsense", "1")]);
    });
    let house = House::with(engine, "").await;
    house.catalog.look(std::time::Duration::from_secs(5)).await;
    let first = house.ask("GET /api/v1/system/problems?limit=2").await.json();
    let next = first["next"].as_str().unwrap();
    let rest = house.ask(&format!("GET /api/v1/system/problems?limit=2&cursor={next}")).await.json();
    let items =
        [first["items"].as_array().unwrap().clone(), rest["items"].as_array().unwrap().clone()].concat();
    assert_eq!((items.len(), &rest["next"]), (3, &serde_json::Value::Null));
    assert_eq!((&items[0]["service"], &items[0]["container"]), (&serde_json::Value::Null, &"odd".into()));
    let keys: Vec<_> =
        items[1..].iter().map(|item| (item["service"].as_str(), item["key"].as_str().unwrap())).collect();
    assert!(
        keys.contains(&(Some("web"), "wakedock.stop-after"))
            && keys.contains(&(Some("web"), "wakedock.nonsense"))
    );
    assert!(items.iter().all(|item| item["mend"].is_string() && item["origin"] == "label"));
    let overview = house.ask("GET /api/v1/system/overview").await.json();
    assert_eq!(overview["problems"], 3);
}

/// A thousand services are megabytes of text, most of it the same words.
#[tokio::test]
async fn metrics_are_packed_for_who_takes_them_packed() {
    let house = House::new(&["cloud"]).await;
    let plain = house.ask("GET /metrics").await;
    assert_eq!((plain.field("content-encoding"), plain.field("vary")), ("", "accept-encoding"));
    assert!(plain.body.contains("wakedock_requests_total{service=\"cloud\""));
    // Nothing to tell apart: one bucket. With something in it, all of them.
    let buckets =
        |text: &str| text.matches("wakedock_wake_duration_seconds_bucket{service=\"cloud\"").count();
    assert_eq!(buckets(&plain.body), 1, "{}", plain.body);
    house.ask("POST /api/v1/services/cloud/wake?wait=5s").await;
    assert_eq!(buckets(&house.ask("GET /metrics").await.body), 15);
    let packed = house.ask_with("GET /metrics", &[("accept-encoding", "gzip, deflate")]).await;
    assert_eq!(packed.field("content-encoding"), "gzip");
    assert!(packed.body.len() < plain.body.len() / 3, "{} of {}", packed.body.len(), plain.body.len());
}
