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

/// The source of the API, file by file.
fn sources() -> String {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin")];
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                text += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    text
}

/// What the door and what is no part of the API say.
const ELSEWHERE: [&str; 4] = ["not-found", "method-not-allowed", "too-slow", "too-many-requests"];

/// A type of a problem is stable, and whoever writes a client has to know which there are.
#[test]
fn every_problem_that_the_source_names_is_in_the_document_with_its_status() {
    let document = document();
    let mut told = BTreeSet::new();
    let shared = &document["components"]["responses"];
    for (_, _, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let name = response["$ref"].as_str().and_then(|name| name.rsplit('/').next());
            let response = name.map_or(response, |name| &shared[name]);
            let examples = &response["content"]["application/problem+json"]["examples"];
            for (kind, example) in examples.as_object().into_iter().flatten() {
                assert_eq!(example["value"]["status"].to_string(), *status, "{kind}");
                assert_eq!(example["value"]["type"], format!("/problems/{kind}"));
                told.insert((status.clone(), kind.clone()));
            }
        }
    }
    let source = sources();
    let mut named = 0;
    for rest in source.split("Problem::new(").skip(1) {
        let Some((_, rest)) = rest.split_once("StatusCode::") else { continue };
        let Some((status, rest)) = rest.split_once(',') else { continue };
        let Some(kind) = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
            continue;
        };
        if ELSEWHERE.contains(&kind)
            || kind.starts_with("oidc-")
            || !status.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        {
            continue;
        }
        let code = match status {
            "BAD_REQUEST" => "400",
            "UNAUTHORIZED" => "401",
            "FORBIDDEN" => "403",
            "NOT_FOUND" => "404",
            "NOT_ACCEPTABLE" => "406",
            "CONFLICT" => "409",
            "PRECONDITION_FAILED" => "412",
            "PAYLOAD_TOO_LARGE" => "413",
            "UNSUPPORTED_MEDIA_TYPE" => "415",
            "MISDIRECTED_REQUEST" => "421",
            "UNPROCESSABLE_ENTITY" => "422",
            "PRECONDITION_REQUIRED" => "428",
            "TOO_MANY_REQUESTS" => "429",
            "BAD_GATEWAY" => "502",
            "SERVICE_UNAVAILABLE" => "503",
            other => panic!("{other} of {kind} is not known to this test"),
        };
        named += 1;
        // Of what is asked outside of the API.
        let own = kind != "bad-request";
        assert!(
            !own || told.contains(&(code.to_owned(), kind.to_owned())),
            "{code} {kind} is not documented"
        );
    }
    assert!(named > 40, "found only {named}");
}

/// What an example shows is what a client may send, or gets.
#[test]
fn examples_fit_their_schemas() {
    let document = document();
    let mut checked = 0;
    for (_, _, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        let answers = operation["responses"].as_object().unwrap().values();
        for body in answers.chain([&operation["requestBody"]]) {
            for (kind, content) in body["content"].as_object().into_iter().flatten() {
                if kind.ends_with("json") && content["example"].is_object() {
                    fits(&document, &content["schema"], &content["example"], id);
                    checked += 1;
                }
            }
        }
        if !operation["requestBody"].is_null() {
            let content = operation["requestBody"]["content"].as_object().unwrap();
            assert!(content.values().all(|content| content["example"].is_object()), "{id} has no example");
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for example in schema["examples"].as_array().into_iter().flatten().filter(|_| name != "Time") {
            fits(&document, schema, example, name);
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked}");
}

/// As much of JSON Schema as the document uses.
fn fits(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        return fits(document, document.pointer(&reference[1..]).unwrap(), value, place);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fits(document, part, value, place);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let choice = choices.iter().find(|choice| (choice["type"] == "null") == value.is_null());
        return fits(
            document,
            choice.unwrap_or_else(|| panic!("{place}: {value} is none of them")),
            value,
            place,
        );
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        _ => Vec::new(),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let whole = kind == "integer" && kinds.contains(&"number");
    assert!(kinds.is_empty() || whole || kinds.contains(&kind), "{place}: {value} is no {kinds:?}");
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{place}: {value} is none of {words:?}");
    }
    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(document, &schema["items"], item, &format!("{place}[{at}]"));
    }
    let Some(object) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(object.contains_key(name.as_str().unwrap()), "{place}: {name} is missing");
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = object.get(name) {
            fits(document, inner, value, &format!("{place}.{name}"));
        }
    }
    let closed = schema["properties"].is_object() && schema["additionalProperties"] == false;
    for name in object.keys().filter(|_| closed) {
        assert!(!schema["properties"][name].is_null(), "{place}: {name} is not known");
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
