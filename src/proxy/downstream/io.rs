//! The downstream socket: what hyper reads from and writes to, and what its driver must know.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::clock;
use crate::domain::time::Moment;
use crate::domain::words::Limit;
use crate::proxy::alarm::Alarm;
use crate::proxy::downstream::guard::{Ahead, Guard};
use crate::proxy::downstream::socket::Socket;
use crate::proxy::downstream::state::ConnState;

/// What a client still sends when it has its answer is read and thrown away: a close with bytes
/// unread resets the connection, and the answer with it. So long in all, so long a silence, and so
/// much of it.
const LINGER: (Duration, Duration, usize) =
    (Duration::from_secs(30), Duration::from_secs(2), 256 * 1024 * 1024);

/// The client's socket under a connection.
#[derive(Debug)]
pub(in crate::proxy) struct Downstream {
    socket: Socket,
    /// What hyper may see of what was read.
    guard: Guard,
    state: Arc<ConnState>,
    /// How long a write may wait without the client reading a byte.
    patience: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    /// The sending half is closed.
    lingering: Option<Lingering>,
}

/// What a client sends after the end.
#[derive(Debug)]
struct Lingering {
    since: Moment,
    heard: Moment,
    thrown: usize,
    alarm: Alarm,
}

impl Downstream {
    pub(in crate::proxy) fn new(
        socket: Socket,
        guard: Guard,
        state: Arc<ConnState>,
        patience: Option<Duration>,
    ) -> Self {
        Self { socket, guard, state, patience, timer: None, lingering: None }
    }

    pub(in crate::proxy) fn state(&self) -> &ConnState {
        &self.state
    }

    /// Waits until there is something to read, be it the end.
    pub(in crate::proxy) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_readable(cx)
    }

    /// Accounts for a write: progress ends the wait, none goes on with it or ends it.
    fn after_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.timer = None;
            self.state.blocked.store(false, Ordering::Relaxed);
            self.state.wrote.store(true, Ordering::Relaxed);
            return Poll::Ready(written);
        }
        self.state.blocked.store(true, Ordering::Relaxed);
        if let Some(patience) = self.patience {
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
            if timer.as_mut().poll(cx).is_ready() {
                self.state.reset.store(true, Ordering::Relaxed);
                self.state.cut(Limit::Write);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        Poll::Pending
    }
}

impl Downstream {
    /// Throws away what still comes, until the client closes as well or has had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(lingering) = &mut self.lingering else { return Poll::Ready(Ok(())) };
        let mut scratch = [std::mem::MaybeUninit::uninit(); 16 * 1024];
        while lingering.thrown < LINGER.2 {
            let mut buf = ReadBuf::uninit(&mut scratch);
            match self.socket.poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    lingering.thrown += buf.filled().len();
                    lingering.heard = clock::now();
                }
                Poll::Ready(_) => break,
                Poll::Pending => {
                    let until = (lingering.since + LINGER.0).min(lingering.heard + LINGER.1);
                    return lingering.alarm.poll(cx, until).map(Ok);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Downstream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match this.guard.ahead(&this.state) {
                Ahead::Give => {
                    this.guard.give(buf);
                    this.state.heard();
                    return Poll::Ready(Ok(()));
                }
                Ahead::Read => {}
                Ahead::Wait => {
                    this.state.keeping.store(true, Ordering::Relaxed);
                    return Poll::Pending;
                }
                Ahead::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            }
            let before = buf.filled().len();
            let full = buf.remaining() == 0;
            // Upgraded streams are read into a buffer of the worker's, and HTTP/2 has windows.
            ready!(match this.guard.is_blind() {
                true => this.socket.poll_read(cx, buf),
                false => this.socket.poll_sip(cx, buf),
            })?;
            let read = &buf.filled()[before..];
            if read.is_empty() {
                if !full && this.state.answering.load(Ordering::Relaxed) {
                    this.state.half_closed.store(true, Ordering::Relaxed);
                    // The driver has hyper look again when the answer is out.
                    return Poll::Pending;
                }
                return Poll::Ready(Ok(()));
            }
            this.state.heard();
            let passed = this.guard.arrive(read, &this.state);
            buf.set_filled(before + passed);
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Downstream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        self.after_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Socket::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        self.after_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets have no buffer of ours.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(match &mut self.socket {
                Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
                Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            })?;
            let now = clock::now();
            self.lingering = Some(Lingering { since: now, heard: now, thrown: 0, alarm: Alarm::default() });
        }
        let unread = self.state.refused.load(Ordering::Relaxed) || self.state.is_uploading();
        if unread { self.poll_linger(cx) } else { Poll::Ready(Ok(())) }
    }
}

impl Drop for Downstream {
    fn drop(&mut self) {
        if self.state.reset.load(Ordering::Relaxed)
            && let Socket::Tcp(stream) = &self.socket
        {
            // The last thing a connection is told; if it is gone already, all the better.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}
