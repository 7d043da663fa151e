//! The downstream socket: what hyper reads from and writes to, and what its driver must know.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::HeaderValue;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Sleep;

use crate::clock;
use crate::domain::time::Moment;
use crate::domain::words::Limit;
use crate::metrics::Cuts;
use crate::proxy::alarm::Alarm;
use crate::proxy::grammar::Violation;
use crate::proxy::guard::{Ahead, Guard};
use crate::proxy::sips;

/// What a client still sends when it has its answer is read and thrown away: a close with bytes
/// unread resets the connection, and the answer with it. So long in all, so long a silence, and so
/// much of it.
const LINGER: (Duration, Duration, usize) =
    (Duration::from_secs(30), Duration::from_secs(2), 256 * 1024 * 1024);

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// `None` for a unix socket.
    pub(super) address: Option<IpAddr>,
    /// The same, as it stands in `X-Forwarded-For`.
    pub(super) text: Option<HeaderValue>,
}

impl Peer {
    pub(super) fn local() -> Self {
        Self { address: None, text: None }
    }

    pub(super) fn remote(address: SocketAddr) -> Self {
        let address = address.ip().to_canonical();
        Self { address: Some(address), text: HeaderValue::try_from(address.to_string()).ok() }
    }
}

/// What the socket, the requests on it and the driver of the connection tell each other. All of
/// them live on one thread; atomics only because hyper wants a socket that could be sent.
#[derive(Debug, Default)]
pub(super) struct ConnState {
    /// Several streams share the socket: its end, and its reset, concern all of them.
    http2: bool,
    /// Requests that are not answered to their last byte.
    active: AtomicUsize,
    /// Bytes were read while no request was active.
    heard: AtomicBool,
    /// The last byte that was read is in the middle of a head, or of a body.
    in_head: AtomicBool,
    in_body: AtomicBool,
    /// Bytes were written since the driver looked last.
    wrote: AtomicBool,
    /// The client does not read: a write waits.
    blocked: AtomicBool,
    /// The request is whole and on its way: a client that closes its sending half still wants the
    /// answer, so that hyper must not see the end.
    answering: AtomicBool,
    /// The client has closed its sending half, and hyper was not told.
    half_closed: AtomicBool,
    /// An answer was cut short: the close must not look like a regular end.
    reset: AtomicBool,
    /// Requests that were answered to their last byte.
    answered: AtomicU32,
    /// The connection has left HTTP.
    upgraded: AtomicBool,
    /// Bytes are kept from hyper until the request before them is answered.
    keeping: AtomicBool,
    /// What came last is no request, and why.
    violation: OnceLock<Violation>,
    /// The client was refused, and may not have stopped sending.
    refused: AtomicBool,
    /// What is closed for a limit.
    cuts: Cuts,
}

/// What the connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// Nothing: the next request may come.
    Idle,
    /// A part of a request's head has come.
    Head,
    /// A request is being answered.
    Busy,
    /// An answer waits for the client to read.
    Flushing,
    /// A request is being answered, and the client has closed its sending half.
    HalfClosed,
    /// A request is answered, and its body still comes.
    Uploading,
}

impl ConnState {
    pub(super) fn new(http2: bool, cuts: Cuts) -> Self {
        Self { http2, cuts, ..Self::default() }
    }

    /// Something is closed for this limit.
    pub(super) fn cut(&self, limit: Limit) {
        self.cuts.count(limit);
    }

    pub(super) fn doing(&self) -> Doing {
        if self.active.load(Ordering::Relaxed) > 0 {
            if self.half_closed.load(Ordering::Relaxed) { Doing::HalfClosed } else { Doing::Busy }
        } else if self.blocked.load(Ordering::Relaxed) {
            Doing::Flushing
        } else if self.in_head.load(Ordering::Relaxed) {
            Doing::Head
        } else if self.in_body.load(Ordering::Relaxed) {
            Doing::Uploading
        } else {
            Doing::Idle
        }
    }

    /// Bytes came.
    fn heard(&self) {
        if self.active.load(Ordering::Relaxed) == 0 {
            self.heard.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a part of a head, and no more, waits for the rest of it.
    pub(super) fn in_head(&self, is_it: bool) {
        self.in_head.store(is_it, Ordering::Relaxed);
    }

    /// Whether a body has come in part, and not to its end.
    pub(super) fn in_body(&self, is_it: bool) {
        self.in_body.store(is_it, Ordering::Relaxed);
    }

    /// Whether bytes came outside a request since this was asked last.
    pub(super) fn take_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed) && {
            self.heard.store(false, Ordering::Relaxed);
            true
        }
    }

    /// Whether bytes were written since this was asked last.
    pub(super) fn take_wrote(&self) -> bool {
        self.wrote.load(Ordering::Relaxed) && {
            self.wrote.store(false, Ordering::Relaxed);
            true
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        self.http2
    }

    pub(super) fn half_closed(&self) -> bool {
        self.half_closed.load(Ordering::Relaxed)
    }

    /// Whether the client has not taken yet what was written last.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// The request has been read to its end and is on its way to the upstream.
    pub(super) fn answering(&self) {
        self.answering.store(!self.http2, Ordering::Relaxed);
    }

    /// How many requests were answered to their last byte.
    pub(super) fn answered(&self) -> u32 {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Relaxed)
    }

    /// The connection leaves HTTP with the answer that is on its way.
    pub(super) fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }

    /// Whether bytes were kept from hyper, so that it must look again.
    pub(super) fn take_keeping(&self) -> bool {
        self.keeping.load(Ordering::Relaxed) && {
            self.keeping.store(false, Ordering::Relaxed);
            true
        }
    }

    /// Why what stands last on this connection is no request.
    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation.get().copied()
    }

    pub(super) fn violated(&self, violation: Violation) {
        // Nothing is read after the first.
        let _ = self.violation.set(violation);
    }

    /// Whether the client has more of a body to send.
    pub(super) fn is_uploading(&self) -> bool {
        self.in_body.load(Ordering::Relaxed)
    }

    /// The connection ends with the answer, whatever the client goes on to send. False where others
    /// share it.
    pub(super) fn refuse(&self) -> bool {
        self.refused.store(!self.http2, Ordering::Relaxed);
        !self.http2
    }

    /// An answer broke off: the close that follows must be seen as a break. HTTP/2 resets the
    /// stream instead.
    pub(super) fn cut_short(&self) {
        self.reset.store(!self.http2, Ordering::Relaxed);
    }
}

/// Counted from a request's head until the last byte of its answer.
#[derive(Debug)]
pub(super) struct Active(Arc<ConnState>);

impl Active {
    pub(super) fn new(state: &Arc<ConnState>) -> Self {
        state.active.store(state.active.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Self(Arc::clone(state))
    }

    pub(super) fn state(&self) -> &Arc<ConnState> {
        &self.0
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.store(self.0.active.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        self.0.answering.store(false, Ordering::Relaxed);
        self.0.answered.store(self.0.answered.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// From an accepted, non-blocking descriptor, on the runtime that is to serve it.
    pub(super) fn from_std(accepted: OwnedFd, unix: bool) -> io::Result<Self> {
        if unix {
            UnixStream::from_std(accepted.into()).map(Self::Unix)
        } else {
            TcpStream::from_std(accepted.into()).map(Self::Tcp)
        }
    }

    /// Leaves this runtime.
    pub(super) fn into_std(self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(OwnedFd::from),
            Self::Unix(stream) => stream.into_std().map(OwnedFd::from),
        }
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }

    /// The same, a little at a time.
    fn poll_sip(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => sips::poll_read(stream, cx, buf),
            Self::Unix(stream) => sips::poll_read(stream, cx, buf),
        }
    }

    /// Waits until there is something to read, be it the end.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }
}

/// The client's socket under a connection.
#[derive(Debug)]
pub(super) struct Downstream {
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
    pub(super) fn new(
        socket: Socket,
        guard: Guard,
        state: Arc<ConnState>,
        patience: Option<Duration>,
    ) -> Self {
        Self { socket, guard, state, patience, timer: None, lingering: None }
    }

    pub(super) fn state(&self) -> &ConnState {
        &self.state
    }

    /// Waits until there is something to read, be it the end.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
