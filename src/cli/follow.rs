//! `wakedock logs` and `wakedock events`: what was said and what happened, and what goes on.

use std::io::ErrorKind;
use std::time::Duration;

use clap::Args;
use http_body_util::BodyExt;
use serde_json::{Map, Value as Json};
use tokio::time::sleep;

use crate::cli::Exit;
use crate::cli::client::{Client, ClientError, Event, segment};
use crate::cli::remote::{Remote, Surroundings};
use crate::cli::terminal::Terminal;
use crate::cli::view::calm::Calm;
use crate::cli::view::paint::{Ink, Palette, plain};
use crate::cli::view::table::places;
use crate::cli::view::words::{clock_time, span};
use crate::cli::wire::{List, parse_time};
use crate::clock;
use crate::domain::time::Timestamp;

/// Names of services are seldom longer.
const NAME: usize = 14;
const KIND: usize = 13;
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The service
    name: String,

    /// Stay, and print what comes
    #[arg(long, short)]
    follow: bool,

    /// How many of the last lines to begin with
    #[arg(long, short = 'n', value_name = "LINES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=10_000))]
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
    #[arg(long, short = 'n', value_name = "EVENTS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=1_000))]
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
    around.run(async {
        let follow = if arguments.follow { "&follow=true" } else { "" };
        let name = segment(&arguments.name);
        let path = format!("/api/v1/services/{name}/logs?tail={}{follow}", arguments.tail);
        let mut body = client.stream(&path, "text/plain", None).await?.into_body();
        let mut calm = around.terminal.is_live().then(Calm::default);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| ClientError::Broken {
                address: path.clone(),
                source: std::io::Error::other(error),
            })?;
            let Ok(bytes) = frame.into_data() else { continue };
            let written = match &mut calm {
                Some(calm) => around.terminal.write(&calm.filter(&bytes)),
                None => around.terminal.write(&bytes),
            };
            match written {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Exit::Fine),
                Err(error) => {
                    around.terminal.complain(&format!("standard output cannot be written: {error}"));
                    return Ok(Exit::Failed);
                }
            }
        }
        Ok(Exit::Fine)
    })
}

pub(super) fn events(arguments: &EventsOf, around: Surroundings<'_>) -> Exit {
    let client = match arguments.remote.client(&around) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    around.run(async { tell_events(arguments, &client, around.terminal).await })
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
        true => Some(client.events("/api/v1/events").await?),
        false => None,
    };
    let mut newest = 0;
    for event in past(client, name, arguments.tail).await? {
        newest = newest.max(event.get("id").and_then(Json::as_u64).unwrap_or(0));
        if terminal.write(lines.line(&event).as_bytes()).is_err() {
            return Ok(Exit::Fine);
        }
    }
    while let Some(events) = &mut live {
        match events.next().await {
            Ok(Some(event)) => {
                let Some(event) = read(&event).filter(|event| concerns(event, name)) else { continue };
                let id = event.get("id").and_then(Json::as_u64).unwrap_or(u64::MAX);
                if id <= newest {
                    continue;
                }
                newest = if id == u64::MAX { newest } else { id };
                if terminal.write(lines.line(&event).as_bytes()).is_err() {
                    return Ok(Exit::Fine);
                }
            }
            Err(error) if !error.passes() => return Err(error),
            ended => {
                if let Err(error) = ended {
                    terminal.note(&format!("{error}; trying again"));
                }
                live = Some(again(client, newest).await?);
            }
        }
    }
    Ok(Exit::Fine)
}

/// Connects until it works, and goes on after the last event that was seen.
async fn again(client: &Client, newest: u64) -> Result<crate::cli::client::Events, ClientError> {
    loop {
        sleep(PAUSE).await;
        match client.events_after("/api/v1/events", newest).await {
            Err(error) if error.passes() => {}
            other => return other,
        }
    }
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
    if limit == 0 {
        return Ok(Vec::new());
    }
    let path = match name {
        Some(name) => format!("/api/v1/services/{}/events?limit={limit}", segment(name)),
        None => format!("/api/v1/events?limit={limit}"),
    };
    let list: List<Map<String, Json>> = client.read(&path).await?;
    let mut events = list.items;
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
        let said: Vec<String> = event
            .iter()
            .filter(|(key, value)| {
                !matches!(key.as_str(), "id" | "at" | "service" | "kind") && !value.is_null()
            })
            .map(|(key, value)| said(key, value))
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

/// A value with its key: `took_ms: 2100` is `took 2.1 s`.
fn said(key: &str, value: &Json) -> String {
    if let (Some(name), Some(millis)) = (key.strip_suffix("_ms"), value.as_u64()) {
        return format!("{} {}", name.replace('_', " "), span(Duration::from_millis(millis)));
    }
    let value = match value {
        Json::String(text) => plain(text),
        other => plain(&other.to_string()),
    };
    format!("{} {value}", plain(key).replace('_', " "))
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(places(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let event = r#"{"id":3,"at":"nonsense","service":"cloud","kind":"wake-ended","outcome":"ready",
                        "took_ms":2130,"by":null,"engine":"\u001b[2J"}"#;
        let event: Map<String, Json> = serde_json::from_str(event).unwrap();
        let lines = Lines { json: false, palette: Palette { colour: false } };
        let line = lines.line(&event);
        assert!(line.starts_with("–  cloud           wake-ended     "), "{line:?}");
        assert!(line.contains("outcome ready") && line.contains("took 2.1 s"), "{line:?}");
        assert!(!line.contains('\u{1b}') && line.ends_with('\n'), "{line:?}");
        assert!(concerns(&event, Some("cloud")) && !concerns(&event, Some("wiki")));
    }
}
