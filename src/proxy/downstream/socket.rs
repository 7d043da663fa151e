//! A client's socket: TCP or unix.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::proxy::sips;

#[derive(Debug)]
pub(in crate::proxy) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// From an accepted, non-blocking descriptor, on the runtime that is to serve it.
    pub(in crate::proxy) fn from_std(accepted: OwnedFd, unix: bool) -> io::Result<Self> {
        if unix {
            UnixStream::from_std(accepted.into()).map(Self::Unix)
        } else {
            TcpStream::from_std(accepted.into()).map(Self::Tcp)
        }
    }

    /// Leaves this runtime.
    pub(in crate::proxy) fn into_std(self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(OwnedFd::from),
            Self::Unix(stream) => stream.into_std().map(OwnedFd::from),
        }
    }

    pub(in crate::proxy) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }

    /// The same, a little at a time.
    pub(in crate::proxy) fn poll_sip(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => sips::poll_read(stream, cx, buf),
            Self::Unix(stream) => sips::poll_read(stream, cx, buf),
        }
    }

    /// Waits until there is something to read, be it the end.
    pub(in crate::proxy) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }
}
