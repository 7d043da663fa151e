//! Sessions and roll-ups of a service.

use serde_json::Value;

use super::house::House;

#[tokio::test]
async fn sessions_tell_how_they_began_and_ended() {
    let house = House::new(&["cloud"]).await;
    for _ in 0..3 {
        house.ask("POST /api/v1/services/cloud/wake?wait=5s").await;
        house.ask("POST /api/v1/services/cloud/stop?wait=5s").await;
        // Sessions are told apart by when they were ordered.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
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
