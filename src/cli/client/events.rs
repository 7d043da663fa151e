//! Server-sent events, as they come.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{Client, ClientError};

/// A comment comes every 15 s; after three that did not, the connection is dead.
const SILENCE: Duration = Duration::from_secs(50);
/// An event is a line of JSON.
const LONGEST_EVENT: usize = 1 << 20;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cli) struct Event {
    pub(in crate::cli) id: Option<String>,
    pub(in crate::cli) kind: String,
    pub(in crate::cli) data: String,
}

/// A stream of events.
#[derive(Debug)]
pub(in crate::cli) struct Events {
    body: Incoming,
    parser: Parser,
    address: String,
}

impl Client {
    /// Opens a stream of events, from now on.
    pub(in crate::cli) async fn events(&self, path: &str) -> Result<Events, ClientError> {
        self.open_events(path, None).await
    }

    /// Opens a stream of events that goes on after one.
    pub(in crate::cli) async fn events_after(&self, path: &str, last: u64) -> Result<Events, ClientError> {
        self.open_events(path, Some(last)).await
    }

    async fn open_events(&self, path: &str, last: Option<u64>) -> Result<Events, ClientError> {
        let answer = self.stream(path, "text/event-stream", last).await?;
        let address = self.target.to_string();
        Ok(Events { body: answer.into_body(), parser: Parser::default(), address })
    }
}

impl Events {
    /// The next one; `None` when the other side ended the stream, whatever its last word was.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.parser.ready.pop_front() {
                return Ok(Some(event).filter(|event| event.kind != "end"));
            }
            let frame = match timeout(SILENCE, self.body.frame()).await {
                Ok(Some(frame)) => frame.map_err(|error| self.broken(io::Error::other(error)))?,
                Ok(None) => return Ok(None),
                Err(_) => {
                    let address = self.address.clone();
                    return Err(ClientError::TimedOut { address, patience: SILENCE });
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            if !self.parser.feed(&data) {
                return Err(self.broken(io::Error::other("an event does not end")));
            }
        }
    }

    fn broken(&self, source: io::Error) -> ClientError {
        ClientError::Broken { address: self.address.clone(), source }
    }
}

/// Lines into events.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    event: Event,
    ready: VecDeque<Event>,
}

impl Parser {
    /// `false`: an event is too long to be one.
    fn feed(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            match byte {
                b'\n' => self.end_of_line(),
                b'\r' => {}
                _ if self.line.len() + self.event.data.len() >= LONGEST_EVENT => return false,
                _ => self.line.push(*byte),
            }
        }
        true
    }

    fn end_of_line(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if !event.data.is_empty() {
                self.ready.push_back(event);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.event.id = Some(value.to_owned()),
            "event" => self.event.kind = value.to_owned(),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments and what is not known.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_in_whatever_pieces_they_come() {
        let text =
            ": hello\n\nid: 7\nevent: phase\ndata: {\"a\":1}\n\ndata:x\r\ndata: y\r\n\r\n: still here\n\n";
        for size in [1, 3, text.len()] {
            let mut parser = Parser::default();
            for piece in text.as_bytes().chunks(size) {
                assert!(parser.feed(piece));
            }
            let first = Event { id: Some("7".into()), kind: "phase".into(), data: "{\"a\":1}".into() };
            let second = Event { data: "x\ny".into(), ..Event::default() };
            assert_eq!(Vec::from(parser.ready), [first, second]);
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = Parser::default();
        assert!(!parser.feed(&vec![b'a'; LONGEST_EVENT + 1]));
    }
}
