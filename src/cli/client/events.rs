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

/// One event; its number stands in its data too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cli) struct Event {
    pub(in crate::cli) data: String,
    pub(in crate::cli) kind: String,
    /// Where a client goes on that has seen it.
    pub(in crate::cli) place: Option<String>,
}

/// A stream of events.
#[derive(Debug)]
pub(in crate::cli) struct Events {
    body: Incoming,
    parser: Parser,
    address: String,
}

impl Client {
    /// Opens a stream of events, from now on or from a place on.
    pub(in crate::cli) async fn events(
        &self,
        path: &str,
        place: Option<&str>,
    ) -> Result<Events, ClientError> {
        let answer = self.stream(path, "text/event-stream", place).await?;
        let address = self.target.to_string();
        Ok(Events { body: answer.into_body(), parser: Parser::default(), address })
    }
}

impl Events {
    /// Where a client goes on that has seen everything up to here.
    pub(in crate::cli) fn place(&self) -> Option<&str> {
        self.parser.place.as_deref()
    }

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
    /// Of the event that is being read; one without `data` is none.
    data: Option<String>,
    kind: String,
    id: Option<String>,
    /// After the last one that was read to its end.
    place: Option<String>,
    ready: VecDeque<Event>,
}

impl Parser {
    /// `false`: an event is too long to be one.
    fn feed(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            match byte {
                b'\n' => self.end_of_line(),
                b'\r' => {}
                _ if self.line.len() + self.data.as_ref().map_or(0, String::len) >= LONGEST_EVENT => {
                    return false;
                }
                _ => self.line.push(*byte),
            }
        }
        true
    }

    fn end_of_line(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if line.is_empty() {
            self.place = self.id.take().or_else(|| self.place.take());
            let kind = std::mem::take(&mut self.kind);
            if let Some(data) = self.data.take() {
                self.ready.push_back(Event { data, kind, place: self.place.clone() });
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "event" => self.kind = value.to_owned(),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
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
        let text = "id: 6\n\n: hello\n\nid: 7\nevent: phase\ndata: {\"a\":1}\n\ndata:x\r\ndata: y\r\n\r\n\
                    : still here\n\ndata:\n\n";
        for size in [1, 3, text.len()] {
            let mut parser = Parser::default();
            for piece in text.as_bytes().chunks(size) {
                assert!(parser.feed(piece));
            }
            let data: Vec<&str> = parser.ready.iter().map(|event| event.data.as_str()).collect();
            assert_eq!(data, ["{\"a\":1}", "x\ny", ""]);
            assert!(parser.ready.iter().all(|event| event.place.as_deref() == Some("7")));
        }
    }

    #[test]
    fn a_place_may_come_before_anything_happens() {
        let mut parser = Parser::default();
        assert!(parser.feed(b"retry: 2000\n\nid: 41\n\n"));
        assert_eq!((parser.place.as_deref(), parser.ready.len()), (Some("41"), 0));
        // Half an event is none, and is asked for again.
        assert!(parser.feed(b"id: 42\ndata: half"));
        assert_eq!((parser.place.as_deref(), parser.ready.len()), (Some("41"), 0));
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = Parser::default();
        assert!(!parser.feed(&vec![b'a'; LONGEST_EVENT + 1]));
    }
}
