//! One message after the other on a client's connection: where each begins and ends, and the first
//! that is none.

use crate::proxy::grammar::chunks::ChunkReader;
use crate::proxy::grammar::head::{Framing, HeadReader};
use crate::proxy::grammar::{Bounds, Violation};

/// How far a connection has come.
#[derive(Debug)]
enum At {
    Head(HeadReader),
    Length(u64),
    /// Apart: most messages have none, and idle connections hold no room for it.
    Chunks(Box<ChunkReader>),
}

/// What stands at the beginning of the bytes that have come.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Step {
    /// So many bytes of this message are in order.
    Pass(usize),
    /// So many, and with them the head of a message that asks to leave HTTP is over, and its body.
    Upgrade(usize),
    /// A part of a head: show it again when there is more.
    Part,
    /// What begins here is no request.
    NoRequest(Violation),
    /// After so many bytes, the body of a request is broken.
    Broken(usize, Violation),
}

#[derive(Debug)]
pub(in crate::proxy) struct Requests {
    at: At,
    bounds: Bounds,
    upgrade: bool,
    heads: u32,
}

impl Requests {
    pub(in crate::proxy) fn new(bounds: Bounds) -> Self {
        Self { at: At::Head(HeadReader::new()), bounds, upgrade: false, heads: 0 }
    }

    /// How many heads have passed.
    pub(in crate::proxy) fn heads(&self) -> u32 {
        self.heads
    }

    /// Whether the body of a request has begun and not ended.
    pub(in crate::proxy) fn in_body(&self) -> bool {
        !matches!(self.at, At::Head(_))
    }

    /// Judges the beginning of `bytes`, which are not empty. What was passed is not shown again.
    pub(in crate::proxy) fn step(&mut self, bytes: &[u8]) -> Step {
        match &mut self.at {
            At::Head(reader) => match reader.read(bytes, &self.bounds) {
                Err(violation) => Step::NoRequest(violation),
                Ok(None) => Step::Part,
                Ok(Some(head)) => {
                    self.heads = self.heads.wrapping_add(1);
                    self.upgrade = head.upgrade;
                    match head.framing {
                        Framing::Length(0) => self.over(head.end),
                        Framing::Length(length) => {
                            self.at = At::Length(length);
                            Step::Pass(head.end)
                        }
                        Framing::Chunked => {
                            self.at = At::Chunks(Box::new(ChunkReader::new()));
                            Step::Pass(head.end)
                        }
                    }
                }
            },
            At::Length(left) => {
                let n = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= n as u64;
                if *left == 0 { self.over(n) } else { Step::Pass(n) }
            }
            At::Chunks(reader) => match reader.read(bytes, &self.bounds) {
                Err((n, violation)) => Step::Broken(n, violation),
                Ok((n, true)) => self.over(n),
                Ok((n, false)) => Step::Pass(n),
            },
        }
    }

    /// A message ends after these bytes.
    fn over(&mut self, n: usize) -> Step {
        self.at = At::Head(HeadReader::new());
        if self.upgrade { Step::Upgrade(n) } else { Step::Pass(n) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { head: 300, fields: 8, target: 60 };

    /// What a connection made of these bytes comes to, shown in these pieces: the bytes that pass,
    /// and what ends it.
    fn verdict(bytes: &[u8], mut cuts: Vec<usize>) -> (Vec<u8>, Option<Violation>) {
        let mut requests = Requests::new(BOUNDS);
        let mut passed = Vec::new();
        let mut held = Vec::new();
        cuts.retain(|cut| *cut < bytes.len());
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let mut at = 0;
        for cut in cuts {
            held.extend_from_slice(&bytes[at..cut]);
            at = cut;
            while !held.is_empty() {
                match requests.step(&held) {
                    Step::Pass(n) | Step::Upgrade(n) => passed.extend(held.drain(..n)),
                    Step::Part => break,
                    Step::NoRequest(violation) => return (passed, Some(violation)),
                    Step::Broken(n, violation) => {
                        passed.extend(held.drain(..n));
                        return (passed, Some(violation));
                    }
                }
            }
        }
        (passed, None)
    }

    /// A message, whole or with something odd in it.
    fn message() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            4 => Just("GET / HTTP/1.1\r\n"),
            4 => Just("POST /a?b=%20 HTTP/1.1\r\n"),
            1 => Just("\r\nGET http://a/ HTTP/1.0\r\n"),
            1 => Just("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n"),
            1 => Just("GET / HTTP/2.0\r\n"),
            1 => Just("GET * HTTP/1.1\r\n"),
            1 => Just("GE(T / HTTP/1.1\r\n"),
        ];
        let field = prop_oneof![
            6 => Just("X-Some: thing\r\n"),
            1 => Just("X-Some: thing\n"),
            1 => Just("Host: a\r\n"),
            1 => Just("X : 1\r\n"),
            1 => Just(" folded\r\n"),
            1 => Just("X: \u{1}\r\n"),
            1 => Just("X: a\rb\r\n"),
            1 => Just("X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"),
            1 => Just("Upgrade: x\r\n"),
            1 => Just("Content-Length: 3\r\n"),
            1 => Just("Transfer-Encoding: chunked\r\n"),
        ];
        let body = prop_oneof![
            4 => Just(("", "")),
            3 => Just(("Content-Length: 3\r\n", "abc")),
            3 => Just(("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n")),
            2 => Just(("Transfer-Encoding: chunked\r\n", "3;a=\"b\"\r\nabc\r\n0\r\nX: 1\r\n\r\n")),
            1 => Just(("Transfer-Encoding: chunked\r\n", "3 \r\nabc\r\n0\r\n\r\n")),
            1 => Just(("Transfer-Encoding: chunked\r\n", "3\r\nabcd\r\n0\r\n\r\n")),
        ];
        (line, prop::collection::vec(field, 0..4), body).prop_map(|(line, fields, (about, body))| {
            [line, "Host: a\r\n", &fields.concat(), about, "\r\n", body].concat().into_bytes()
        })
    }

    proptest! {
        /// What matters is what comes, not when. (A line without an end is judged when it ends.)
        #[test]
        fn any_split_of_the_same_bytes_has_the_same_verdict(
            messages in prop::collection::vec(message(), 1..4),
            cuts in prop::collection::vec(0_usize..600, 0..12),
        ) {
            let bytes = messages.concat();
            let whole = verdict(&bytes, Vec::new());
            prop_assert_eq!(&verdict(&bytes, cuts), &whole);
            prop_assert_eq!(&verdict(&bytes, (0..bytes.len()).collect()), &whole);
        }

        /// hyper's parser reads what passes, and sees its end where we do.
        #[test]
        fn heads_that_pass_are_read_by_httparse_in_the_same_way(bytes in message()) {
            if let Ok(Some(head)) = HeadReader::new().read(&bytes, &BOUNDS) {
                let mut fields = [httparse::EMPTY_HEADER; 16];
                let mut request = httparse::Request::new(&mut fields);
                prop_assert_eq!(request.parse(&bytes), Ok(httparse::Status::Complete(head.end)));
                let length = request.headers.iter().find(|field| field.name == "Content-Length");
                let expected = length.map_or(0, |_| 3);
                prop_assert!(head.framing == Framing::Chunked || head.framing == Framing::Length(expected));
            }
        }

        /// Every target that passes is one for hyper, and stays what it was.
        #[test]
        fn targets_that_pass_are_read_by_http_in_the_same_way(
            target in prop_oneof![
                "/[ -~]{0,20}",
                "/\\PC{0,20}",
                "https?://[a-zA-Z0-9.:_\\[\\]-]{1,12}(/[ -~]{0,8}|[?][ -~]{0,8})?",
                prop::collection::vec(any::<u8>(), 1..8).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            ],
        ) {
            if crate::proxy::grammar::target::check(b"GET", target.as_bytes()).is_ok() {
                let uri: http::Uri = target.parse().unwrap();
                let kept = uri.path_and_query().unwrap().as_str();
                if target.starts_with('/') {
                    prop_assert_eq!(kept, target);
                } else {
                    prop_assert!(target.ends_with(kept.trim_start_matches('/')), "{} of {}", kept, target);
                }
            }
        }
    }

    #[test]
    fn nothing_is_held_between_messages() {
        assert!(std::mem::size_of::<Requests>() <= 128, "{}", std::mem::size_of::<Requests>());
    }
}
