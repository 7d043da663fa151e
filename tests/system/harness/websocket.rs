//! A WebSocket client (RFC 6455) on a raw connection.

use std::io::{self, Read};
use std::time::Duration;

use super::http::{Answer, Connection, Request, Target};

/// The key of the RFC's own example, and what must be answered to it.
const KEY: (&str, &str) = ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// Masks are there for proxies that cache what looks like HTTP; any will do.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    Close,
}

pub struct WebSocket {
    connection: Connection,
    /// The answer to the handshake.
    pub answer: Answer,
}

impl WebSocket {
    pub fn request(host: &str, path: &str) -> Request {
        Request::get(host, path)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", KEY.0)
    }

    /// # Errors
    /// The connection broke, or the handshake was answered with anything but the right 101.
    pub fn connect(target: &Target, host: &str, path: &str) -> io::Result<Self> {
        let mut connection = Connection::open(target)?;
        let answer = connection.exchange(&Self::request(host, path))?;
        let accepted = answer.header("sec-websocket-accept") == Some(KEY.1);
        if answer.status() != 101 || !accepted || !answer.interim.is_empty() {
            return Err(io::Error::other(format!("the handshake was answered with {:?}", answer.head)));
        }
        Ok(Self { connection, answer })
    }

    /// The longest silence that is put up with.
    ///
    /// # Errors
    /// The patience is zero.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.connection.set_patience(patience)
    }

    /// # Errors
    /// The connection broke.
    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.frame(0x81, text.as_bytes())
    }

    /// # Errors
    /// The connection broke.
    pub fn send_binary(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.frame(0x82, bytes)
    }

    /// # Errors
    /// The connection broke.
    pub fn ping(&mut self, payload: &[u8]) -> io::Result<()> {
        self.frame(0x89, payload)
    }

    /// Sends a close frame with code 1000.
    ///
    /// # Errors
    /// The connection broke.
    pub fn close(&mut self) -> io::Result<()> {
        self.frame(0x88, &1000_u16.to_be_bytes())
    }

    fn frame(&mut self, first: u8, payload: &[u8]) -> io::Result<()> {
        let mut frame = vec![first];
        match u16::try_from(payload.len()) {
            Ok(short @ 0..126) => frame.push(0x80 | short as u8),
            Ok(medium) => {
                frame.push(0x80 | 126);
                frame.extend(medium.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 127);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.into_iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.connection.send(&frame)
    }

    /// The next message; fragments are not put together.
    ///
    /// # Errors
    /// The connection broke, was silent for too long, or sent what a server may not.
    pub fn receive(&mut self) -> io::Result<Message> {
        let mut head = [0; 2];
        self.connection.read_exact(&mut head)?;
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.connection.read_exact(&mut length)?;
                u64::from(u16::from_be_bytes(length))
            }
            127 => {
                let mut length = [0; 8];
                self.connection.read_exact(&mut length)?;
                u64::from_be_bytes(length)
            }
            short @ 0..126 => u64::from(short),
            _ => return Err(io::Error::other("a server masked a frame")),
        };
        let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.connection.read_exact(&mut payload)?;
        match head[0] & 0x0F {
            1 => Ok(Message::Text(String::from_utf8(payload).map_err(io::Error::other)?)),
            2 => Ok(Message::Binary(payload)),
            8 => Ok(Message::Close),
            10 => Ok(Message::Pong(payload)),
            other => Err(io::Error::other(format!("opcode {other}"))),
        }
    }

    /// Sends `text` and panics unless it comes back.
    pub fn echo(&mut self, text: &str) {
        self.send(text).expect("an open WebSocket");
        assert_eq!(self.receive().expect("an open WebSocket"), Message::Text(text.to_owned()));
    }
}
