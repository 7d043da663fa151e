//! What the fuzz targets reach of what is read from the engine. No part of the interface: it
//! follows the code behind it.

use crate::engine::elements::Elements;
use crate::engine::events::{self, Lines};
use crate::engine::inspect::Inspected;
use crate::engine::list;
use crate::engine::logs::LogReader;
use crate::ports::{Container, ContainerEvent, Listed, LogLine};

/// The events of a stream that comes in pieces; `None` where it is given up.
#[must_use]
pub fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<ContainerEvent>> {
    let mut lines = Lines::default();
    let mut found = Vec::new();
    for piece in pieces {
        lines.push(piece).ok()?;
        while let Some(line) = lines.next() {
            found.extend(events::parse(&line));
        }
    }
    Some(found)
}

/// The containers of a list that comes in pieces.
#[must_use]
pub fn list<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Listed> {
    let mut elements = Elements::default();
    let mut found = Vec::new();
    for piece in pieces {
        elements.push(piece, |element| found.extend(list::parse(element)));
    }
    found
}

/// The last lines of a log that comes in pieces.
#[must_use]
pub fn log<'a>(tty: bool, keep: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut reader = LogReader::new(tty, keep);
    for piece in pieces {
        reader.push(piece);
    }
    reader.finish()
}

/// The lines of a log that comes in pieces, each after its date.
#[must_use]
pub fn dated_log<'a>(tty: bool, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<LogLine> {
    let mut reader = LogReader::dated(tty);
    for piece in pieces {
        reader.push(piece);
    }
    reader.finish_dated()
}

/// An answer to `inspect`.
#[must_use]
pub fn inspected(answer: &[u8]) -> Option<Container> {
    serde_json::from_slice(answer).ok().map(Inspected::into_container)
}
