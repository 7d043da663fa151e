//! What the fuzz targets reach of what is read from the engine. No part of the interface: it
//! follows the code behind it.

use crate::engine::events::{self, Lines};
use crate::engine::inspect::Inspected;
use crate::engine::logs::LogReader;
use crate::ports::{Container, ContainerEvent};

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

/// The last lines of a log that comes in pieces.
#[must_use]
pub fn log<'a>(tty: bool, keep: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut reader = LogReader::new(tty, keep);
    for piece in pieces {
        reader.push(piece);
    }
    reader.finish()
}

/// An answer to `inspect`.
#[must_use]
pub fn inspected(answer: &[u8]) -> Option<Container> {
    serde_json::from_slice(answer).ok().map(Inspected::into_container)
}
