//! Who gets in at all, and what stands on every answer.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::rig::{Ask, Rig, exchange, soon};

#[tokio::test]
async fn every_answer_is_hardened() {
    let rig = Rig::with(|config| config.metrics_auth = true).await;
    for (path, status) in [("/livez", 200), ("/nowhere", 404), ("/metrics", 401)] {
        let answer = rig.get(path).await;
        assert_eq!(answer.status, status, "{answer:?}");
        let csp = answer.field("content-security-policy").unwrap();
        assert!(csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"), "{csp}");
        assert!(!csp.contains("unsafe"), "{csp}");
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.field("referrer-policy"), Some("same-origin"));
        assert_eq!(answer.field("cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        assert_eq!(answer.field("access-control-allow-origin"), None);
        assert_eq!(answer.field("x-request-id").unwrap().len(), 32);
    }
}

/// A page of somebody else's whose name leads here asks under that name.
#[tokio::test]
async fn dns_rebinding_host_is_misdirected() {
    let rig = Rig::with(|config| {
        config.host = wakedock::domain::host::Hostname::parse("dash.example.com").ok();
    })
    .await;
    for host in ["evil.example", "evil.example:80", "localhost.evil.example", "10.0.0.1"] {
        let answer = rig.ask(&Ask::new("GET", "/nowhere").host(host)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (421, "misdirected"), "{host}");
    }
    for host in ["localhost", "127.0.0.1:7081", "[::1]", "dash.example.com", "DASH.example.com:443"] {
        assert_eq!(rig.ask(&Ask::new("GET", "/nowhere").host(host)).await.status, 404, "{host}");
    }
    let two = Ask::new("GET", "/nowhere").field("Host", "localhost");
    assert_eq!(rig.ask(&two).await.status, 400);
    assert_eq!(rig.ask(&Ask::new("GET", "/livez").host("any.example")).await.status, 200);
}

/// What stands in no table is refused, and a method that is not there says which ones are.
#[tokio::test]
async fn other_methods_are_refused_with_those_that_are_there() {
    let rig = Rig::new().await;
    let answer = rig.ask(&Ask::new("DELETE", "/livez")).await;
    assert_eq!((answer.status, answer.field("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn the_local_socket_asks_for_no_password_and_no_host() {
    let rig = Rig::new().await;
    // There is such a route and this caller may use it, or there is none: never "log in first".
    let answer = rig.local(&Ask::new("GET", "/livez").host("whatever")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
}

/// The permissions of the file let the group connect; what counts is who does.
#[tokio::test]
async fn the_local_socket_refuses_other_users() {
    if !rustix::process::geteuid().is_root() {
        panic!("this test must run as root: it becomes somebody else");
    }
    let rig = Rig::new().await;
    use std::os::unix::fs::PermissionsExt;
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    assert_eq!(std::fs::metadata(&rig.socket).unwrap().permissions().mode() & 0o777, 0o660);
    open(rig.socket.parent().unwrap(), 0o755);
    open(&rig.socket, 0o666);
    let script = format!(
        "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new('{}') or die $!; \
         print $s \"GET /livez HTTP/1.1\\r\\nConnection: close\\r\\n\\r\\n\"; print <$s>;",
        rig.socket.display()
    );
    let output = tokio::task::spawn_blocking(move || {
        let mut command = Command::new("perl");
        command.args(["-e", &script]).uid(65_534).gid(65_534).stdin(Stdio::null());
        command.output().unwrap()
    });
    let output = soon(output).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("HTTP/1.1 403"), "{said} {}", String::from_utf8_lossy(&output.stderr));
    let own = rig.local(&Ask::new("GET", "/livez")).await;
    assert_eq!(own.status, 200);
}

#[tokio::test]
async fn oversized_bodies_are_refused_before_they_are_read() {
    let rig = Rig::new().await;
    let answer = rig.local(&Ask::new("GET", "/livez").field("Content-Length", "1048577")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (413, "too-large"));
}

/// Connections from the data plane come with no address of their own; what it says of the client
/// counts.
#[tokio::test]
async fn what_the_data_plane_hands_over_is_served() {
    let rig = Rig::with(|config| {
        config.host = wakedock::domain::host::Hostname::parse("dash.example.com").ok();
    })
    .await;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    rig.hand_over.send(theirs).await.unwrap();
    ours.set_nonblocking(true).unwrap();
    let stream = UnixStream::from_std(ours).unwrap();
    let request = "GET /nowhere HTTP/1.1\r\nHost: dash.example.com\r\nConnection: close\r\n\r\n";
    assert_eq!(soon(exchange(stream, request)).await.status, 404);
}

/// At the end, idle connections are closed and the socket's file goes with them.
#[tokio::test]
async fn the_end_leaves_nothing_open() {
    let rig = Rig::new().await;
    let mut idle = UnixStream::connect(&rig.socket).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    soon(tokio::io::AsyncReadExt::read_exact(&mut idle, &mut first)).await.unwrap();
    let (socket, server) = (rig.socket.clone(), rig.server);
    soon(server.end()).await;
    assert!(!socket.exists());
    let mut rest = Vec::new();
    soon(tokio::io::AsyncReadExt::read_to_end(&mut idle, &mut rest)).await.unwrap();
}

/// The story: a page whose name was led here read the names of all services from `/metrics`.
#[tokio::test]
async fn dns_rebinding_reads_nothing_that_is_for_machines() {
    let rig = Rig::new().await;
    for path in ["/metrics", "/readyz", "/caddy/ask?domain=a.example.com"] {
        let ask = || Ask::new("GET", path).host("evil.example");
        assert_ne!(rig.ask(&ask()).await.status, 421, "{path}: a machine says whatever name it has");
        for (name, value) in [
            ("Accept-Language", "en"),
            ("Referer", "http://evil.example/"),
            ("Sec-Fetch-Site", "same-origin"),
        ] {
            assert_eq!(rig.ask(&ask().field(name, value)).await.problem(), "misdirected", "{path} {name}");
        }
        assert_ne!(rig.ask(&Ask::new("GET", path).field("Accept-Language", "en")).await.status, 421);
    }
}
