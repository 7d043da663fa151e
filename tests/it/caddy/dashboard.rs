//! The dashboard's own site, as strangers meet it: a real Caddy, and something in WakeDock's place that
//! says what reached it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wakedock::caddy::sites::OwnAddresses;
use wakedock::config::CaddyTls;
use wakedock::domain::host::Hostname;

use super::publish::Running;
use super::real::RealCaddy;
use super::{hosts, own};

/// Answers each request with its head.
async fn echo(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut head = vec![0; 16 * 1024];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let body = &head[..read];
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {read}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.write_all(body).await;
        });
    }
}

async fn ask(port: u16, path: &str, fields: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: dash.example.com\r\n{fields}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The story: whoever said `Remote-User` to the site that WakeDock had written was believed, for Caddy is
/// a listed log-in proxy.
#[tokio::test]
async fn nobody_says_who_they_are_to_the_dashboard_s_site() {
    let caddy = RealCaddy::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = OwnAddresses { admin: listener.local_addr().unwrap(), ..own() };
    tokio::spawn(echo(listener));
    let publisher = Running::with_own(caddy.config(CaddyTls::Off), own);
    publisher.handle.set_dashboard(Hostname::parse("dash.example.com").ok());
    publisher.handle.set_sites(hosts(&["cloud.example.com"]));
    publisher.until_published(1).await;
    let fields = "Remote-User: mallory\r\nremote-groups: admins\r\nRemote-Email: a@b\r\n\
                  X-Authentik-Username: mallory\r\nX-Authentik-Groups: admins\r\nX-Kept: yes\r\n";
    let seen = ask(caddy.http_port, "/api/v1/auth/me", fields).await.to_lowercase();
    assert!(seen.starts_with("http/1.1 200") && seen.contains("x-kept: yes"), "{seen}");
    assert!(!seen.contains("mallory") && !seen.contains("remote-") && !seen.contains("admins"), "{seen}");
    for machines in ["/metrics", "/caddy/ask?domain=cloud.example.com", "/METRICS", "/%6detrics"] {
        let refused = ask(caddy.http_port, machines, "").await;
        assert!(refused.starts_with("HTTP/1.1 404"), "{machines}: {refused}");
    }
}
