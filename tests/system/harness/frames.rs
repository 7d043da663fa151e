//! An h2c connection of which the test says every frame.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::http::Target;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The largest window there is.
pub const WIDE: u32 = (1 << 31) - 1;
/// What a window is where nobody says otherwise.
pub const USUAL: u32 = 65_535;

/// A client that has sent its preface.
pub struct Frames {
    stream: TcpStream,
    granted: usize,
}

impl Frames {
    /// Grants the other side windows of this size.
    ///
    /// # Errors
    /// The connection broke.
    pub fn new(stream: TcpStream, window: u32) -> io::Result<Self> {
        let mut frames = Self { stream, granted: USUAL as usize };
        frames.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        frames.send(SETTINGS, 0, 0, &[&[0, 4], &window.to_be_bytes()[..]].concat())?;
        if window > USUAL {
            frames.send(WINDOW_UPDATE, 0, 0, &(window - USUAL).to_be_bytes())?;
        }
        while frames.frame()?.0 != SETTINGS {}
        Ok(frames)
    }

    /// How much of an upload the other side takes at once.
    pub fn granted(&self) -> usize {
        self.granted
    }

    /// Reads a frame: its kind, flags, stream and length.
    fn frame(&mut self) -> io::Result<(u8, u8, u32, usize)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload)?;
        if kind == SETTINGS && flags == 0 {
            let window = payload.chunks_exact(6).find(|setting| setting[..2] == [0, 4]);
            if let Some(window) = window.and_then(|setting| setting[2..].try_into().ok()) {
                self.granted = u32::from_be_bytes(window) as usize;
            }
            self.send(SETTINGS, 1, 0, b"")?;
        }
        Ok((kind, flags, u32::from_be_bytes(id), payload.len()))
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?.to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        self.stream.write_all(&frame)
    }

    /// # Errors
    /// The connection broke.
    pub fn get(&mut self, stream: u32, host: &str, path: &str) -> io::Result<()> {
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &head("GET", host, path))
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// The connection broke.
    pub fn post(&mut self, stream: u32, host: &str, path: &str) -> io::Result<()> {
        self.send(HEADERS, END_HEADERS, stream, &head("POST", host, path))
    }

    /// Sends so many bytes of an upload, whatever window is granted: at most 16 KiB.
    ///
    /// # Errors
    /// The connection broke.
    pub fn data(&mut self, stream: u32, bytes: usize) -> io::Result<()> {
        self.send(DATA, 0, stream, &vec![b'x'; bytes])
    }

    /// Reads until this stream has ended: how many bytes of data there were.
    ///
    /// # Errors
    /// The connection broke.
    pub fn answer(&mut self, stream: u32) -> io::Result<usize> {
        let mut data = 0;
        loop {
            let (kind, flags, id, length) = self.frame()?;
            if id == stream {
                data += if kind == DATA { length } else { 0 };
                if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                    return Ok(data);
                }
            }
        }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

/// A head in HPACK's plainest form: literals that are never indexed.
fn head(method: &str, host: &str, path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [(":method", method), (":scheme", "http"), (":path", path), (":authority", host)] {
        block.push(0x10);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A TCP connection with as small a receive buffer as the kernel grants.
///
/// # Errors
/// Nobody listens there.
pub fn narrow(target: &Target) -> io::Result<TcpStream> {
    let address = target.tcp();
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_recv_buffer_size(4096)?;
    socket.connect(&address.into())?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}
