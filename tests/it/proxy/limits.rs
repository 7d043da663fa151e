//! Limits on connections: who comes over them is told so or closed, counted, and hurts nobody.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, UnixStream};
use wakedock::config::{Listen, ProxyConfig};
use wakedock::domain::words::{Limit, Reason};

use super::frames::{Client, HEADERS};
use super::rig::{GET, Rig, Service, Wire, config, field, mirror, until};

/// Nobody is trusted, so that addresses are counted.
fn strict(connections: usize, per_address: usize) -> ProxyConfig {
    let mut config = config();
    config.trusted_proxies = Vec::new();
    config.limits.connections = connections;
    config.limits.connections_per_address = per_address;
    config
}

async fn ready() -> Service {
    let (address, _) = mirror().await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    service
}

/// A client with this address of the loopback network.
async fn from(address: &str, rig: &Rig) -> Wire<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    Wire::new(socket.connect(rig.address).await.unwrap())
}

async fn is_served(client: &mut Wire<TcpStream>) {
    client.send(GET).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    client.body_of(&head).await;
}

/// Told in our words, and closed.
async fn is_turned_away(client: &mut Wire<TcpStream>) {
    client.send(GET).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(field(&head, "x-wakedock"), Some("overloaded"));
    assert_eq!(field(&head, "proxy-status"), Some("wakedock; error=connection_limit_reached"));
    assert_eq!(field(&head, "connection"), Some("close"));
    assert!(field(&head, "retry-after").is_some() && field(&head, "x-request-id").is_some(), "{head}");
    client.body_of(&head).await;
    assert_eq!(client.rest().await, (Vec::new(), true));
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_others_have_theirs() {
    let service = ready().await;
    let rig = Rig::with(&strict(100, 2), &[("app.test", None, &service.handle)]);
    let (mut one, mut two) = (from("127.0.0.1", &rig).await, from("127.0.0.1", &rig).await);
    is_served(&mut one).await;
    is_served(&mut two).await;
    is_turned_away(&mut from("127.0.0.1", &rig).await).await;
    // Somebody else, and the two that are inside.
    let mut other = from("127.0.0.2", &rig).await;
    is_served(&mut other).await;
    is_served(&mut one).await;
    is_served(&mut two).await;
    assert_eq!(rig.cuts.of(Limit::ConnectionsPerAddress), 1);
    assert_eq!(rig.cuts.of(Limit::Connections), 0);
    assert_eq!(rig.unknown.refusals(Reason::Overloaded), 1);
    drop(one);
    until("one is gone", || rig.plane.connections() == 2).await;
    is_served(&mut from("127.0.0.1", &rig).await).await;
}

#[tokio::test]
async fn trusted_peers_and_unix_sockets_are_not_counted_by_address() {
    let service = ready().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proxy.sock");
    let mut config = strict(100, 1);
    config.listen.push(Listen::Unix(path.clone()));
    config.trusted_proxies = vec!["127.0.0.2/32".parse().unwrap()];
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut inside = Vec::new();
    for _ in 0..5 {
        let mut trusted = from("127.0.0.2", &rig).await;
        is_served(&mut trusted).await;
        let mut local = Wire::new(UnixStream::connect(&path).await.unwrap());
        local.send(GET).await;
        assert!(local.head().await.starts_with("HTTP/1.1 200 "));
        inside.push((trusted, local));
    }
    let mut stranger = from("127.0.0.3", &rig).await;
    is_served(&mut stranger).await;
    is_turned_away(&mut from("127.0.0.3", &rig).await).await;
}

#[tokio::test]
async fn connections_over_the_limit_are_told_and_the_others_unhurt() {
    let service = ready().await;
    let rig = Rig::with(&strict(2, 100), &[("app.test", None, &service.handle)]);
    let (mut one, mut two) = (rig.client().await, rig.client().await);
    is_served(&mut one).await;
    is_served(&mut two).await;
    is_turned_away(&mut rig.client().await).await;
    // Over HTTP/2 as well, and then the connection ends.
    let mut client = Client::new(rig.address, &[]).await;
    client.get(1, "/").await;
    let answer = client.await_frame(|frame| frame.kind == HEADERS).await;
    assert!(!answer.is_ok(), "{answer:?}");
    client.is_left().await;
    // One that asks for nothing is not waited for.
    assert!(rig.client().await.rest().await.0.is_empty());
    is_served(&mut one).await;
    is_served(&mut two).await;
    assert_eq!(rig.cuts.of(Limit::Connections), 3);
    drop(one);
    until("one is gone", || rig.plane.connections() == 1).await;
    is_served(&mut rig.client().await).await;
}

/// Telling costs something too: a crowd is closed without a word.
#[tokio::test]
async fn a_crowd_over_the_limit_is_closed() {
    let service = ready().await;
    let rig = Rig::with(&strict(1, 100), &[("app.test", None, &service.handle)]);
    let mut inside = rig.client().await;
    is_served(&mut inside).await;
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.push(rig.client().await);
    }
    until("all are counted", || rig.cuts.of(Limit::Connections) == 200).await;
    let mut closed = 0;
    for client in &mut crowd {
        let mut byte = [0];
        let read = tokio::io::AsyncReadExt::read(&mut client.stream, &mut byte);
        closed += usize::from(matches!(
            tokio::time::timeout(Duration::from_millis(1), read).await,
            Ok(Ok(0) | Err(_))
        ));
    }
    // Two workers with 32 each.
    assert!(closed >= 200 - 64, "{closed} of them are closed");
    is_served(&mut inside).await;
}
