//! `wakedock logs` and `wakedock events`: what was said and what happened, and what goes on.

use std::time::Duration;

use clap::Args;
use http_body_util::BodyExt;
use serde_json::{Map, Value as Json};

use crate::cli::Exit;
use crate::cli::client::{Client, ClientError, Event, Steady, segment};
use crate::cli::ending::until_told;
use crate::cli::remote::{Remote, Surroundings};
use crate::cli::terminal::Terminal;
use crate::cli::view::calm::Calm;
use crate::cli::view::paint::{Ink, Palette, plain};
use crate::cli::view::table::places;
use crate::cli::view::words::{clock_time, span, spoken};
use crate::cli::wire::{List, parse_time};
use crate::clock;
use crate::domain::time::Timestamp;

/// Names of services are seldom longer.
const NAME: usize = 14;
const KIND: usize = 13;

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The service
    name: String,

    /// Stay, and print what comes
    #[arg(long, short)]
    follow: bool,

    /// How many of the last lines to begin with
    #[arg(long, short = 'n', value_name = "LINES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=500))]
    tail: u32,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct EventsOf {
    /// Of this service alone
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// Stay, and print what comes
    #[arg(long, short)]
    follow: bool,

    /// How many of the last ones to begin with
    #[arg(long, short = 'n', value_name = "EVENTS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=500))]
    tail: u32,

    /// Print one line of JSON an event
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

pub(super) fn logs(arguments: &Logs, around: Surroundings<'_>) -> Exit {
    let client = match arguments.remote.client(&around) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    let path = format!("/api/v1/services/{}/logs?tail={}", segment(&arguments.name), arguments.tail);
    around.run(async {
        if arguments.follow {
            let work = follow_lines(&client, path, around.terminal);
            return until_told(work).await.unwrap_or(Ok(Exit::Fine));
        }
        let mut body = client.stream(&path, "text/plain", None).await?.into_body();
        let mut calm = around.terminal.is_live().then(Calm::default);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| ClientError::Broken {
                address: path.clone(),
                source: std::io::Error::other(error),
            })?;
            let Ok(bytes) = frame.into_data() else { continue };
            let bytes = calm.as_mut().map_or_else(|| bytes.to_vec(), |calm| calm.filter(&bytes));
            if let Some(exit) = around.terminal.put(&bytes) {
                return Ok(exit);
            }
        }
        Ok(Exit::Fine)
    })
}

/// Line by line, each once, whatever happens to the connection.
async fn follow_lines(client: &Client, path: String, terminal: &Terminal) -> Result<Exit, ClientError> {
    let mut lines = Steady::open(client, path, terminal).await?;
    let mut calm = terminal.is_live().then(Calm::default);
    loop {
        let mut line = lines.next().await?.data.into_bytes();
        line.push(b'\n');
        let line = calm.as_mut().map_or_else(|| line.clone(), |calm| calm.filter(&line));
        if let Some(exit) = terminal.put(&line) {
            return Ok(exit);
        }
    }
}

pub(super) fn events(arguments: &EventsOf, around: Surroundings<'_>) -> Exit {
    let client = match arguments.remote.client(&around) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    around.run(async {
        let work = tell_events(arguments, &client, around.terminal);
        until_told(work).await.unwrap_or(Ok(Exit::Fine))
    })
}

async fn tell_events(
    arguments: &EventsOf,
    client: &Client,
    terminal: &Terminal,
) -> Result<Exit, ClientError> {
    let lines = Lines { json: arguments.json, palette: terminal.palette() };
    let name = arguments.name.as_deref();
    // What happens from here on is not missed while the past is printed.
    let mut live = match arguments.follow {
        true => {
            let of = name.map_or(String::new(), |name| format!("?service={}", segment(name)));
            Some(Steady::open(client, format!("/api/v1/events{of}"), terminal).await?)
        }
        false => None,
    };
    let mut newest = 0;
    for event in past(client, name, arguments.tail).await? {
        newest = newest.max(number(&event));
        if let Some(exit) = terminal.put(lines.line(&event).as_bytes()) {
            return Ok(exit);
        }
    }
    while let Some(events) = &mut live {
        let event = events.next().await?;
        let Some(event) = read(&event).filter(|event| concerns(event, name)) else { continue };
        // It was among the past. What comes after a break is new.
        if events.is_first() && number(&event) <= newest {
            continue;
        }
        if let Some(exit) = terminal.put(lines.line(&event).as_bytes()) {
            return Ok(exit);
        }
    }
    Ok(Exit::Fine)
}

/// The number of an event; no number is newer than any.
fn number(event: &Map<String, Json>) -> u64 {
    event.get("id").and_then(Json::as_u64).unwrap_or(u64::MAX)
}

fn read(event: &Event) -> Option<Map<String, Json>> {
    serde_json::from_str(&event.data).ok()
}

fn concerns(event: &Map<String, Json>, name: Option<&str>) -> bool {
    name.is_none_or(|name| event.get("service").and_then(Json::as_str) == Some(name))
}

/// The last events, the oldest first.
async fn past(
    client: &Client,
    name: Option<&str>,
    limit: u32,
) -> Result<Vec<Map<String, Json>>, ClientError> {
    let path = match name {
        // Also where none is wanted: a service that is not there is said to be none.
        Some(name) => format!("/api/v1/services/{}/events?limit={}", segment(name), limit.max(1)),
        None if limit == 0 => return Ok(Vec::new()),
        None => format!("/api/v1/events?limit={limit}"),
    };
    let list: List<Map<String, Json>> = client.read(&path).await?;
    let mut events = list.items;
    events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    events.sort_by_key(|event| event.get("id").and_then(Json::as_u64));
    Ok(events)
}

struct Lines {
    json: bool,
    palette: Palette,
}

impl Lines {
    /// `14:02:09  cloud  wake-ended  outcome ready, took 2.1 s`
    fn line(&self, event: &Map<String, Json>) -> String {
        if self.json {
            return format!("{}\n", Json::Object(event.clone()));
        }
        let text = |key: &str| event.get(key).and_then(Json::as_str).map(plain);
        let at = text("at")
            .and_then(|at| parse_time(&at))
            .map_or_else(|| "–".to_owned(), |at: Timestamp| clock_time(clock::wall(), at));
        let service = text("service").unwrap_or_else(|| "–".to_owned());
        let kind = text("kind").unwrap_or_default();
        let said: Vec<String> = ORDER
            .iter()
            .filter_map(|key| event.get_key_value(*key))
            .chain(
                event
                    .iter()
                    .filter(|(key, _)| !ORDER.contains(&key.as_str()) && !TOLD.contains(&key.as_str())),
            )
            .filter_map(|(key, value)| said(key, value))
            .collect();
        let line = format!(
            "{}  {}  {}  {}",
            self.palette.paint(Ink::Faint, &at),
            self.palette.paint(Ink::Strong, &padded(&service, NAME)),
            padded(&kind, KIND),
            said.join(", "),
        );
        format!("{}\n", line.trim_end())
    }
}

/// What is said of an event, in this order; what is not known here comes after it.
const ORDER: [&str; 9] =
    ["phase", "outcome", "cause", "key", "value", "reason", "mend", "took_ms", "engine_ms"];
/// What the line says anyway.
const TOLD: [&str; 4] = ["id", "at", "service", "kind"];

/// A value, with its key where it does not speak for itself: `took_ms: 2100` is `took 2.1 s`.
fn said(key: &str, value: &Json) -> Option<String> {
    let name = plain(key).replace('_', " ");
    Some(match (key, value) {
        ("until", Json::Null) => "no longer".to_owned(),
        (_, Json::Null) | ("paused", Json::Bool(false)) => return None,
        (_, Json::Bool(true)) => name,
        (_, Json::Bool(false)) => format!("not {name}"),
        ("by", Json::Object(by)) => return asked_by(by),
        ("engine_ms", Json::Number(millis)) => {
            format!("Docker's share {}", span(Duration::from_millis(millis.as_u64()?)))
        }
        (_, Json::Number(millis)) if key.ends_with("_ms") => {
            let name = name.strip_suffix(" ms").unwrap_or(&name);
            format!("{name} {}", span(Duration::from_millis(millis.as_u64()?)))
        }
        ("phase" | "outcome" | "cause", Json::String(word)) => spoken(word),
        ("until", Json::String(text)) => {
            let at = parse_time(text).map(|at| clock_time(clock::wall(), at));
            format!("until {}", at.unwrap_or_else(|| plain(text)))
        }
        ("key" | "reason" | "mend", Json::String(text)) => plain(text),
        (_, Json::String(text)) => format!("{name} {}", plain(text)),
        (_, Json::Array(items)) if items.is_empty() => return None,
        (_, Json::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| plain(item.as_str().unwrap_or("…"))).collect();
            format!("{name} {}", items.join(" "))
        }
        (_, other) => format!("{name} {}", plain(&other.to_string())),
    })
}

/// Who asked: `by anna`, or `by GET cloud.example.com/login from 192.0.2.7`.
fn asked_by(by: &Map<String, Json>) -> Option<String> {
    let text = |key: &str| by.get(key).and_then(Json::as_str).map(plain);
    if let Some(user) = text("user") {
        return Some(format!("by {user}"));
    }
    let place = format!("{}{}", text("host").unwrap_or_default(), text("path").unwrap_or_default());
    let client = text("client").map(|client| format!("from {client}"));
    let parts = [text("method"), Some(place).filter(|place| !place.is_empty()), client];
    let said: Vec<String> = parts.into_iter().flatten().collect();
    (!said.is_empty()).then(|| format!("by {}", said.join(" ")))
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(places(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let line = |event: &str| {
            let event: Map<String, Json> = serde_json::from_str(event).unwrap();
            assert!(concerns(&event, Some("cloud")) && !concerns(&event, Some("wiki")));
            Lines { json: false, palette: Palette { colour: false } }.line(&event)
        };
        assert_eq!(
            line(
                r#"{"id":3,"at":"nonsense","service":"cloud","kind":"wake-ended","outcome":"ready","took_ms":2130,
                    "engine_ms":310,"cause":null,"paused":false,"new":"\u001b[2J","waiting":["a","b"]}"#
            ),
            "–  cloud           wake-ended     ready, took 2.1 s, Docker's share 310 ms, new  [2J, waiting a b\n"
        );
        assert_eq!(
            line(
                r#"{"id":4,"service":"cloud","kind":"wake-started","cause":"request",
                    "by":{"request_id":"x","host":"cloud.test","method":"GET","path":"/a","client":"192.0.2.7","user":null}}"#
            ),
            "–  cloud           wake-started   request, by GET cloud.test/a from 192.0.2.7\n"
        );
        let kept = line(r#"{"service":"cloud","kind":"kept-awake","until":"2026-11-23T06:40:37.329Z"}"#);
        let (_, until) = kept.split_once("until ").unwrap();
        assert!(line(r#"{"service":"cloud","kind":"kept-awake","until":null}"#).ends_with("no longer\n"));
        assert!(!until.contains(['T', 'Z', '.']), "as the line's own time is written: {kept}");
        assert!(line(r#"{"service":"cloud","kind":"stopped","cause":"failed_wake","paused":true,"by":{"user":"anna"}}"#)
            .ends_with("stopped        failed wake, by anna, paused\n"));
    }
}
