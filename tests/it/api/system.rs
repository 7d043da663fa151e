//! How WakeDock itself does, and what Caddy is to run.

use super::house::House;

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
