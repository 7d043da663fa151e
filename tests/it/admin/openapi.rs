//! The OpenAPI document says of the door what the door does.

use std::collections::BTreeSet;

use serde_json::Value;
use wakedock::admin::access::{self, Access, Found};
use wakedock::admin::api::document;
use wakedock::domain::words::Role;

use super::rig::{Ask, Rig, log_in, password};

/// Every operation: method, path, and what is said of it.
fn operations(document: &Value) -> Vec<(axum::http::Method, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all: Vec<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, said)| (method.to_uppercase().parse().unwrap(), path.as_str(), said))
        })
        .collect();
    assert!(all.len() > 30, "found too few: {}", all.len());
    all
}

fn statuses(operation: &Value) -> BTreeSet<&str> {
    operation["responses"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn open_operations_want_nothing_and_all_others_say_what() {
    let document = document();
    for (method, path, said) in operations(&document) {
        let Found::Access(access) = access::find(&method, path) else { panic!("{method} {path}") };
        let security = said["security"].as_array().unwrap_or_else(|| panic!("{method} {path} says nothing"));
        let has_401 = statuses(said).contains("401");
        if access == Access::Open {
            assert!(security.is_empty(), "{method} {path} is open: {security:?}");
            // The log-in and the refresh say it of what is in the body.
            assert!(!has_401 || path.starts_with("/api/v1/auth/"), "{method} {path}");
            continue;
        }
        assert!(has_401 && statuses(said).contains("403"), "{method} {path}");
        assert_eq!(security.len(), 3, "{method} {path}");
        let changes = method != "GET";
        for way in security {
            let way = way.as_object().unwrap();
            assert_eq!(way.contains_key("csrf"), changes && !way.contains_key("bearer"), "{method} {path}");
        }
    }
}

#[test]
fn too_many_is_said_where_it_can_be() {
    let document = document();
    let found: BTreeSet<&str> = operations(&document)
        .into_iter()
        .filter(|(_, _, said)| statuses(said).contains("429"))
        .map(|(_, _, said)| said["operationId"].as_str().unwrap())
        .collect();
    let throttled = ["changePassword", "logIn"];
    let going_on = ["followEvents", "getBackup", "getServiceLogs"];
    assert_eq!(found, throttled.into_iter().chain(going_on).collect());
}

/// The story: the document named one cookie, and browsers behind TLS have another.
#[tokio::test]
async fn the_schemes_are_those_that_the_door_reads() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let document = document();
    let schemes = &document["components"]["securitySchemes"];
    let (cookie, csrf) = rig.browser("ann").await;
    for (scheme, proto) in [("cookie", "https"), ("plainCookie", "http")] {
        let name = schemes[scheme]["name"].as_str().unwrap();
        let ask = |path: &str, method: &str| {
            Ask::new(method, path)
                .field("X-Forwarded-Proto", proto)
                .field("Cookie", &format!("{name}={cookie}"))
        };
        assert_eq!(rig.ask(&ask("/api/v1/auth/me", "GET")).await.status, 200, "{name}");
        let header = schemes["csrf"]["name"].as_str().unwrap();
        let change = ask("/api/v1/tokens/none", "DELETE");
        assert_eq!(rig.ask(&change).await.problem(), "csrf");
        assert_eq!(rig.ask(&change.field(header, &csrf)).await.problem(), "unknown-token");
    }
    assert_eq!(schemes["bearer"]["scheme"], "bearer");
    let tokens = rig.ask(&log_in("ann", &password("ann"))).await.json();
    let me = Ask::new("GET", "/api/v1/auth/me").bearer(tokens["access_token"].as_str().unwrap());
    assert_eq!(rig.ask(&me).await.status, 200);
}
