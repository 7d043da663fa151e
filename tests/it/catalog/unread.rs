//! A store that opens, and then cannot be read: what API and dashboard said is not known, and nothing
//! is done that they might have said against.

use std::time::Duration;

use serde_json::json;
use wakedock::domain::words::{Origin, Phase};
use wakedock::supervisor::catalog::{Expect, PutError};
use wakedock::supervisor::publish::AskError;

use super::town::{Town, name, until};
use crate::support::fake_engine::Call;

const FILE: &str = "defaults: { idle: { stop_after: 1s } }\n\
                    services: [{ name: shop, container: shop-1, hosts: [shop.example.com] }]\n";

/// A town with a service of the API, an override of one of the file's, and a kept host; killed.
async fn town_that_starts_with_a_broken_disk() -> Town {
    let town = Town::following(FILE).await;
    for container in ["web-1", "shop-1"] {
        town.engine.create(container);
    }
    let web = json!({ "container": "web-1", "hosts": ["web.example.com"], "idle": { "stop_after": "1s" } });
    town.catalog.put(name("web"), web, Expect::Absent, "ada").await.unwrap();
    let shop = json!({ "idle": { "stop_after": "10m" } });
    town.catalog.put(name("shop"), shop, Expect::Absent, "ada").await.unwrap();
    town.service("films", "films.example.com", &[]);
    until(|| town.at("films.example.com").is_some()).await;
    town.saved().await;
    town.engine.remove("films");
    until(|| town.entry("films").removed).await;
    town.saved().await;
    for service in ["web", "shop"] {
        drop(town.hold(service).await.unwrap().unwrap());
    }
    let (engine, disk) = town.kill().await;
    let town = Town::unconfigured(engine, disk, true).await;
    town.configure(FILE);
    town.catalog.look(Duration::from_secs(5)).await;
    town.catalog.follow();
    town.fleet.reconcile(Duration::from_secs(5)).await;
    town
}

#[tokio::test]
async fn what_the_api_said_is_read_again_until_it_is_read_and_nothing_is_done_before() {
    let town = town_that_starts_with_a_broken_disk().await;
    // Said where people look.
    let catalog = town.catalog.current();
    let told = catalog.problems.iter().find(|problem| problem.origin == Origin::Api).expect("a problem");
    assert!(told.reason.contains("could not be read") && !told.mend.is_empty(), "{told}");
    // Caddy is not told of fewer hosts than it has.
    town.catalog.begin_to_publish();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(matches!(town.publisher.draft().await, Err(AskError::TooEarly)));
    // The file alone would put it to sleep after a second.
    until(|| town.fleet.get("shop").unwrap().snapshot().phase == Phase::Ready).await;
    tokio::time::sleep(Duration::from_millis(2_300)).await;
    assert_eq!(town.fleet.get("shop").unwrap().snapshot().phase, Phase::Ready);
    assert_eq!(town.engine.count(Call::Stop), 0, "neither by whom it knows nor by whom it does not");
    // Nor is it written over.
    let refused = town.catalog.put(name("web"), json!({ "container": "web-1" }), Expect::Any, "bob").await;
    assert!(matches!(refused, Err(PutError::Store(_))), "{refused:?}");

    town.disk.break_down(false);
    until(|| town.at("web.example.com").as_deref() == Some("web")).await;
    until(|| town.at("films.example.com").as_deref() == Some("films")).await;
    assert!(town.catalog.current().problems.is_empty());
    assert_eq!(town.entry("shop").origin("idle.stop_after"), Origin::Api);
    until(|| town.fleet.get("web").unwrap().snapshot().phase == Phase::Asleep).await;
    assert_eq!(town.fleet.get("shop").unwrap().snapshot().phase, Phase::Ready);
    let draft = town.publisher.draft().await.unwrap();
    for host in ["web.example.com", "shop.example.com", "films.example.com"] {
        assert!(draft.caddyfile.contains(host), "{}", draft.caddyfile);
    }
    let api = town.entry("web").api.clone().unwrap();
    assert_eq!((api.revision, api.made_by.as_str()), (1, "ada"));
}
