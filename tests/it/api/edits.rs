//! Services made, changed and taken back by the API.

use serde_json::{Value, json};
use wakedock::admin::audit;
use wakedock::domain::words::Role;

use super::house::{Answer, House};
use crate::support::fake_engine::FakeEngine;

const ONE: &str = "/api/v1/services/films";

fn pointers(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let errors = json["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

async fn made() -> House {
    let house = House::new(&["cloud"]).await;
    house.engine.create("films");
    let body = json!({ "name": "films", "container": "films", "hosts": ["films.test"] });
    let made = house.put("POST /api/v1/services", &[], &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.field("location"), ONE);
    assert_eq!(made.field("etag"), "\"1\"");
    house
}

#[tokio::test]
async fn a_service_is_made_and_works() {
    let house = made().await;
    let shown = house.ask(&format!("GET {ONE}")).await;
    assert_eq!(shown.field("etag"), "\"1\"");
    let json = shown.json();
    assert_eq!(json["sources"], json!(["api"]));
    assert_eq!(json["api_keys"], json!({ "container": "films", "hosts": ["films.test"] }));
    assert_eq!(json["api"]["made_by"], "root");
    let hosts = json["config"].as_array().unwrap().iter().find(|value| value["key"] == "hosts").unwrap();
    assert_eq!((&hosts["value"], &hosts["origin"]), (&json!(["films.test"]), &json!("api")));
    let woken = house.ask(&format!("POST {ONE}/wake?wait=5s")).await;
    assert_eq!(woken.json()["phase"], "ready");
}

#[tokio::test]
async fn two_people_do_not_overwrite_each_other() {
    let house = made().await;
    let line = format!("PUT {ONE}");
    let body = |after: &str| json!({ "container": "films", "hosts": [], "idle": { "stop_after": after } });
    let bare = house.put(&line, &[], &body("5m")).await;
    assert_eq!((bare.status.as_u16(), bare.problem().0.as_str()), (428, "precondition-required"));
    assert_eq!(bare.field("etag"), "\"1\"");
    let first = house.put(&line, &[("if-match", "\"1\"")], &body("5m")).await;
    assert_eq!((first.status.as_u16(), first.field("etag")), (200, "\"2\""));
    let second = house.put(&line, &[("if-match", "\"1\"")], &body("6m")).await;
    assert_eq!((second.status.as_u16(), second.problem().0.as_str()), (412, "changed"));
    let anyway = house.put(&line, &[("if-match", "*")], &body("7m")).await;
    assert_eq!((anyway.status.as_u16(), anyway.field("etag")), (200, "\"3\""));
    let new = house.put(&line, &[("if-none-match", "*")], &body("8m")).await;
    assert_eq!(new.status, 412);
    assert_eq!(house.ask(&format!("GET {ONE}")).await.json()["api_keys"]["idle"]["stop_after"], "7m");
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let house = made().await;
    let kind = "application/merge-patch+json";
    let line = format!("PATCH {ONE}");
    let tag = [("if-match", "\"1\"")];
    let patched = house
        .tell(&line, &tag, kind, r#"{"group": "Media", "hosts": [], "idle": {"stop_after": "5m"}}"#)
        .await;
    assert_eq!((patched.status.as_u16(), patched.json()["group"].as_str()), (200, Some("Media")));
    let keys = house.ask(&format!("GET {ONE}")).await.json()["api_keys"].clone();
    let idle = json!({ "stop_after": "5m" });
    assert_eq!(keys, json!({ "container": "films", "hosts": [], "group": "Media", "idle": idle }));
    let tag = [("if-match", "\"2\"")];
    let without = house.tell(&line, &tag, kind, r#"{"group": null, "idle": null}"#).await;
    assert_eq!(without.json()["group"], Value::Null);
    let keys = house.ask(&format!("GET {ONE}")).await.json()["api_keys"].clone();
    assert_eq!(keys, json!({ "container": "films", "hosts": [] }));
    assert_eq!(house.tell(&line, &[], kind, "{}").await.status, 428);
    assert_eq!(house.tell("PATCH /api/v1/services/nobody", &[], kind, "{}").await.status, 404);
}

#[tokio::test]
async fn what_is_taken_back_is_let_go() {
    let house = made().await;
    let line = format!("DELETE {ONE}");
    assert_eq!(house.ask(&line).await.status, 428);
    let gone = house.ask_with(&line, &[("if-match", "\"1\"")]).await;
    assert_eq!((gone.status.as_u16(), gone.body.as_str()), (204, ""));
    assert_eq!(house.ask(&format!("GET {ONE}")).await.status, 404);
    assert_eq!(house.ask(&line).await.status, 404);
    let of_file = house.ask("DELETE /api/v1/services/cloud").await;
    assert_eq!((of_file.status.as_u16(), of_file.problem().0.as_str()), (409, "nothing-said"));
}

#[tokio::test]
async fn everything_wrong_is_said_by_the_rules_of_the_file() {
    let house = House::new(&["cloud"]).await;
    let body = json!({
        "name": "films", "container": "films", "port": 99999, "hsots": ["x.test"],
        "idle": { "stop_after": 5, "pause_after": "1x" },
    });
    let answer = house.put("POST /api/v1/services", &[], &body).await;
    assert_eq!((answer.status.as_u16(), answer.problem().0.as_str()), (422, "invalid"));
    let mut wrong = pointers(&answer);
    wrong.sort();
    assert_eq!(wrong, ["/hsots", "/idle/pause_after", "/idle/stop_after", "/port"]);
    for (body, pointer) in [
        (json!({ "container": "films" }), "/name"),
        (json!({ "name": "Films", "container": "films" }), "/name"),
        (json!({ "name": 7, "container": "films" }), "/name"),
    ] {
        let answer = house.put("POST /api/v1/services", &[], &body).await;
        assert_eq!((answer.status.as_u16(), pointers(&answer)), (422, vec![pointer.to_owned()]), "{body}");
    }
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_not_taken() {
    let house = made().await;
    let again = house.put("POST /api/v1/services", &[], &json!({ "name": "cloud", "container": "x" })).await;
    assert_eq!((again.status.as_u16(), again.problem().0.as_str()), (409, "exists"));
    let host = json!({ "name": "third", "container": "third", "hosts": ["cloud.test"] });
    let taken = house.put("POST /api/v1/services", &[], &host).await;
    assert_eq!((taken.status.as_u16(), taken.problem().0.as_str()), (409, "host-taken"));
    assert_eq!(pointers(&taken), ["/hosts"]);
    let held = house.put("PUT /api/v1/services/cloud", &[], &json!({ "hosts": ["other.test"] })).await;
    assert_eq!((held.status.as_u16(), held.problem().0.as_str()), (409, "held-by-file"));
    let over = house.put("PUT /api/v1/services/cloud", &[], &json!({ "group": "Files" })).await;
    assert_eq!((over.status.as_u16(), over.json()["group"].as_str()), (201, Some("Files")));
    assert_eq!(over.json()["sources"], json!(["file", "api"]));
}

/// An owner says how a service sleeps, and not what it is: a service that runs somebody else's
/// container, or answers at somebody else's host, would be a way to take them.
#[tokio::test]
async fn owners_change_how_a_service_sleeps_and_not_what_it_is() {
    let engine = FakeEngine::new();
    for name in ["films", "cloud"] {
        engine.create(name);
    }
    let services = "{ name: films, container: films, hosts: [], owners: [ann] }, { name: cloud, container: cloud, hosts: [] },";
    let house = House::with(engine, services).await;
    let token = format!("Bearer {}", house.token("ann", Role::User).await);
    let as_ann = [("authorization", token.as_str())];
    let line = format!("PUT {ONE}");
    let idle = json!({ "idle": { "stop_after": "5m" } });
    let changed = house.put(&line, &as_ann, &idle).await;
    assert_eq!(changed.status, 201, "{changed:?}");
    for key in [json!({ "hosts": ["films.test"] }), json!({ "path": "/x" })] {
        let refused = house.put(&line, &[as_ann[0], ("if-match", "*")], &key).await;
        assert_eq!((refused.status.as_u16(), refused.problem().0.as_str()), (403, "forbidden"), "{key}");
        assert_eq!(pointers(&refused).len(), 1);
    }
    let other = house.put("PUT /api/v1/services/cloud", &as_ann, &idle).await;
    assert_eq!(other.status, 403);
    let new = house.put("PUT /api/v1/services/third", &as_ann, &json!({ "container": "third" })).await;
    assert_eq!(new.status, 403);
    assert_eq!(house.ask_with(&format!("DELETE {ONE}"), &[as_ann[0], ("if-match", "*")]).await.status, 204);
    let made = house.put("POST /api/v1/services", &as_ann, &json!({ "name": "x", "container": "x" })).await;
    assert_eq!(made.status, 403);
    assert_eq!(house.ask_with("POST /api/v1/services/cloud/wake", &as_ann).await.status.as_u16() / 100, 2);
    assert_eq!(house.ask(&format!("GET {ONE}")).await.json()["api"], Value::Null);
}

/// Whatever somebody changed or ordered is in the audit, with what was there before.
#[tokio::test]
async fn every_change_and_order_is_in_the_audit() {
    let house = made().await;
    let body = json!({ "container": "films", "hosts": [] });
    house.put(&format!("PUT {ONE}"), &[("if-match", "*")], &body).await;
    house.ask(&format!("POST {ONE}/wake?wait=5s")).await;
    house.put(&format!("POST {ONE}/keep-awake"), &[], &json!({ "for": "2h" })).await;
    house.ask(&format!("DELETE {ONE}/keep-awake")).await;
    house.ask(&format!("POST {ONE}/restart?wait=5s")).await;
    house.ask(&format!("POST {ONE}/stop?wait=5s")).await;
    house.put(&format!("DELETE {ONE}"), &[("if-match", "*")], &json!({})).await;
    let mut entries: Vec<_> = audit::entries(&house.store, None, 100).await.unwrap();
    entries.reverse();
    let what: Vec<&str> = entries.iter().map(|(_, entry)| entry.what.as_str()).collect();
    let wanted = [
        "service-created",
        "service-changed",
        "wake",
        "keep-awake",
        "let-sleep",
        "restart",
        "stop",
        "service-deleted",
    ];
    assert_eq!(what, wanted);
    for (_, entry) in &entries {
        assert_eq!((entry.who.as_str(), entry.subject.as_str()), ("root", "films"));
    }
    let changed = &entries[1].1;
    assert_eq!(changed.before, Some(json!({ "container": "films", "hosts": ["films.test"] })));
    assert_eq!((&changed.after, &entries[7].1.before), (&Some(body.clone()), &Some(body)));
}
