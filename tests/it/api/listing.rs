//! The list of services, and one of them.

use serde_json::Value;
use wakedock::domain::words::Phase;

use super::house::House;

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn services_come_by_name_in_pages() {
    let house = House::new(&["c", "a", "b", "d", "e"]).await;
    let first = house.ask("GET /api/v1/services?limit=2").await.json();
    assert_eq!(names(&first), ["a", "b"]);
    let next = first["next"].as_str().unwrap();
    let second = house.ask(&format!("GET /api/v1/services?limit=3&cursor={next}")).await.json();
    assert_eq!(names(&second), ["c", "d", "e"]);
    assert_eq!(second["next"], Value::Null);
}

#[tokio::test]
async fn a_list_is_narrowed_by_phase_and_text() {
    let house = House::new(&["cloud", "films"]).await;
    house.ask("POST /api/v1/services/films/wake?wait=5s").await;
    let ready = house.ask("GET /api/v1/services?phase=ready").await.json();
    assert_eq!(names(&ready), ["films"]);
    let text = house.ask("GET /api/v1/services?text=CLOUD.te").await.json();
    assert_eq!(names(&text), ["cloud"]);
    assert!(names(&house.ask("GET /api/v1/services?text=nobody").await.json()).is_empty());
}

#[tokio::test]
async fn one_service_is_shown_as_it_is() {
    let house = House::new(&["cloud"]).await;
    let service = house.ask("GET /api/v1/services/cloud").await.json();
    assert_eq!(service["phase"], "asleep");
    assert_eq!(service["hosts"], serde_json::json!(["cloud.test"]));
    assert_eq!(service["container"], "cloud");
    assert_eq!(service["failure"], Value::Null);
    house.ask("POST /api/v1/services/cloud/wake").await;
    house.reaches("cloud", Phase::Ready).await;
    let service = house.ask("GET /api/v1/services/cloud").await.json();
    assert_eq!(service["phase"], "ready");
    assert_eq!(service["last_wake"]["cause"], "manual");
    assert_eq!(service["last_wake"]["user"], "root");
    assert_eq!(service["awake_because"], "idle");
    assert!(service["sleeps_at"].is_string());
}

#[tokio::test]
async fn an_unknown_service_is_a_problem() {
    let house = House::new(&["cloud"]).await;
    for name in ["nobody", "CLOUD", "%ff", "cloud%00"] {
        let answer = house.ask(&format!("GET /api/v1/services/{name}")).await;
        assert_eq!(answer.status, 404, "{name}");
        assert_eq!(answer.problem().0, "unknown-service", "{name}");
    }
}

#[tokio::test]
async fn parameters_that_cannot_be_are_all_said() {
    let house = House::new(&[]).await;
    let answer = house.ask("GET /api/v1/services?limit=0&phase=sleepy&colour=red&cursor=%25").await;
    assert_eq!(answer.status, 400);
    let (kind, detail) = answer.problem();
    assert_eq!(kind, "bad-parameter");
    assert!(detail.contains("limit, cursor, phase, group, text"), "{detail}");
    let json = answer.json();
    let wrong: Vec<_> = json["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(wrong, ["?colour", "?phase", "?limit", "?cursor"]);
}

#[tokio::test]
async fn only_json_is_served() {
    let house = House::new(&[]).await;
    let refused = house.ask_with("GET /api/v1/services", &[("accept", "text/html")]).await;
    assert_eq!(refused.status, 406);
    assert_eq!(refused.problem().0, "not-acceptable");
    let taken = house.ask_with("GET /api/v1/services", &[("accept", "text/html, */*;q=0.1")]).await;
    assert_eq!(taken.status, 200);
    assert_eq!(taken.field("content-type"), "application/json");
}

#[tokio::test]
async fn a_method_that_is_not_there_is_said_with_those_that_are() {
    let house = House::new(&["cloud"]).await;
    let answer = house.ask("DELETE /api/v1/services/cloud/wake").await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.problem().0, "method-not-allowed");
    assert_eq!(answer.field("allow"), "POST");
    assert_eq!(house.ask("HEAD /api/v1/services/cloud").await.body, "");
}
