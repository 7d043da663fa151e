//! The publisher against a Caddy that misbehaves, or keeps count.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use wakedock::config::{CaddyAddress, CaddyConfig};
use wakedock::domain::words::PublishOutcome;
use wakedock::ports::{BoxFuture, CaddyAdmin, CaddyError};

use super::publish::Running;
use super::{config, hosts, own};

/// What a Caddy would keep, and what it was asked.
#[derive(Default)]
struct Book {
    running: Value,
    looks: usize,
    adapts: usize,
    loads: usize,
    knows_delay: bool,
    away: bool,
}

#[derive(Default, Clone)]
struct Recorded(Arc<Mutex<Book>>, Arc<Notify>);

impl Recorded {
    /// Somebody else loads this.
    fn replace(&self, running: Value) {
        self.0.lock().unwrap().running = running;
        self.1.notify_one();
    }

    fn book<T>(&self, read: impl FnOnce(&mut Book) -> T) -> Result<T, CaddyError> {
        let mut book = self.0.lock().unwrap();
        if book.away {
            return Err(CaddyError::Away {
                address: "nowhere".to_owned(),
                source: std::io::Error::other("x"),
            });
        }
        Ok(read(&mut book))
    }
}

impl CaddyAdmin for Recorded {
    fn running(&self) -> BoxFuture<'_, Result<Value, CaddyError>> {
        Box::pin(async {
            self.book(|book| {
                book.looks += 1;
                book.running.clone()
            })
        })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.1.notified())
    }

    fn adapt<'a>(&'a self, caddyfile: &'a str) -> BoxFuture<'a, Result<Value, CaddyError>> {
        Box::pin(async move {
            self.book(|book| {
                if caddyfile.contains("stream_close_delay") && !book.knows_delay {
                    let message = "unrecognized subdirective stream_close_delay".to_owned();
                    return Err(CaddyError::Rejected { message });
                }
                book.adapts += 1;
                Ok(json!({"apps": {"http": {"text": caddyfile}}}))
            })?
        })
    }

    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<(), CaddyError>> {
        Box::pin(async move {
            self.book(|book| {
                book.loads += 1;
                book.running = config.clone();
            })
        })
    }
}

fn recorded(caddy: &Recorded) -> Running {
    let caddy = caddy.clone();
    Running::connected(config(), own(), Box::new(move |_| Arc::new(caddy.clone())))
}

/// Trap 25: many changes at once are one load, and time alone is none.
#[tokio::test(start_paused = true)]
async fn changes_that_come_together_are_one_load() {
    let caddy = Recorded::default();
    let publisher = recorded(&caddy);
    for count in 1..=50 {
        let names: Vec<String> = (0..count).map(|n| format!("s{n}.example.com")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        publisher.handle.set_sites(hosts(&names));
        tokio::task::yield_now().await;
    }
    publisher.until_published(50).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let book = caddy.0.lock().unwrap();
    assert_eq!((book.loads, book.adapts), (1, 1));
    assert!((60..70).contains(&book.looks), "one look a minute, not {} in an hour", book.looks);
    let text = book.running["apps"]["http"]["text"].as_str().unwrap();
    assert_eq!(text.matches("https://").count(), 50);
    assert!(!text.contains("stream_close_delay"), "this Caddy does not know the word");
}

#[tokio::test(start_paused = true)]
async fn a_newer_caddy_keeps_streams_open() {
    let caddy = Recorded::default();
    caddy.0.lock().unwrap().knows_delay = true;
    let publisher = recorded(&caddy);
    publisher.handle.set_sites(hosts(&["a.example.com"]));
    publisher.until_published(1).await;
    let running = caddy.0.lock().unwrap().running.clone();
    assert_eq!(running.to_string().matches("stream_close_delay 24h").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caddy_that_is_away_is_tried_again_at_a_growing_pace() {
    let caddy = Recorded::default();
    caddy.0.lock().unwrap().away = true;
    let publisher = recorded(&caddy);
    publisher.handle.set_sites(hosts(&["a.example.com"]));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let attempts = publisher.outcomes.lock().unwrap().len();
    assert!((12..20).contains(&attempts), "{attempts} attempts in a minute");
    caddy.0.lock().unwrap().away = false;
    let back = wakedock::clock::now();
    publisher.until_published(1).await;
    assert!(wakedock::clock::now().since(back) <= Duration::from_secs(6));
    assert_eq!(caddy.0.lock().unwrap().loads, 1);
}

/// Two that publish to one Caddy must not close its WebSockets once a second.
#[tokio::test(start_paused = true)]
async fn what_somebody_else_puts_there_is_replaced_at_leisure() {
    let caddy = Recorded::default();
    let publisher = recorded(&caddy);
    publisher.handle.set_sites(hosts(&["a.example.com"]));
    publisher.until_published(1).await;
    for _ in 0..60 {
        caddy.replace(json!({"@id": "wakedock", "apps": {"http": {"text": "another's"}}}));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let loads = caddy.0.lock().unwrap().loads;
    assert!((4..=8).contains(&loads), "{loads} loads in a minute");
}

/// Answers every request of a real client with the same bytes.
async fn always(answer: String) -> CaddyAddress {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    CaddyAddress::Tcp(address.to_string())
}

#[tokio::test]
async fn a_caddy_that_answers_500_is_said_so_and_tried_again() {
    let body = r#"{"error":"the disk is full"}"#;
    let admin = always(format!("HTTP/1.1 500 Oops\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    let publisher = Running::start(CaddyConfig { admin, ..config() });
    publisher.handle.set_sites(hosts(&["a.example.com"]));
    let state = publisher.until("rejected", |state| state.outcome == Some(PublishOutcome::Rejected)).await;
    assert!(state.message.unwrap().contains("the disk is full"));
    let mut states = publisher.handle.watch();
    states.mark_unchanged();
    tokio::time::timeout(Duration::from_secs(10), states.changed()).await.unwrap().unwrap();
    assert!(publisher.outcomes.lock().unwrap().len() >= 2);
    publisher.end().await;
}

#[tokio::test]
async fn what_is_not_caddy_counts_as_away() {
    let dir = tempfile::tempdir().unwrap();
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n[", u64::from(u32::MAX));
    let addresses = [
        always("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned()).await,
        always("SSH-2.0-x\r\n".to_owned()).await,
        always(endless).await,
        always(String::new()).await,
        CaddyAddress::Unix(dir.path().join("missing.sock")),
        CaddyAddress::Tcp("not an address".to_owned()),
    ];
    for address in addresses {
        let publisher = Running::start(CaddyConfig { admin: address.clone(), ..config() });
        publisher.handle.set_sites(hosts(&["a.example.com"]));
        let state =
            publisher.until("unreachable", |state| state.outcome == Some(PublishOutcome::Unreachable)).await;
        assert!(state.message.unwrap().contains("does not answer"), "{address:?}");
    }
}
