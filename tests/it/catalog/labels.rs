//! Services that labels make.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wakedock::domain::words::Origin;
use wakedock::ports::ContainerState;
use wakedock::supervisor::catalog::{Expect, PutError};
use wakedock::supervisor::journal::What;

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

/// What is wrong with a service was in the log alone, and nobody was told when it was mended.
#[tokio::test]
async fn a_problem_that_comes_up_or_goes_away_is_an_event() {
    let town = Town::following(NONE).await;
    let mut events = town.fleet.journal().subscribe();
    let mut next = async |kind: &str| {
        let wanted = async {
            loop {
                let event = events.recv().await.unwrap();
                if event.what.kind() == kind {
                    break event;
                }
            }
        };
        tokio::time::timeout(5 * SECOND, wanted).await.unwrap_or_else(|_| panic!("no {kind}"))
    };
    town.service("web", "web.example.com", &[("wakedock.stop-after", "soon")]);
    let event = next("problem").await;
    assert_eq!(event.service, Some(name("web")));
    let What::Problem { key, value, origin, .. } = &event.what else { panic!("{event:?}") };
    assert_eq!(
        (key.as_str(), value.as_deref(), *origin),
        ("wakedock.stop-after", Some("soon"), Origin::Label)
    );

    town.engine.remove("web");
    town.service("web", "web.example.com", &[("wakedock.stop-after", "10m")]);
    let event = next("problem-mended").await;
    assert_eq!(event.service, Some(name("web")));
    let What::ProblemMended { key, .. } = &event.what else { panic!("{event:?}") };
    assert_eq!(key, "wakedock.stop-after");

    // A container that makes no service.
    town.engine.create_as("odd", |container| container.label(&[("wakedock.enable", "perhaps")]));
    let event = next("problem").await;
    let What::Problem { container, .. } = &event.what else { panic!("{event:?}") };
    assert_eq!((&event.service, container.as_deref()), (&None, Some("odd")));
    town.engine.remove("odd");
    assert_eq!(next("problem-mended").await.service, None);
}

/// A container with one label more had a part of somebody else's site, and with it what browsers keep
/// for the whole of it.
#[tokio::test]
async fn nobody_takes_a_part_of_a_host_by_label() {
    let file = "admin: { hosts: [dock.lan] }\n\
                services: [{ name: shop, container: shop-1, hosts: [shop.example.com] },\n\
                { name: wild, container: wild-1, hosts: ['*.wild.example.com'] }]\n";
    let town = Town::following(file).await;
    town.service("wiki", "wiki.example.com", &[]);
    until(|| town.at("wiki.example.com").is_some()).await;
    for (container, host) in [
        ("eve-1", "shop.example.com"),
        ("eve-2", "wiki.example.com"),
        ("eve-3", "a.wild.example.com"),
        ("eve-4", "dock.lan"),
    ] {
        town.service(container, host, &[("wakedock.path", "/login")]);
        until(|| town.find(container).is_some()).await;
        let eve = town.entry(container);
        assert!(eve.spec.is_none() && !eve.problems.is_empty(), "{eve:?}");
    }
    let routes = town.fleet.routes();
    let at = |host: &str| routes.load().find(host, "/login").map(|handle| handle.name().to_string());
    assert_eq!(at("shop.example.com").as_deref(), Some("shop"));
    assert_eq!(at("wiki.example.com").as_deref(), Some("wiki"));
    assert_eq!(at("a.wild.example.com").as_deref(), Some("wild"));
    assert_eq!(at("dock.lan"), None);
    // An admin may: the API shares a host of the file by its path.
    let keys = json!({ "container": "login-1", "hosts": ["shop.example.com"], "path": "/login" });
    town.catalog.put(name("login"), keys, Expect::Absent, "ada").await.unwrap();
    let routes = town.fleet.routes();
    let at =
        |path: &str| routes.load().find("shop.example.com", path).map(|handle| handle.name().to_string());
    assert_eq!((at("/login").as_deref(), at("/").as_deref()), (Some("login"), Some("shop")));
}

/// Whoever knew its name was the service while its container was being updated, and stayed it.
#[tokio::test]
async fn nobody_takes_the_name_of_a_container_that_is_away() {
    let town = Town::following(NONE).await;
    town.service("blog", "blog.example.com", &[]);
    until(|| town.at("blog.example.com").is_some()).await;
    town.service("eve", "blog.example.com,eve.example.com", &[("wakedock.name", "blog")]);
    until(|| !town.catalog.current().problems.is_empty()).await;
    town.engine.remove("blog");
    until(|| town.entry("blog").removed).await;
    assert_eq!(town.entry("blog").container, "blog");
    town.service("blog", "blog.example.com", &[]);
    until(|| !town.entry("blog").removed).await;
    assert_eq!(town.entry("blog").container, "blog");

    // Compose makes the same service anew, and calls the container something else.
    let compose = [("com.docker.compose.project", "town"), ("com.docker.compose.service", "web")];
    town.service("town-web-1", "web.example.com", &compose);
    until(|| town.at("web.example.com").is_some()).await;
    town.engine.remove("town-web-1");
    town.service("town-web-2", "web.example.com", &compose);
    until(|| town.find("town-web").is_some_and(|entry| entry.container == "town-web-2" && !entry.removed))
        .await;
}

/// One container was two services, and each stopped it under the other.
#[tokio::test]
async fn a_container_is_one_service() {
    let town = Town::following(NONE).await;
    town.service("web-1", "web.example.com", &[("wakedock.name", "cloud")]);
    until(|| town.find("cloud").is_some()).await;
    town.catalog.put(name("cloud"), json!({ "group": "Office" }), Expect::Absent, "ada").await.unwrap();
    let keys = json!({ "container": "web-1", "hosts": ["dupe.example.com"] });
    let refused = town.catalog.put(name("dupe"), keys, Expect::Absent, "ada").await;
    let Err(PutError::Invalid(problems)) = refused else { panic!("{refused:?}") };
    assert_eq!(problems[0].pointer, "/container");
    assert!(problems[0].reason.contains("`cloud`"), "{problems:?}");
    assert_eq!(town.entry("cloud").container, "web-1");

    // One that only its label speaks of is taken over, with its own host.
    town.service("films-1", "films.example.com", &[]);
    until(|| town.find("films-1").is_some()).await;
    let keys = json!({ "container": "films-1", "hosts": ["films.example.com"] });
    town.catalog.put(name("films"), keys, Expect::Absent, "ada").await.unwrap();
    assert_eq!(town.at("films.example.com").as_deref(), Some("films"));
    assert!(town.find("films-1").is_none());
}

/// A container that lost its labels is nobody's any more: its service goes, its host is free, and it
/// is left as it is, however short its time was.
#[tokio::test]
async fn a_container_that_comes_back_without_its_labels_is_left_alone() {
    let town = Town::following(NONE).await;
    let short = [("wakedock.stop-after", "50ms")];
    town.service("web", "web.example.com", &short);
    until(|| town.at("web.example.com").is_some()).await;
    let lease = town.hold("web").await.unwrap().unwrap();
    let before = town.engine.count(Call::Stop);
    town.engine.remove("web");
    town.engine.create_running("web");
    drop(lease);
    // Its stop is due long before the containers have been looked at.
    until(|| town.find("web").is_none()).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(town.at("web.example.com"), None);
    assert_eq!(town.engine.count(Call::Stop), before, "{:?}", town.engine.orders());
    assert_eq!(town.engine.state("web"), ContainerState::Running);
}
