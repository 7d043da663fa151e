//! An HTTP/2 client that sends whatever frames a test wants, right or wrong.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::rig::{Wire, soon};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) const PROTOCOL_ERROR: u32 = 1;
pub(super) const CANCEL: u32 = 8;
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;

#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The reason of a RST_STREAM or GOAWAY.
    pub(super) fn reason(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    pub(super) fn is_last(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// Whether these are the fields of an answer with status 200.
    pub(super) fn is_ok(&self) -> bool {
        self.begins_with(0x88)
    }

    /// Whether these are the fields of an answer with status 400.
    pub(super) fn is_bad_request(&self) -> bool {
        self.begins_with(0x8c)
    }

    /// Whether these fields begin with this entry of HPACK's static table, which has the usual
    /// statuses, after an update of the table's size.
    fn begins_with(&self, entry: u8) -> bool {
        let fields = &self.payload[usize::from(self.payload[0] & 0xe0 == 0x20)..];
        self.kind == HEADERS && fields[0] == entry
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as HPACK has them in its plainest form: literals that are never indexed.
pub(super) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0x10);
        for text in [name, value] {
            length(text.len(), &mut block);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541, 5.1).
fn length(mut number: usize, into: &mut Vec<u8>) {
    if number < 127 {
        into.push(number as u8);
        return;
    }
    into.push(127);
    number -= 127;
    while number >= 128 {
        into.push((number % 128 + 128) as u8);
        number /= 128;
    }
    into.push(number as u8);
}

pub(super) fn get(path: &str) -> Vec<u8> {
    ask("GET", path)
}

pub(super) fn ask(method: &str, path: &str) -> Vec<u8> {
    fields(&[(":method", method), (":scheme", "http"), (":path", path), (":authority", "app.test")])
}

/// A connection to the data plane.
pub(super) struct Client {
    wire: Wire<TcpStream>,
}

impl Client {
    /// Sends the preface with these settings and takes those of the other side.
    pub(super) async fn new(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { wire: Wire::new(stream) };
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(key, value)| [&key.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        let settings = frame(SETTINGS, 0, 0, &payload);
        client.wire.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat()).await;
        client.await_frame(|frame| frame.kind == SETTINGS && frame.flags == 0).await;
        client.send(SETTINGS, 1, 0, b"").await;
        client
    }

    /// On a connection whose beginning was sent already.
    pub(super) fn over(wire: Wire<TcpStream>) -> Self {
        Self { wire }
    }

    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.wire.send(frame(kind, flags, stream, payload)).await;
    }

    /// Asks for this without a body.
    pub(super) async fn get(&mut self, stream: u32, path: &str) {
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &get(path)).await;
    }

    /// Sends what may not arrive whole because the other side has left. True where it did.
    pub(super) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        use tokio::io::AsyncWriteExt;
        soon(self.wire.stream.write_all(bytes)).await.is_ok()
    }

    /// The next frame. `None`: the connection has ended.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        let head = self.wire.up_to(9).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        let payload = self.wire.up_to(length).await?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The first frame that is like this; what comes before it does not matter.
    pub(super) async fn await_frame(&mut self, is_it: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.frame().await.expect("the connection has ended");
            assert!(frame.kind != GOAWAY || is_it(&frame), "{}", String::from_utf8_lossy(&frame.payload));
            if is_it(&frame) {
                return frame;
            }
        }
    }

    /// The status is 200, and everything of the answer came.
    pub(super) async fn is_answered(&mut self, stream: u32) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let frame = self.await_frame(|frame| frame.stream == stream).await;
            match frame.kind {
                HEADERS if body.is_empty() => assert!(frame.is_ok(), "{frame:?}"),
                HEADERS => {}
                DATA => body.extend_from_slice(&frame.payload),
                _ => panic!("{frame:?}"),
            }
            if frame.is_last() {
                return body;
            }
        }
    }

    /// Waits for the end of the connection: the reason that was given, if any.
    pub(super) async fn is_left(&mut self) -> Option<u32> {
        let mut reason = None;
        while let Some(frame) = self.frame().await {
            if frame.kind == GOAWAY {
                reason = Some(frame.reason());
            }
        }
        reason
    }
}
