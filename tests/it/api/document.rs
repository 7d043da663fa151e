//! The OpenAPI document says what the router does.

use std::collections::BTreeSet;

use serde_json::Value;

use super::house::House;
use crate::support::committed::committed;

fn document() -> Value {
    wakedock::admin::api::document()
}

/// Every operation: method, path, and what is said of it.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(|(method, operation)| (method.to_uppercase(), path.clone(), operation))
    });
    all.collect()
}

#[test]
fn generated_and_committed_are_the_same() {
    let text = serde_json::to_string_pretty(&document()).unwrap();
    committed("docs/reference/openapi.json", &(text + "\n"));
}

#[tokio::test]
async fn the_committed_copy_is_served() {
    let house = House::new(&[]).await;
    let answer = house.ask("GET /api/v1/openapi.json").await;
    assert_eq!(answer.field("content-type"), "application/json");
    assert!(answer.json() == document(), "another document is served than the committed one");
}

#[test]
fn every_operation_has_an_id_a_summary_and_a_tag_of_its_own() {
    let document = document();
    let mut ids = BTreeSet::new();
    let operations = operations(&document);
    assert!(operations.len() >= 5, "found too few: {operations:?}");
    for (method, path, operation) in operations {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no id"));
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        assert!(operation["summary"].is_string(), "{id} has no summary");
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{id}");
    }
}

/// What is documented is routed: nothing answers that there is no such thing here.
#[tokio::test]
async fn every_documented_path_is_routed() {
    let house = House::new(&["cloud"]).await;
    let document = document();
    let mut seen = 0;
    for (method, path, _) in operations(&document) {
        let line = format!("{method} {}", path.replace("{name}", "cloud"));
        seen += 1;
        if path == "/api/v1/events" {
            house.follow(&line, &[]).await;
            continue;
        }
        let answer = house.ask(&line).await;
        assert!(answer.status != 405, "{method} {path}");
        assert!(answer.status != 404 || answer.problem().0 != "not-found", "{method} {path}");
    }
    assert!(seen >= 5, "{seen}");
}
