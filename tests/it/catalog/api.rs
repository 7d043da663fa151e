//! Services made and changed by the API.

use serde_json::{Value as Json, json};
use wakedock::domain::words::Origin;
use wakedock::supervisor::catalog::{Expect, PutError};

use super::town::{Town, name};

const NONE: &str = "services: []\n";
const FILE: &str =
    "services: [{ name: shop, container: shop-1, hosts: [shop.example.com], idle: { stop_after: 5m } }]\n";

fn web() -> Json {
    json!({ "container": "web-1", "hosts": ["web.example.com"] })
}

#[tokio::test]
async fn a_service_is_made_changed_and_taken_back() {
    let town = Town::new(NONE).await;
    let made = town.catalog.put(name("web"), web(), Expect::Absent, "ada").await.unwrap();
    assert_eq!(made.sources, [Origin::Api]);
    assert_eq!(town.at("web.example.com").as_deref(), Some("web"), "applied when it returns");
    let api = made.api.as_ref().unwrap();
    assert_eq!((api.revision, api.made_by.as_str(), api.changed_by.as_str()), (1, "ada", "ada"));

    let more = json!({ "container": "web-1", "hosts": ["web.example.com"], "idle": { "stop_after": "90s" } });
    let changed = town.catalog.put(name("web"), more.clone(), Expect::Revision(1), "bob").await.unwrap();
    let api = changed.api.as_ref().unwrap();
    assert_eq!((api.revision, api.made_by.as_str(), api.changed_by.as_str()), (2, "ada", "bob"));
    assert_eq!(api.keys.nested(), more);
    assert_eq!(changed.origin("idle.stop_after"), Origin::Api);
    assert_eq!(changed.origin("wait"), Origin::Default);
    let value = changed.values().into_iter().find(|value| value.key == "idle.stop_after").unwrap();
    assert_eq!((value.value, value.origin), (json!("90s"), Origin::Api));

    town.catalog.remove(&name("web"), Expect::Revision(2), "bob").await.unwrap();
    assert!(town.find("web").is_none() && town.at("web.example.com").is_none());
    assert!(matches!(town.catalog.remove(&name("web"), Expect::Any, "bob").await, Err(PutError::Absent)));
}

/// Two people cannot overwrite each other.
#[tokio::test]
async fn a_change_names_the_revision_it_was_made_from() {
    let town = Town::new(NONE).await;
    let put = |expect| town.catalog.put(name("web"), web(), expect, "ada");
    assert!(matches!(put(Expect::Revision(1)).await, Err(PutError::Absent)));
    put(Expect::Absent).await.unwrap();
    assert!(matches!(put(Expect::Absent).await, Err(PutError::Exists)));
    put(Expect::Revision(1)).await.unwrap();
    assert!(matches!(put(Expect::Revision(1)).await, Err(PutError::Changed)));
    assert!(matches!(
        town.catalog.remove(&name("web"), Expect::Revision(1), "ada").await,
        Err(PutError::Changed)
    ));
    assert_eq!(put(Expect::Any).await.unwrap().api.as_ref().unwrap().revision, 3);
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let town = Town::new(NONE).await;
    let made = town.catalog.put(name("web"), web(), Expect::Any, "ada").await.unwrap();
    let gone = json!({ "container": "x", "hosts": ["x.example.com"] });
    town.catalog.put(name("gone"), gone, Expect::Any, "ada").await.unwrap();
    town.catalog.remove(&name("gone"), Expect::Any, "ada").await.unwrap();
    let town = town.kill_and_return(NONE).await;
    assert_eq!(town.entry("web"), made);
    assert_eq!(town.at("web.example.com").as_deref(), Some("web"));
    assert!(town.find("gone").is_none());
}

#[tokio::test]
async fn what_is_wrong_names_its_field() {
    let town = Town::new(NONE).await;
    let bad = json!({
        "container": "web-1", "hosts": ["web.example.com", "a b"], "idle": { "stop_after": 5 }, "hots": [],
    });
    let Err(PutError::Invalid(problems)) =
        town.catalog.put(name("web"), bad.clone(), Expect::Any, "ada").await
    else {
        panic!("it was accepted");
    };
    let pointers: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["/hosts/1", "/hots", "/idle/stop_after"]);
    assert!(problems.iter().all(|problem| !problem.reason.is_empty() && !problem.mend.is_empty()));
    assert_eq!(town.catalog.check(&name("web"), &bad), problems);
    assert!(town.find("web").is_none(), "nothing of it was done");

    let homeless = town.catalog.check(&name("web"), &json!({ "hosts": [] }));
    assert_eq!(homeless[0].pointer, "/container");
    let unreachable = town.catalog.check(&name("web"), &json!({ "container": "a" }));
    assert_eq!(unreachable[0].pointer, "/hosts");
    assert_eq!(town.catalog.check(&name("web"), &web()), []);
}

#[tokio::test]
async fn nobody_takes_the_host_or_the_container_of_another() {
    let town = Town::new(&format!("admin: {{ host: dock.example.com }}\n{FILE}")).await;
    let put = |keys| town.catalog.put(name("web"), keys, Expect::Any, "eve");
    let taken = put(json!({ "container": "w", "hosts": ["a.example.com", "shop.example.com"] })).await;
    assert!(
        matches!(taken, Err(PutError::HostTaken { host, by }) if host == "shop.example.com" && by.contains("shop"))
    );
    let own = put(json!({ "container": "w", "hosts": ["dock.example.com"] })).await;
    assert!(matches!(own, Err(PutError::HostTaken { by, .. }) if by.contains("WakeDock")));
    let container = put(json!({ "container": "shop-1", "hosts": [] })).await;
    assert!(matches!(container, Err(PutError::Invalid(problems)) if problems[0].pointer == "/container"));
    put(json!({ "container": "w", "hosts": ["shop.example.com"], "path": "/api" })).await.unwrap();
    assert_eq!(town.at("shop.example.com").as_deref(), Some("shop"));
}

/// The file goes before the API, whichever came first.
#[tokio::test]
async fn the_file_holds_its_keys_and_the_api_adds_others() {
    let town = Town::new(FILE).await;
    let held =
        town.catalog.put(name("shop"), json!({ "idle": { "stop_after": "1m" } }), Expect::Any, "ada").await;
    assert!(matches!(held, Err(PutError::HeldByFile { keys }) if keys == ["idle.stop_after"]));
    let more = json!({ "wake_timeout": "90s", "group": "Trade" });
    let entry = town.catalog.put(name("shop"), more, Expect::Any, "ada").await.unwrap();
    assert_eq!(entry.sources, [Origin::File, Origin::Api]);
    assert_eq!(entry.origin("wake_timeout"), Origin::Api);
    assert_eq!(entry.origin("idle.stop_after"), Origin::File);

    town.configure(&FILE.replace("idle:", "wake_timeout: 10s, idle:"));
    let entry = town.entry("shop");
    assert_eq!(entry.origin("wake_timeout"), Origin::File);
    assert_eq!(entry.spec.as_ref().unwrap().wake_timeout.as_secs(), 10);
    assert_eq!(entry.origin("group"), Origin::Api);

    town.configure("services: []\n");
    let entry = town.entry("shop");
    assert!(entry.spec.is_none(), "without the file nobody says which container");
    assert!(entry.problems.iter().any(|problem| problem.key == "container"), "{entry:?}");
    town.configure(FILE);
    assert!(town.entry("shop").spec.is_some());
}

/// A host that the file takes later is the file's; the API's service keeps its others, and says why.
#[tokio::test]
async fn the_file_goes_before_the_api() {
    let town = Town::new(NONE).await;
    let keys = json!({ "container": "web-1", "hosts": ["web.example.com", "shop.example.com"] });
    town.catalog.put(name("web"), keys, Expect::Any, "ada").await.unwrap();
    town.configure(FILE);
    assert_eq!(town.at("shop.example.com").as_deref(), Some("shop"));
    assert_eq!(town.at("web.example.com").as_deref(), Some("web"));
    let problems = &town.entry("web").problems;
    assert!(problems.iter().any(|problem| problem.reason.contains("`shop`")), "{problems:?}");
}

/// An edit that is refused leaves everything else alone, and a service that did not change is not
/// touched by the changes of others.
#[tokio::test]
async fn the_rest_is_not_touched() {
    let town = Town::new(FILE).await;
    town.catalog.put(name("web"), web(), Expect::Any, "ada").await.unwrap();
    let (shop, handle) = (town.entry("shop"), town.fleet.get("shop").unwrap());
    town.catalog.put(name("web"), web(), Expect::Any, "ada").await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&shop, &town.entry("shop")));
    assert!(handle.is_same(&town.fleet.get("shop").unwrap()));
}
