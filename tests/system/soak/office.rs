//! Those who keep the house: dashboards that stay open, logs that are followed, services that are
//! written by the API, backups.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Api, Connection, Request};

use super::LIMIT;
use super::book::{Book, Came, Chance, Wrong};

/// A comment comes every 15 s.
const SILENCE: Duration = Duration::from_secs(25);
/// With which a store begins.
const MAGIC: &[u8] = b"redb";

/// A dashboard: its page, and events in order and each once, also over a connection that ends.
pub fn dashboard(book: &Book, api: &Api, chance: &mut Chance) {
    let mut last: Option<u64> = None;
    while book.is_open() {
        let open_for = chance.millis(3_000, 45_000);
        book.ask("dashboard", open_for + LIMIT, |_| {
            let page = api.try_ask("GET", "/", None)?;
            if page.status() != 200 {
                return Err(format!("the page: {}", page.status()).into());
            }
            let request = api.request("GET", "/api/v1/events", None);
            let request = match last {
                Some(last) => request.header("Last-Event-ID", &last.to_string()),
                None => request,
            };
            follow(book, api, &request, open_for, |event| {
                let Some(id) = event.lines().find_map(|line| line.strip_prefix("id: ")) else {
                    return Ok(());
                };
                let id: u64 = id.parse().map_err(|_| Wrong::from(format!("number {id}")))?;
                // The place in the stream alone may be one that was seen.
                if event.contains("\ndata: ") {
                    if last.is_some_and(|last| id <= last) {
                        return Err(format!("event {id} after {last:?}").into());
                    }
                    last = Some(id);
                }
                Ok(())
            })
        });
        book.rest(chance.millis(10, 2_000));
    }
}

/// Somebody who reads a service's log as it is written.
pub fn reader(book: &Book, api: &Api, chance: &mut Chance, service: &str) {
    while book.rest(chance.millis(100, 3_000)) {
        let open_for = chance.millis(3_000, 30_000);
        book.ask("log", open_for + LIMIT, |_| {
            let path = format!("/api/v1/services/{service}/logs?tail=20");
            let request = api.request("GET", &path, None).header("Accept", "text/event-stream");
            follow(book, api, &request, open_for, |_| Ok(()))
        });
    }
}

/// Reads a stream of events for a while: each of them is shown to `read`. A refusal is right where
/// Docker is away.
fn follow(
    book: &Book,
    api: &Api,
    request: &Request,
    open_for: Duration,
    mut read: impl FnMut(&str) -> Result<(), Wrong>,
) -> Came {
    let until = Instant::now() + open_for;
    let mut stream = Connection::open(api.target())?;
    stream.set_patience(SILENCE)?;
    stream.send(&request.head())?;
    let head = stream.read_head()?;
    match (head.status, head.header("content-type")) {
        (200, Some("text/event-stream")) => {}
        (503, _) => return Ok("engine-unavailable"),
        _ => return Err(format!("{head:?}").into()),
    }
    let mut text = String::new();
    while book.is_open() && Instant::now() < until {
        let chunk = stream.chunk()?.ok_or_else(|| Wrong::from("the stream ended"))?;
        text.push_str(std::str::from_utf8(&chunk)?);
        while let Some(end) = text.find("\n\n") {
            let event: String = text.drain(..end + 2).collect();
            read(&event)?;
        }
    }
    Ok("")
}

/// Services come by the API, are changed and go again; each is what was written last.
pub fn writer(book: &Book, api: &Api, chance: &mut Chance) {
    for number in 0_u64.. {
        if !book.rest(chance.millis(200, 2_000)) {
            return;
        }
        book.ask("api write", LIMIT, |id| {
            let path = format!("/api/v1/services/made-{}", number % 4);
            for round in 0..3 {
                let message = format!("{id} {round}");
                let keys = json!({
                    "hosts": [format!("made-{}.test", number % 4)], "container": "there-is-none", "port": 8080,
                    "waiting_page": { "message": message },
                });
                let request = api.request("PUT", &path, Some(&keys));
                let request = if round > 0 { request.header("If-Match", "*") } else { request };
                let written = request.send(api.target())?;
                if !(200..300).contains(&written.status()) {
                    return Err(format!("{path}: {} {}", written.status(), written.text()).into());
                }
                let found = api.try_ask("GET", &path, None)?;
                if found.json()["api_keys"]["waiting_page"]["message"] != message.as_str() {
                    return Err(format!("{path} is not as it was written: {}", found.text()).into());
                }
            }
            let gone = api.request("DELETE", &path, None).header("If-Match", "*").send(api.target())?;
            let after = api.try_ask("GET", &path, None)?;
            match (gone.status(), after.status()) {
                (204, 404) => Ok(""),
                other => Err(format!("{path}: {other:?} after it was taken away").into()),
            }
        });
    }
}

/// A backup now and then, whole.
pub fn keeper(book: &Book, api: &Api, every: Duration) {
    while book.rest(every) {
        book.ask("backup", LIMIT, |_| {
            let answer = api.try_ask("GET", "/api/v1/system/backup", None)?;
            if answer.status() == 200 && answer.body.starts_with(MAGIC) {
                return Ok("");
            }
            Err(format!("{}, {} bytes", answer.status(), answer.body.len()).into())
        });
    }
}
