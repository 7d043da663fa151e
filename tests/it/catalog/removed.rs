//! Containers that are removed, made anew, renamed and let go.

use std::time::Duration;

use wakedock::ports::ContainerState;

use super::town::{Town, until};
use crate::support::fake_engine::Call;

const NONE: &str = "services: []\n";
const LABELS: [(&str, &str); 3] = [
    ("com.docker.compose.project", "shop"),
    ("com.docker.compose.service", "web"),
    ("wakedock.wake-timeout", "5s"),
];
const LOOK: Duration = Duration::from_secs(5);

/// An update removes a container and makes it anew: the route stays, and whoever asked in between is
/// served.
#[tokio::test]
async fn who_asked_while_it_was_away_is_served_when_it_is_back() {
    let town = Town::following(NONE).await;
    town.service("web", "web.example.com", &LABELS);
    until(|| town.at("web.example.com").is_some()).await;
    let handle = town.fleet.get("shop-web").unwrap();
    town.engine.remove("web");
    let early = town.hold("shop-web");
    until(|| town.entry("shop-web").removed).await;
    assert_eq!(town.at("web.example.com").as_deref(), Some("shop-web"), "its host is kept for it");
    let late = town.hold("shop-web");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!early.is_finished() && !late.is_finished());
    town.service("web", "web.example.com", &LABELS);
    drop((early.await.unwrap().unwrap(), late.await.unwrap().unwrap()));
    until(|| !town.entry("shop-web").removed).await;
    assert!(handle.is_same(&town.fleet.get("shop-web").unwrap()), "it is the same service");
    assert_eq!(town.engine.state("web"), ContainerState::Running);
}

/// Removed in the middle of its wake: the next one of that name is woken instead.
#[tokio::test]
async fn who_waits_for_a_container_that_is_replaced_gets_the_next_one() {
    let town = Town::following(NONE).await;
    town.engine.create_as("web", |container| {
        container.label(&[("wakedock.enable", "true"), ("wakedock.host", "web.example.com")]);
        container.label(&LABELS);
        container.start_delay = Duration::from_millis(300);
    });
    until(|| town.at("web.example.com").is_some()).await;
    let held = town.hold("shop-web");
    tokio::time::sleep(Duration::from_millis(100)).await;
    town.engine.remove("web");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!held.is_finished());
    town.service("web", "web.example.com", &LABELS);
    drop(held.await.unwrap().unwrap());
}

#[tokio::test]
async fn one_that_is_away_for_longer_than_a_wake_is_waited_for_all_the_same() {
    let town = Town::following(NONE).await;
    town.service("web", "web.example.com", &[("wakedock.wake-timeout", "300ms")]);
    until(|| town.at("web.example.com").is_some()).await;
    town.engine.remove("web");
    until(|| town.entry("web").removed).await;
    let held = town.hold("web");
    // Several wakes' time: no failure, and no back-off for those who come later.
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let late = town.hold("web");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!held.is_finished() && !late.is_finished(), "nobody is refused before his time is over");
    assert!(town.fleet.get("web").unwrap().snapshot().failure.is_none());
    town.service("web", "web.example.com", &[]);
    drop((held.await.unwrap().unwrap(), late.await.unwrap().unwrap()));
}

#[tokio::test]
async fn a_removed_container_keeps_its_host_over_a_restart() {
    let town = Town::following(NONE).await;
    town.service("web", "web.example.com", &[]);
    until(|| town.at("web.example.com").is_some()).await;
    town.engine.remove("web");
    until(|| town.entry("web").removed).await;
    town.saved().await;
    let town = town.kill_and_return(NONE).await;
    town.catalog.look(LOOK).await;
    assert!(town.entry("web").removed);
    assert_eq!(town.at("web.example.com").as_deref(), Some("web"));
    town.service("thief", "web.example.com", &[]);
    town.catalog.look(LOOK).await;
    assert_eq!(town.at("web.example.com").as_deref(), Some("web"), "it is kept for it");
    // Its time is over.
    town.configure("docker: { keep_removed: 0s }\n");
    town.catalog.look(LOOK).await;
    assert!(town.find("web").is_none());
    assert_eq!(town.at("web.example.com").as_deref(), Some("thief"));
}

/// Trap 15: one that is no longer WakeDock's is not stopped.
#[tokio::test]
async fn who_takes_its_label_off_is_let_go_at_once() {
    for labels in [&[][..], &[("wakedock.enable", "false"), ("wakedock.host", "web.example.com")]] {
        let town = Town::following(NONE).await;
        town.service("web", "web.example.com", &[("wakedock.stop-after", "1200ms")]);
        until(|| town.at("web.example.com").is_some()).await;
        town.engine.remove("web");
        town.engine.create_as("web", |container| container.label(labels));
        town.engine.start_by_hand("web");
        until(|| town.find("web").is_none()).await;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(town.engine.state("web"), ContainerState::Running);
        assert_eq!(town.engine.count(Call::Stop), 0);
    }
}

/// Compose makes the next container under a name of the moment, removes the old one and renames.
#[tokio::test]
async fn compose_replaces_a_container_without_its_service_noticing() {
    let town = Town::following(NONE).await;
    town.service("shop-web-1", "web.example.com", &LABELS);
    until(|| town.at("web.example.com").is_some()).await;
    let handle = town.fleet.get("shop-web").unwrap();
    town.service("0123456789ab_shop-web-1", "web.example.com", &LABELS);
    town.catalog.look(LOOK).await;
    town.engine.remove("shop-web-1");
    let held = town.hold("shop-web");
    town.catalog.look(LOOK).await;
    assert_eq!(town.entry("shop-web").container, "shop-web-1");
    assert_eq!(town.catalog.current().entries.len(), 1);
    town.engine.rename("0123456789ab_shop-web-1", "shop-web-1");
    drop(held.await.unwrap().unwrap());
    town.catalog.look(LOOK).await;
    assert!(handle.is_same(&town.fleet.get("shop-web").unwrap()));
    let entry = town.entry("shop-web");
    assert!(!entry.removed && entry.problems.is_empty() && entry.container == "shop-web-1", "{entry:?}");
}

#[tokio::test]
async fn docker_away_takes_nobody_away() {
    let town = Town::following(NONE).await;
    town.service("web", "web.example.com", &[]);
    until(|| town.at("web.example.com").is_some()).await;
    town.engine.go_away();
    town.catalog.look(LOOK).await;
    assert!(!town.entry("web").removed);
    town.engine.remove("web");
    town.engine.come_back();
    until(|| town.entry("web").removed).await;
}
