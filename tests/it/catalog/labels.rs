//! Services that labels make.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wakedock::domain::words::Origin;
use wakedock::supervisor::catalog::Expect;

use super::town::{Town, name, until};
use crate::support::fake_engine::Call;

const SECOND: Duration = Duration::from_secs(1);
const NONE: &str = "services: []\n";

#[tokio::test]
async fn two_labels_are_a_whole_configuration() {
    let town = Town::following(NONE).await;
    town.engine.create_as("web", |container| {
        container
            .label(&[("wakedock.enable", "true"), ("wakedock.host", "web.example.com, www.example.com")]);
    });
    town.engine.create("other");
    tokio::time::timeout(SECOND, until(|| town.at("www.example.com").is_some()))
        .await
        .expect("within a second");
    assert_eq!(town.at("web.example.com").as_deref(), Some("web"));
    let entry = town.entry("web");
    assert_eq!((entry.sources.as_slice(), entry.container.as_str()), (&[Origin::Label][..], "web"));
    assert_eq!(entry.origin("hosts"), Origin::Label);
    assert!(entry.problems.is_empty() && town.find("other").is_none());
    drop(town.hold("web").await.unwrap().unwrap());
    assert_eq!(town.engine.count(Call::Start), 1, "and the next request wakes it");
}

#[tokio::test]
async fn what_was_there_before_wakedock_is_found_stopped_or_running() {
    let town = Town::following(NONE).await;
    town.service("off", "off.example.com", &[]);
    town.service("on", "on.example.com", &[]);
    town.engine.start_by_hand("on");
    until(|| town.at("off.example.com").is_some()).await;
    town.saved().await;
    let town = town.kill_and_return(NONE).await;
    assert_eq!(town.at("off.example.com").as_deref(), Some("off"), "known from before, without a look");
    town.catalog.look(5 * SECOND).await;
    assert_eq!(town.at("on.example.com").as_deref(), Some("on"));
}

#[tokio::test]
async fn a_bad_label_is_a_problem_of_its_own_container() {
    let town = Town::following(NONE).await;
    town.service("good", "good.example.com", &[]);
    town.service("option", "option.example.com", &[("wakedock.stop-after", "soon"), ("wakedock.prot", "1")]);
    town.service("host", "not a host", &[]);
    town.service("named", "named.example.com", &[("wakedock.name", "No Name")]);
    town.engine.create_as("unclear", |container| container.label(&[("wakedock.enable", "yes")]));
    until(|| town.find("host").is_some() && town.catalog.current().problems.len() == 2).await;

    let option = town.entry("option");
    assert_eq!(option.origin("idle.stop_after"), Origin::Default, "it fell back");
    assert_eq!(option.problems.len(), 2);
    assert!(option.problems.iter().all(|problem| problem.origin == Origin::Label));
    assert!(option.problems.iter().any(|problem| problem.mend.contains("wakedock.port")), "{option:?}");
    assert_eq!(town.at("option.example.com").as_deref(), Some("option"));

    assert!(town.entry("host").spec.is_none() && !town.entry("host").problems.is_empty());
    let catalog = town.catalog.current();
    let containers: Vec<_> =
        catalog.problems.iter().filter_map(|problem| problem.container.as_deref()).collect();
    assert!(containers.contains(&"named") && containers.contains(&"unclear"), "{containers:?}");
    assert!(town.entry("good").problems.is_empty());
}

/// Trap 32: one container cannot take another's host, or the dashboard's.
#[tokio::test]
async fn nobody_takes_a_host_by_label() {
    let file = "admin: { host: dock.example.com }\n\
                services: [{ name: shop, container: shop-1, hosts: [shop.example.com] }]\n";
    let town = Town::following(file).await;
    let keys = json!({ "container": "api-1", "hosts": ["api.example.com"] });
    town.catalog.put(name("api"), keys, Expect::Any, "ada").await.unwrap();
    town.service(
        "eve",
        "shop.example.com,api.example.com,dock.example.com,*.example.com,eve.example.com",
        &[],
    );
    until(|| town.find("eve").is_some()).await;
    let eve = town.entry("eve");
    assert_eq!(town.at("eve.example.com").as_deref(), Some("eve"), "it keeps the one that is its own");
    assert_eq!(town.at("shop.example.com").as_deref(), Some("shop"));
    assert_eq!(town.at("api.example.com").as_deref(), Some("api"));
    assert_eq!(town.at("dock.example.com"), None);
    assert_eq!(town.at("any.example.com"), None);
    let told =
        |what: &str| assert!(eve.problems.iter().any(|problem| problem.reason.contains(what)), "{eve:?}");
    told("`shop`");
    told("`api`");
    told("WakeDock's own");
    told("wildcard");
    town.configure(&file.replace("services:", "docker: { wildcard_labels: true }\nservices:"));
    assert_eq!(town.at("any.example.com").as_deref(), Some("eve"));
}

/// The first claim stands: after the first one was made anew, and after a restart.
#[tokio::test]
async fn the_older_container_keeps_a_contested_host() {
    let town = Town::following(NONE).await;
    town.service("first", "app.example.com", &[]);
    until(|| town.at("app.example.com").is_some()).await;
    town.service("second", "app.example.com,own.example.com", &[]);
    until(|| town.find("second").is_some()).await;
    let loser = town.entry("second");
    assert!(loser.problems.iter().any(|problem| problem.reason.contains("`first`")), "{loser:?}");
    assert_eq!(town.at("own.example.com").as_deref(), Some("second"));

    town.engine.recreate("first");
    town.catalog.look(5 * SECOND).await;
    assert_eq!(town.at("app.example.com").as_deref(), Some("first"), "though it is the younger one now");
    town.saved().await;

    let town = town.kill_and_return(NONE).await;
    town.catalog.look(5 * SECOND).await;
    assert_eq!(town.at("app.example.com").as_deref(), Some("first"));

    // Whoever is let go gives its host away.
    town.engine.remove("first");
    town.engine.create("first");
    town.catalog.look(5 * SECOND).await;
    assert_eq!(town.at("app.example.com").as_deref(), Some("second"));
    assert!(town.entry("second").problems.is_empty());
}

#[tokio::test]
async fn the_file_and_the_api_go_before_labels() {
    let file =
        "services: [{ name: shop, container: shop-1, hosts: [shop.example.com], wake_timeout: 90s }]\n";
    let town = Town::following(file).await;
    let labels = [("wakedock.wake-timeout", "10s"), ("wakedock.group", "Trade"), ("wakedock.wait", "hold")];
    town.service("shop-1", "label.example.com", &labels);
    until(|| town.entry("shop").sources.len() == 2).await;
    let keys = json!({ "wait": "page" });
    town.catalog.put(name("shop"), keys, Expect::Any, "ada").await.unwrap();
    let shop = town.entry("shop");
    assert_eq!(shop.sources, [Origin::File, Origin::Api, Origin::Label]);
    let of = |key| shop.values().into_iter().find(|value| value.key == key).unwrap();
    assert_eq!((of("wake_timeout").origin, of("wake_timeout").value), (Origin::File, json!("90s")));
    assert_eq!((of("wait").origin, of("wait").value), (Origin::Api, json!("page")));
    assert_eq!((of("group").origin, of("group").value), (Origin::Label, json!("Trade")));
    assert_eq!((of("hosts").origin, of("hosts").value), (Origin::File, json!(["shop.example.com"])));
    assert_eq!(town.at("label.example.com"), None);
    assert!(town.find("shop-1").is_none(), "the container is that of the file's service");
    // An edit of the file leaves what labels made alone.
    town.service("web", "web.example.com", &[]);
    until(|| town.find("web").is_some()).await;
    let (entry, handle) = (town.entry("web"), town.fleet.get("web").unwrap());
    town.configure(&file.replace("90s", "80s"));
    assert!(Arc::ptr_eq(&entry, &town.entry("web")) && handle.is_same(&town.fleet.get("web").unwrap()));
    town.configure(NONE);
    assert!(handle.is_same(&town.fleet.get("web").unwrap()));
    assert_eq!(town.at("label.example.com").as_deref(), Some("shop-1"), "without the file it is its own");
}

#[tokio::test]
async fn labels_of_images_count_only_where_they_may() {
    let town = Town::following(NONE).await;
    town.engine.create_as("web", |container| {
        container.image_labels.insert("wakedock.enable".into(), "true".into());
        container.image_labels.insert("wakedock.host".into(), "image.example.com".into());
    });
    town.service("fence", "fence.example.com", &[]);
    until(|| town.find("fence").is_some()).await;
    assert!(town.find("web").is_none());
    town.configure("docker: { image_labels: true }\n");
    until(|| town.at("image.example.com").is_some()).await;
    town.configure("docker: { labels: false }\n");
    assert!(town.catalog.current().entries.is_empty());
    town.configure(NONE);
    until(|| town.at("fence.example.com").is_some()).await;
    assert!(town.find("web").is_none());
}

#[tokio::test]
async fn many_services_are_told_apart() {
    let town = Town::following(NONE).await;
    for number in 0..1000 {
        town.service(&format!("s{number}"), &format!("s{number}.example.com"), &[]);
    }
    until(|| town.fleet.services().len() == 1000).await;
    let handles = town.fleet.services();
    town.service("late", "late.example.com", &[]);
    until(|| town.at("late.example.com").is_some()).await;
    let same = |handle: &&wakedock::supervisor::handle::ServiceHandle| {
        town.fleet.get(handle.name().as_str()).is_some_and(|now| now.is_same(handle))
    };
    assert_eq!(handles.iter().filter(same).count(), 1000, "nobody else is touched");
}
