//! The last lines that a container wrote.
//!
//! Read without bollard's decoder: that one keeps a line of a terminal's log whole, however long,
//! and takes a first byte below 3, which any program may print, for the head of a frame.

use std::collections::VecDeque;

use futures_util::stream::{self, Stream};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::clock;
use crate::engine::api::{Api, QUESTION};
use crate::engine::failure::{Failure, within};
use crate::engine::inspect::Inspected;
use crate::engine::{text, transport};
use crate::ports::{ContainerId, LogLine, LogStart, ReadError};

/// Bytes kept of one line.
const LONGEST_LINE: usize = 2048;

/// What Docker writes before a line where it is asked when that was written, with its space: thirty
/// letters in UTC, a few more with an offset.
const LONGEST_DATE: usize = 40;

/// Lines kept of a log, whatever was asked for.
const MOST_LINES: usize = 500;

/// The last `lines` lines, standard output and error together.
pub(super) async fn last(api: &Api, id: &ContainerId, lines: usize) -> Result<Vec<String>, Failure> {
    let lines = lines.min(MOST_LINES);
    within(QUESTION, async {
        let inspected: Inspected = api.get(&format!("/containers/{}/json", id.0)).await?;
        let path = format!("/containers/{}/logs?stdout=1&stderr=1&tail={lines}", id.0);
        let mut body = api.open(&path).await?;
        let mut reader = LogReader::new(inspected.tty(), lines);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::Away(transport::into_io(error)))?;
            if let Some(data) = frame.data_ref() {
                reader.push(data);
            }
        }
        Ok(reader.finish())
    })
    .await
}

/// The lines from one on, and each that comes after them, until the container ends.
pub(super) fn follow<'a>(
    api: &'a Api,
    id: &'a ContainerId,
    from: LogStart,
) -> impl Stream<Item = Result<LogLine, ReadError>> + Send + 'a {
    stream::unfold(Some(Following::Connecting { api, id, from }), |following| async move {
        let mut following = following?;
        match following.next().await {
            Ok(Some(line)) => Some((Ok(line), Some(following))),
            Ok(None) => None,
            Err(failure) => Some((Err(failure.into()), None)),
        }
    })
}

enum Following<'a> {
    Connecting {
        api: &'a Api,
        id: &'a ContainerId,
        from: LogStart,
    },
    Reading {
        body: Incoming,
        reader: LogReader,
    },
    /// What was left when the log ended.
    Ended(VecDeque<Line>),
}

impl Following<'_> {
    async fn next(&mut self) -> Result<Option<LogLine>, Failure> {
        loop {
            match self {
                Self::Connecting { api, id, from } => {
                    let inspected: Inspected = api.get(&format!("/containers/{}/json", id.0)).await?;
                    let which = match from {
                        LogStart::Last(lines) => format!("tail={}", (*lines).min(MOST_LINES)),
                        // All of them: they go through, and are kept nowhere.
                        LogStart::After(nanos) => {
                            let first = nanos.saturating_add(1);
                            let (seconds, rest) = (first / 1_000_000_000, first % 1_000_000_000);
                            format!("tail=all&since={seconds}.{rest:09}")
                        }
                    };
                    let path =
                        format!("/containers/{}/logs?stdout=1&stderr=1&follow=1&timestamps=1&{which}", id.0);
                    let body = api.open(&path).await?;
                    // Taken out after each frame: nothing that came is dropped.
                    *self = Self::Reading { body, reader: LogReader::dated(inspected.tty()) };
                }
                Self::Reading { body, reader } => {
                    if let Some(line) = reader.lines.pop_front() {
                        return Ok(Some(line.after_its_date()));
                    }
                    // Silence is normal: a container may write nothing for days.
                    match body.frame().await {
                        None => {
                            reader.end_all();
                            *self = Self::Ended(std::mem::take(&mut reader.lines));
                        }
                        Some(Err(error)) => return Err(Failure::Away(transport::into_io(error))),
                        Some(Ok(frame)) => reader.push(frame.data_ref().map_or(&[], |data| data)),
                    }
                }
                Self::Ended(lines) => return Ok(lines.pop_front().map(|line| line.after_its_date())),
            }
        }
    }
}

/// Takes a log apart as it comes in. What it holds is bounded.
pub(super) struct LogReader {
    /// Where in a frame the next byte is; a terminal's log has no frames.
    at: Option<At>,
    /// Standard output and standard error: a line of one may be cut by a line of the other.
    open: [Line; 2],
    lines: VecDeque<Line>,
    keep: usize,
    /// Bytes kept of one line. One more than is shown tells that there was more.
    longest: usize,
}

enum At {
    Head { bytes: [u8; 8], filled: usize },
    Payload { stream: usize, left: usize },
}

const HEAD: At = At::Head { bytes: [0; 8], filled: 0 };

#[derive(Default)]
struct Line(Vec<u8>);

impl Line {
    fn extend(&mut self, bytes: &[u8], longest: usize) {
        let room = longest.saturating_sub(self.0.len());
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn text(&self) -> String {
        text::clean(&self.0, LONGEST_LINE)
    }

    /// A line that Docker was asked to date. One that is not was written now.
    fn after_its_date(&self) -> LogLine {
        let space = self.0.iter().take(LONGEST_DATE).position(|byte| *byte == b' ');
        let (date, text) = self.0.split_at(space.map_or(0, |space| space + 1));
        match nanoseconds(date) {
            Some(written) => LogLine { written, text: text::clean(text, LONGEST_LINE) },
            None => LogLine {
                written: u64::try_from(clock::wall().as_millis()).unwrap_or(0).saturating_mul(1_000_000),
                text: self.text(),
            },
        }
    }
}

/// Reads `2026-11-23T04:00:00.123456789Z`.
fn nanoseconds(date: &[u8]) -> Option<u64> {
    let date: jiff::Timestamp = std::str::from_utf8(date).ok()?.trim_end().parse().ok()?;
    u64::try_from(date.as_nanosecond()).ok()
}

impl LogReader {
    pub(super) fn new(tty: bool, keep: usize) -> Self {
        let longest = LONGEST_LINE + 1;
        Self { at: (!tty).then_some(HEAD), open: Default::default(), lines: VecDeque::new(), keep, longest }
    }

    /// Of a log whose lines begin with a date, every line of which is taken out as it comes.
    pub(super) fn dated(tty: bool) -> Self {
        Self { longest: LONGEST_DATE + LONGEST_LINE + 1, ..Self::new(tty, usize::MAX) }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.at {
                None => {
                    self.write(0, bytes);
                    return;
                }
                Some(At::Head { bytes: head, filled }) => {
                    let (taken, rest) = bytes.split_at(bytes.len().min(head.len() - *filled));
                    head[*filled..*filled + taken.len()].copy_from_slice(taken);
                    *filled += taken.len();
                    bytes = rest;
                    if *filled == head.len() {
                        let [kind, _, _, _, length @ ..] = *head;
                        let left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                        self.at = Some(At::Payload { stream: usize::from(kind == 2), left });
                    }
                }
                Some(At::Payload { stream, left }) => {
                    let (taken, rest) = bytes.split_at(bytes.len().min(*left));
                    *left -= taken.len();
                    bytes = rest;
                    let (stream, ended) = (*stream, *left == 0);
                    if ended {
                        self.at = Some(HEAD);
                    }
                    self.write(stream, taken);
                }
            }
        }
    }

    fn write(&mut self, stream: usize, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (piece, ended) = match piece {
                [line @ .., b'\n'] => (line, true),
                open => (open, false),
            };
            self.open[stream].extend(piece, self.longest);
            if ended {
                self.end(stream);
            }
        }
    }

    fn end(&mut self, stream: usize) {
        self.lines.push_back(std::mem::take(&mut self.open[stream]));
        if self.lines.len() > self.keep {
            self.lines.pop_front();
        }
    }

    /// What has no end yet is as long as it is.
    fn end_all(&mut self) {
        for stream in 0..self.open.len() {
            if !self.open[stream].0.is_empty() {
                self.end(stream);
            }
        }
    }

    /// The lines so far, with their dates.
    pub(super) fn finish_dated(mut self) -> Vec<LogLine> {
        self.end_all();
        self.lines.iter().map(Line::after_its_date).collect()
    }

    pub(super) fn finish(mut self) -> Vec<String> {
        self.end_all();
        self.lines.iter().map(Line::text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![stream, 0, 0, 0];
        frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn read(tty: bool, keep: usize, bytes: &[u8], step: usize) -> Vec<String> {
        let mut reader = LogReader::new(tty, keep);
        bytes.chunks(step).for_each(|chunk| reader.push(chunk));
        reader.finish()
    }

    #[test]
    fn frames_are_taken_apart_wherever_they_are_cut() {
        let log = [frame(1, b"one\ntw"), frame(2, b"oops\n"), frame(1, b"o\n"), frame(2, b"end")].concat();
        for step in [1, 3, 8, 1000] {
            assert_eq!(read(false, 10, &log, step), ["one", "oops", "two", "end"], "step {step}");
        }
    }

    #[test]
    fn a_terminal_has_no_frames_whatever_it_prints() {
        let log = b"\x01\x00\x00\x00\xff\xff\xff\xffline\r\n\x1b[1mbold\x1b[0m\r\n";
        assert_eq!(read(true, 10, log, 5), ["\u{fffd}\u{fffd}\u{fffd}\u{fffd}line", "bold"]);
    }

    #[test]
    fn keeps_the_last_lines() {
        assert_eq!(read(true, 2, b"1\n2\n3\n4", 100), ["3", "4"]);
        assert_eq!(read(true, 0, b"1\n2", 100), [""; 0]);
    }

    #[test]
    fn a_line_is_told_from_its_date() {
        let dated = |bytes: &[u8]| {
            let mut reader = LogReader::dated(true);
            reader.push(bytes);
            let line = reader.finish_dated().remove(0);
            (line.written, line.text)
        };
        assert_eq!(dated(b"1970-01-01T00:00:01.000000002Z two words\n"), (1_000_000_002, "two words".into()));
        assert_eq!(dated(b"1970-01-01T01:00:01+01:00 \n"), (1_000_000_000, String::new()), "Podman's way");
        let (written, text) = dated(b"two words\n");
        assert!(written > 1_000_000_000_000_000_000 && text == "two words", "{written} {text}");
        let long = [b"1970-01-01T00:00:01.000000002Z ".as_slice(), &[b'x'; 3000]].concat();
        assert_eq!(dated(&long).1.chars().count(), LONGEST_LINE + 1, "as long as any other, and the dots");
    }

    #[test]
    fn a_line_of_ten_megabytes_is_not_kept() {
        let mut reader = LogReader::new(true, 10);
        for _ in 0..10 {
            reader.push(&vec![b'x'; 1024 * 1024]);
        }
        assert!(reader.open[0].0.capacity() < 2 * 1024 * 1024);
        assert_eq!(reader.open[0].0.len(), LONGEST_LINE + 1);
        let lines = reader.finish();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].chars().count(), LONGEST_LINE + 1, "the dots that say there was more");
    }

    #[test]
    fn a_frame_that_promises_too_much_does_no_harm() {
        let mut log = vec![1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        log.extend(b"all there is");
        assert_eq!(read(false, 10, &log, 4), ["all there is"]);
    }
}
