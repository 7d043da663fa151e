//! Reading in sips: hyper lets a buffer grow with what it is given at once, up to 400 KiB, and a
//! body that nobody takes would lie in three of them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// What is read at once: less than fills a buffer of 32 KiB, so that hyper makes none that is
/// larger.
const MOST: usize = 32 * 1024 - 1;

/// A socket that can be read from piece by piece.
pub(super) trait Source: AsyncRead + Unpin {
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn try_take(&self, into: &mut impl BufMut) -> io::Result<usize>;
}

impl Source for TcpStream {
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }

    fn try_take(&self, into: &mut impl BufMut) -> io::Result<usize> {
        self.try_read_buf(into)
    }
}

impl Source for UnixStream {
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }

    fn try_take(&self, into: &mut impl BufMut) -> io::Result<usize> {
        self.try_read_buf(into)
    }
}

/// Reads no more than a sip, however much room there is.
pub(super) fn poll_read(
    source: &mut impl Source,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    if buf.remaining() <= MOST {
        return Pin::new(source).poll_read(cx, buf);
    }
    loop {
        ready!(source.poll_ready(cx))?;
        match source.try_take(&mut (&mut *buf).limit(MOST)) {
            Err(nothing) if nothing.kind() == io::ErrorKind::WouldBlock => {}
            taken => return Poll::Ready(taken.map(drop)),
        }
    }
}
