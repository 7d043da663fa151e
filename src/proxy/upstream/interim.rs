//! The upstream's socket under hyper's client, which skips interim answers (1xx) for as long as
//! they come: here they are counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::clock;
use crate::domain::time::Moment;
use crate::proxy::sips;

/// Interim answers to one request. An application sends one or two; one that reports its progress
/// (102) for an hour sends some hundreds.
const MOST: u16 = 1000;

/// Where the answer is that is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// So many bytes into the status line.
    Status(u8),
    /// In the head of an interim answer: whether nothing of a line has come yet.
    Interim { empty: bool },
    /// The final answer has begun: the rest is hyper's business.
    Final,
}

/// Counts the interim answers to one request.
#[derive(Debug)]
struct Interims {
    at: At,
    count: u16,
}

impl Interims {
    /// Follows what is read. False where there are too many.
    fn follow(&mut self, bytes: &[u8]) -> bool {
        const LINE: &[u8; 10] = b"HTTP/1.x 1";
        const DIGIT: u8 = 9;
        for byte in bytes {
            self.at = match self.at {
                At::Final => break,
                // hyper skips empty lines before a head, and lets lines end without a CR.
                At::Status(0) if matches!(byte, b'\r' | b'\n') => At::Status(0),
                At::Status(n) => match (n, LINE[usize::from(n)]) {
                    (_, form) if form != *byte && form != b'x' => At::Final,
                    (DIGIT, _) => {
                        self.count += 1;
                        At::Interim { empty: false }
                    }
                    _ => At::Status(n + 1),
                },
                At::Interim { empty } => match byte {
                    b'\n' if empty => At::Status(0),
                    b'\n' => At::Interim { empty: true },
                    b'\r' => At::Interim { empty },
                    _ => At::Interim { empty: false },
                },
            };
        }
        self.count <= MOST
    }
}

/// For the fuzz target: how many interim answers these pieces begin with, if not too many.
pub(in crate::proxy) fn count<'a>(mut pieces: impl Iterator<Item = &'a [u8]>) -> Option<u16> {
    let mut interims = Interims { at: At::Status(0), count: 0 };
    pieces.all(|piece| interims.follow(piece)).then_some(interims.count)
}

/// Since when an upstream has taken nothing of what there is to write; zero where it takes what
/// comes. One thread sees it; atomic only because hyper wants a socket that could be sent.
#[derive(Debug, Clone, Default)]
pub(in crate::proxy) struct Taker(Arc<AtomicI64>);

impl Taker {
    pub(in crate::proxy) fn is_blocked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    pub(in crate::proxy) fn blocked_since(&self) -> Option<Moment> {
        let micros = self.0.load(Ordering::Relaxed);
        (micros != 0).then(|| Moment::from_micros(micros))
    }

    fn after_write<T>(&self, written: &Poll<T>) {
        if written.is_ready() {
            self.0.store(0, Ordering::Relaxed);
        } else if !self.is_blocked() {
            self.0.store(clock::now().as_micros().max(1), Ordering::Relaxed);
        }
    }
}

/// The socket of an upstream connection.
#[derive(Debug)]
pub(in crate::proxy) struct UpstreamSocket {
    socket: TcpStream,
    interims: Interims,
    taker: Taker,
}

impl UpstreamSocket {
    pub(in crate::proxy) fn new(socket: TcpStream, taker: Taker) -> Self {
        Self { socket, interims: Interims { at: At::Final, count: 0 }, taker }
    }

    /// The socket itself, once the connection has left HTTP.
    pub(in crate::proxy) fn into_inner(self) -> TcpStream {
        self.socket
    }

    /// A write into silence is the beginning of a request.
    fn wrote(&mut self) {
        if self.interims.at == At::Final {
            self.interims = Interims { at: At::Status(0), count: 0 };
        }
    }
}

impl AsyncRead for UpstreamSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(sips::poll_read(&mut self.socket, cx, buf))?;
        if self.interims.at != At::Final && !self.interims.follow(&buf.filled()[before..]) {
            // Not HTTP, and a whole head of it: hyper will say so at once.
            const NO_HEAD: &[u8] = b"\0\r\n\r\n";
            buf.set_filled(before);
            buf.put_slice(&NO_HEAD[..NO_HEAD.len().min(buf.remaining())]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for UpstreamSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.wrote();
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.taker.after_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wrote();
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.taker.after_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interim_answers_are_counted() {
        for interim in [
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
            "HTTP/1.0 100 \n\n",
            "\r\n\nHTTP/1.1 102 Processing\nA: b\r\n\n",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\n\r\n",
        ] {
            for split in [1, 7, 1000] {
                let mut interims = Interims { at: At::Status(0), count: 0 };
                let all = |interims: &mut Interims| {
                    interim.as_bytes().chunks(split).all(|part| interims.follow(part))
                };
                for n in 1..=MOST {
                    assert!(all(&mut interims), "the {n}th of {interim:?}");
                    assert_eq!(interims.count, n);
                }
                assert!(!all(&mut interims), "one too many of {interim:?}");
            }
        }
        for last in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"HTTP/2 1", b"garbage\r\n\r\nHTTP/1.1 100 "] {
            let mut interims = Interims { at: At::Status(0), count: 0 };
            assert!(interims.follow(last));
            assert_eq!((interims.at, interims.count), (At::Final, 0));
        }
    }
}
