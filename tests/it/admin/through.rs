//! The dashboard's host, asked for at the data plane.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use wakedock::config::{AdminConfig, Listen, ProxyConfig};
use wakedock::domain::host::Hostname;
use wakedock::domain::name::ServiceName;
use wakedock::domain::route::RouteTable;
use wakedock::domain::words::Role;
use wakedock::metrics::{Cuts, ServiceMetrics};
use wakedock::proxy::{Dashboard, DataPlane, ProxySettings, bind};

use super::rig::{Answer, Ask, Rig, exchange, log_in, password, soon};

const HOST: &str = "dash.example.com";

/// A data plane whose peers are strangers, in front of a control plane that would believe Caddy.
async fn both(change: impl FnOnce(&mut AdminConfig)) -> (Rig, DataPlane, SocketAddr) {
    let rig = Rig::with(|config| {
        config.host = Hostname::parse(HOST).ok();
        change(config);
    })
    .await;
    let config = ProxyConfig {
        listen: vec![Listen::Tcp("127.0.0.1:0".parse().unwrap())],
        trusted_proxies: Vec::new(),
        ..ProxyConfig::default()
    };
    let bound = bind(&config, Vec::new(), 1).unwrap();
    let Listen::Tcp(address) = bound.addresses()[0].0 else { panic!("no port") };
    let mut settings = ProxySettings::new(&config, false);
    settings.dashboard =
        Some(Dashboard { host: Hostname::parse(HOST).unwrap(), hand_over: rig.hand_over.clone() });
    let unknown = ServiceMetrics::new(ServiceName::parse("unknown").unwrap(), 1, wakedock::clock::now());
    let routes = Arc::new(ArcSwap::from_pointee(RouteTable::default()));
    let settings = Arc::new(ArcSwap::from_pointee(settings));
    let plane = DataPlane::start(bound, routes, settings, unknown, Cuts::default()).unwrap();
    (rig, plane, address)
}

async fn ask(address: SocketAddr, ask: Ask) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    soon(exchange(stream, &ask.host(HOST).wire())).await
}

#[tokio::test]
async fn the_data_plane_hands_the_dashboards_host_over() {
    let (rig, _plane, address) = both(|_| {}).await;
    rig.user("ann", Role::User).await;
    let answer = ask(address, Ask::new("GET", "/livez")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"), "{answer:?}");
    assert!(answer.field("content-security-policy").is_some() && answer.field("x-wakedock").is_none());
    assert_eq!(answer.field("x-request-id").unwrap().len(), 32);
    // A body goes along, and every path is the dashboard's.
    let answer = ask(address, log_in("ann", &password("ann"))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(ask(address, Ask::new("GET", "/.wakedock/events")).await.status, 404);
}

/// What a stranger says of itself is replaced on the way, and no log-in proxy is believed behind it.
#[tokio::test]
async fn nothing_is_believed_that_a_stranger_says_to_the_data_plane() {
    let (rig, _plane, address) = both(|config| {
        config.forward_auth.proxies = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        config.forward_auth.roles.admin = vec!["admins".to_owned()];
    })
    .await;
    rig.user("ann", Role::User).await;
    let forged =
        Ask::new("GET", "/api/v1/auth/me").field("Remote-User", "root").field("Remote-Groups", "admins");
    assert_eq!(ask(address, forged).await.status, 401);
    let guess =
        log_in("ann", "guess").field("X-Forwarded-For", "192.0.2.66").field("X-Real-IP", "192.0.2.66");
    assert_eq!(ask(address, guess).await.status, 401);
    let audit = rig.audit().await;
    assert_eq!(audit[0].what, "log-in-failed");
    assert_eq!(audit[0].address.as_deref(), Some("127.0.0.1"));
}
