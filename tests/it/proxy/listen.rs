//! Binding: unix sockets, inherited sockets, and who is in the way.

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use wakedock::config::Listen;
use wakedock::proxy::{BindError, DrainOutcome, bind};

use super::rig::{GET, Rig, Service, Wire, config, field, mirror};

#[tokio::test]
async fn a_unix_socket_is_trusted_has_its_mode_and_goes_with_us() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run/proxy.sock");
    let mut config = config();
    config.listen = vec![Listen::Unix(path.clone())];
    config.socket_mode = 0o640;
    let (address, _) = mirror().await;
    let service = Service::new("app", |_| {});
    service.open(address, 1);
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    // More connections than workers: each worker gets some.
    for _ in 0..4 {
        let mut client = Wire::new(UnixStream::connect(&path).await.unwrap());
        client
            .send(GET.replace("\r\n\r\n", "\r\nX-Forwarded-For: 6.6.6.6\r\nX-Request-ID: given\r\n\r\n"))
            .await;
        let head = client.head().await;
        let seen = String::from_utf8(client.body_of(&head).await).unwrap();
        assert_eq!(field(&seen, "x-forwarded-for"), Some("6.6.6.6"), "{seen}");
        assert_eq!(field(&seen, "x-request-id"), Some("given"));
    }
    let again = bind(&config, Vec::new(), 1);
    assert!(matches!(again, Err(BindError::InUse { .. })), "somebody answers there: {again:?}");
    assert_eq!(rig.plane.drain(Duration::from_secs(10)).await, DrainOutcome::Finished);
    assert!(!path.exists(), "removed at the end");
}

#[test]
fn a_socket_file_that_was_left_behind_is_replaced_and_others_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proxy.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut config = config();
    config.listen = vec![Listen::Unix(path.clone())];
    let bound = bind(&config, Vec::new(), 1).unwrap();
    assert_eq!(bound.addresses()[0].to_string(), format!("unix:{}", path.display()));
    drop(bound);
    assert!(!path.exists());
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(bind(&config, Vec::new(), 1), Err(BindError::NotASocket { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();
    config.socket_group = Some("nobody-has-this-group".into());
    assert!(matches!(bind(&config, Vec::new(), 1), Err(BindError::NoSuchGroup { .. })));
    assert!(!path.exists(), "nothing stays behind");
}

/// A burst on a sleeping service waits in the kernel; nobody in it is refused.
#[test]
fn the_backlog_is_4096_or_what_the_system_grants() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let most = most.trim().parse::<usize>().unwrap().min(4096);
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proxy.sock");
    let mut config = config();
    config.listen = vec![Listen::Unix(path.clone())];
    let _bound = bind(&config, Vec::new(), 1).unwrap();
    let address = socket2::SockAddr::unix(&path).unwrap();
    let mut waiting = Vec::new();
    loop {
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM.nonblocking(), None);
        let socket = socket.unwrap();
        match socket.connect(&address) {
            Ok(()) => waiting.push(socket),
            Err(full) => {
                assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock, "{full}");
                break;
            }
        }
    }
    // The kernel counts from nought.
    assert_eq!(waiting.len(), most + 1);
}

/// `SO_REUSEPORT` must not let a second process in quietly.
#[test]
fn a_port_is_taken_by_one_only() {
    let mut config = config();
    let first = bind(&config, Vec::new(), 2).unwrap();
    config.listen = vec![first.addresses()[0].0.clone()];
    assert!(matches!(bind(&config, Vec::new(), 2), Err(BindError::InUse { .. })));
    drop(first);
    assert!(bind(&config, Vec::new(), 2).is_ok());
}

#[tokio::test]
async fn inherited_sockets_replace_what_is_configured() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("handed-over.sock");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let kept: OwnedFd = tcp.try_clone().unwrap().into();
    let bound = bind(&config(), vec![tcp.into(), unix.into()], 2).unwrap();
    let addresses: Vec<_> = bound.addresses().iter().map(ToString::to_string).collect();
    assert_eq!(addresses, [address.to_string(), format!("unix:{}", path.display())]);
    let service = Service::new("app", |_| {});
    let (upstream, _) = mirror().await;
    service.open(upstream, 1);
    let routes = super::rig::table(&[("app.test", None, &service.handle)]);
    let plane = wakedock::proxy::DataPlane::start(
        bound,
        std::sync::Arc::new(arc_swap::ArcSwap::from_pointee(routes)),
        std::sync::Arc::new(arc_swap::ArcSwap::from_pointee(wakedock::proxy::ProxySettings::new(
            &config(),
            false,
        ))),
        std::sync::Arc::clone(service.handle.metrics()),
        wakedock::metrics::Cuts::default(),
    )
    .unwrap();
    let mut client = Wire::new(TcpStream::connect(address).await.unwrap());
    client.send(GET).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    let mut client = Wire::new(UnixStream::connect(&path).await.unwrap());
    client.send(GET).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    drop(client);
    plane.drain(Duration::from_millis(200)).await;
    assert!(path.exists(), "what was handed over is not ours to remove");
    // Whoever handed it over still has it: nobody is refused while we are away.
    assert!(TcpStream::connect(address).await.is_ok());
    drop(kept);
}

#[test]
fn what_is_handed_over_must_listen() {
    let odd = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(matches!(bind(&config(), vec![odd.into()], 1), Err(BindError::Inherited { .. })));
}
