//! Trap 39, the part that asks the engine: another container's network.

use std::num::NonZeroU16;

use wakedock::domain::address::NoAddress;
use wakedock::domain::service::AddressPolicy;
use wakedock::engine::{LocateError, Located, locate};
use wakedock::ports::NetworkMode;

use crate::support::fake_engine::{Call, FakeEngine, PORT};

async fn find(engine: &FakeEngine, name: &str, port: u16) -> Result<Located, LocateError> {
    locate(engine, &engine.view(name), &AddressPolicy::Auto, NonZeroU16::new(port)).await
}

fn joined(engine: &FakeEngine, name: &str, holder: &str) {
    engine.create_as(name, |container| {
        container.view.network_mode = NetworkMode::Container(holder.to_owned());
        container.view.networks.clear();
    });
    engine.start_by_hand(name);
}

#[tokio::test]
async fn an_own_address_is_found_without_asking() {
    let engine = FakeEngine::new();
    engine.create_running("web");
    let expected = Located { address: engine.address("web"), published: false };
    assert_eq!(find(&engine, "web", 0).await.unwrap(), expected);
    assert_eq!(engine.count(Call::Inspect), 0);
}

#[tokio::test]
async fn trap_39_another_containers_network_is_that_ones_address() {
    let engine = FakeEngine::new();
    engine.create_running("vpn");
    // The holder's own ports are not the application's.
    engine.edit("vpn", |container| container.view.exposed = vec![8000, 8388]);
    joined(&engine, "app", "vpn");
    joined(&engine, "third", "app");
    for name in ["app", "third"] {
        let found = find(&engine, name, 0).await.unwrap();
        assert_eq!(found.address, engine.address("vpn"), "{name}");
        assert_eq!(found.address.port(), PORT);
    }
    engine.edit("vpn", |container| container.view.network_mode = NetworkMode::Host);
    assert_eq!(find(&engine, "app", 9000).await.unwrap().address, "127.0.0.1:9000".parse().unwrap());
}

#[tokio::test]
async fn trap_39_a_holder_that_is_off_or_gone_is_named() {
    let engine = FakeEngine::new();
    engine.create_running("vpn");
    joined(&engine, "app", "vpn");
    engine.exit("vpn", 0);
    let off = find(&engine, "app", 80).await.unwrap_err();
    assert!(matches!(&off, LocateError::HolderOff { holder } if holder == "vpn"), "{off}");
    engine.remove("vpn");
    let gone = find(&engine, "app", 80).await.unwrap_err();
    assert!(gone.to_string().contains("`vpn`"), "{gone}");
    joined(&engine, "loop", "loop");
    let endless = find(&engine, "loop", 80).await.unwrap_err();
    assert!(matches!(endless, LocateError::EndlessChain { .. }), "{endless}");
}

#[tokio::test]
async fn what_has_no_address_says_why() {
    let engine = FakeEngine::new();
    engine.create("web");
    let off = find(&engine, "web", 0).await.unwrap_err();
    assert!(matches!(off, LocateError::NoAddress(NoAddress::NotAttached { port: PORT })), "{off}");
}
