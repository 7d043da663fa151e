//! From a start to the application's answer, on Docker: trap 39, and trap 38 with a real clock.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use bollard::models::{HostConfig, PortBinding};
use futures_util::FutureExt;
use tokio::sync::Notify;
use wakedock::clock;
use wakedock::domain::service::{AddressPolicy, Readiness};
use wakedock::engine::{Located, locate};
use wakedock::ports::ContainerEngine;
use wakedock::probe::{Awaited, NetProber, Wait, wait_ready};

use super::contract::{Bench, Recipe};
use super::docker::DockerBench;

#[tokio::test]
async fn a_started_container_is_found_and_ready() {
    let bench = DockerBench::new().await;
    let done = AssertUnwindSafe(start_and_reach(&bench)).catch_unwind().await;
    bench.sweep().await;
    done.expect("see above");
}

async fn start_and_reach(bench: &DockerBench) {
    let own = bench.name("own");
    bench.create(&own, Recipe::default()).await;
    let located = wake(bench, &own, &AddressPolicy::Auto, Readiness::Default).await;
    assert!(!located.published && located.address.port() == 8080, "{located:?}");

    let anywhere = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(String::new()) };
    let ports = HashMap::from([("8080/tcp".to_owned(), Some(vec![anywhere]))]);
    let publishing = HostConfig { port_bindings: Some(ports), ..Default::default() };
    let published = bench.name("published");
    bench.create_on(&published, Recipe::default(), publishing).await;
    let located = wake(bench, &published, &AddressPolicy::Published, Readiness::Default).await;
    assert!(located.published && located.address.ip().is_loopback(), "{located:?}");
    let located = wake(bench, &published, &AddressPolicy::Auto, Readiness::Default).await;
    assert!(!located.published, "its own address goes before the published port: {located:?}");

    // In the network of a holder whose only program does not listen.
    let holder = bench.name("holder");
    bench.create_on(&holder, Recipe { ignores_term: true, ..Recipe::default() }, HostConfig::default()).await;
    let found = bench.docker.inspect(&holder).await.expect("it is there");
    bench.docker.start(&found.id).await.expect("it starts");
    let sharing = HostConfig { network_mode: Some(format!("container:{holder}")), ..Default::default() };
    let guest = bench.name("guest");
    bench.create_on(&guest, Recipe::default(), sharing).await;
    let network = locate_of(bench, &holder, &AddressPolicy::Auto).await;
    assert_eq!(wake(bench, &guest, &AddressPolicy::Auto, Readiness::Tcp).await, network);

    let alone = HostConfig { network_mode: Some("none".to_owned()), ..Default::default() };
    let hermit = bench.name("hermit");
    bench.create_on(&hermit, Recipe::default(), alone).await;
    let container = bench.docker.inspect(&hermit).await.expect("it is there");
    let nowhere = locate(&bench.docker, &container, &AddressPolicy::Auto, None).await.unwrap_err();
    assert!(nowhere.to_string().contains("network_mode: none"), "{nowhere}");

    // Docker's own check would come after an hour: its command is run by us.
    let checked = bench.name("checked");
    bench.create(&checked, Recipe { healthy: Some(true), ..Recipe::default() }).await;
    wake(bench, &checked, &AddressPolicy::Auto, Readiness::Docker).await;
}

async fn locate_of(bench: &DockerBench, name: &str, policy: &AddressPolicy) -> Located {
    let container = bench.docker.inspect(name).await.expect("it is there");
    locate(&bench.docker, &container, policy, None).await.expect("it has an address")
}

async fn wake(bench: &DockerBench, name: &str, policy: &AddressPolicy, readiness: Readiness) -> Located {
    let container = bench.docker.inspect(name).await.expect("it is there");
    bench.docker.start(&container.id).await.expect("it starts");
    let begun = clock::now();
    let container = bench.docker.inspect(name).await.expect("it is there");
    let located =
        locate(&bench.docker, &container, policy, None).await.unwrap_or_else(|error| panic!("{error}"));
    let wait = Wait {
        container: &container,
        readiness: &readiness,
        address: located.address,
        published: located.published,
        host: "web.example.com",
        deadline: begun + Duration::from_secs(20),
    };
    let awaited = wait_ready(&NetProber, &bench.docker, wait, &Notify::new()).await;
    let took = clock::now().since(begun);
    println!("{name}: {took:?} from the return of start to ready at {}", located.address);
    assert_eq!(awaited, Awaited::Ready { warning: None });
    assert!(took < Duration::from_secs(5), "{took:?}");
    located
}
