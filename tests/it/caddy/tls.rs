//! Certificates on demand: a real handshake, with the question answered by a small server.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wakedock::caddy::sites::OwnAddresses;
use wakedock::config::{CaddyTls, Listen};

use super::hosts;
use super::publish::Running;
use super::real::RealCaddy;

/// Answers one request a connection; keeps the request lines.
async fn answer(listener: TcpListener, lines: Arc<Mutex<Vec<String>>>, answer: fn(&str) -> String) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                break;
            }
        }
        let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
        let _ = stream.write_all(answer(&line).as_bytes()).await;
        lines.lock().unwrap().push(line);
    }
}

fn response(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

async fn https(host: &str, port: u16, authority: &Path) -> Result<String, String> {
    let output = tokio::process::Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--cacert"])
        .arg(authority)
        .args(["--resolve", &format!("{host}:{port}:127.0.0.1"), &format!("https://{host}:{port}/hello")])
        .output()
        .await
        .expect("this test needs curl");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test]
async fn only_known_hosts_get_a_certificate() {
    let caddy = RealCaddy::start().await;
    caddy.put_extra("options.caddy", "{\n\tskip_install_trust\n}\n");
    let (proxy, admin) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let own =
        OwnAddresses { proxy: Listen::Tcp(proxy.local_addr().unwrap()), admin: admin.local_addr().unwrap() };
    let (questions, requests) = (Arc::default(), Arc::default());
    tokio::spawn(answer(proxy, Arc::clone(&requests), |_| response("200 OK", "from WakeDock")));
    tokio::spawn(answer(admin, Arc::clone(&questions), |line| {
        let known = line.contains("domain=known.example.com") || line.contains("domain=one.apps.example.com");
        response(if known { "200 OK" } else { "404 Not Found" }, "")
    }));

    let publisher = Running::with_own(caddy.config(CaddyTls::Internal), own);
    publisher.handle.set_sites(hosts(&["known.example.com", "*.apps.example.com", "127.0.0.1"]));
    publisher.until_published(3).await;

    let authority = caddy.dir.path().join("caddy/pki/authorities/local/root.crt");
    let port = caddy.https_port;
    let loads = caddy.loads();
    for known in ["known.example.com", "one.apps.example.com"] {
        assert_eq!(https(known, port, &authority).await.unwrap(), "from WakeDock", "{}", caddy.log());
    }
    for unknown in ["two.apps.example.com", "unknown.example.com"] {
        let error = https(unknown, port, &authority).await.unwrap_err();
        assert!(error.contains("SSL") || error.contains("TLS"), "{unknown}: {error}");
    }
    // An address is in no handshake's name, and gets its certificate without a question.
    assert_eq!(https("127.0.0.1", port, &authority).await.unwrap(), "from WakeDock", "{}", caddy.log());
    assert_eq!(caddy.loads(), loads, "a new host costs no reload");

    let questions: Vec<String> = questions.lock().unwrap().clone();
    assert!(!questions.is_empty());
    assert!(questions.iter().all(|line| line.starts_with("GET /caddy/ask?domain=")), "{questions:?}");
    assert!(!questions.iter().any(|line| line.contains("127.0.0.1")), "{questions:?}");
    let requests: Vec<String> = requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 3, "{requests:?}");
}
