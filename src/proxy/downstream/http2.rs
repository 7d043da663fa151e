//! HTTP/2 from a client: what we grant it, and the socket that counts its frames.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock;
use crate::domain::time::Moment;
use crate::domain::words::Limit;
use crate::proxy::downstream::frames::{self, Flood, Frames, Refused};
use crate::proxy::downstream::io::Downstream;
use crate::proxy::downstream::state::ConnState;
use crate::proxy::downstream::stream::Streams;
use crate::proxy::settings::ProxySettings;

/// Flow-control windows of a stream and of a connection: what one slow upload may make us hold, and
/// all of them together. Caddy sends the calls of all its clients by few connections: uploads that
/// wait, for a wake or for their upstream, must not use up what the others need.
const WINDOWS: (u32, u32) = (64 * 1024, 4 * 1024 * 1024);
/// What of an answer may lie in h2 until the client's window takes it.
const SEND_BUFFER: usize = 16 * 1024;
/// Rapid reset (CVE-2023-44487): streams that were reset before we saw them. h2 ends the
/// connection with `ENHANCE_YOUR_CALM`. Those that were seen are counted by [`Frames`].
const RESET_UNSEEN: usize = 20;
/// Made you reset (CVE-2025-8671): streams that the client had us reset by breaking the rules, in
/// the whole life of a connection. A client that keeps them never has one; 1024, which hyper would
/// allow, are as many free turns at the upstream.
const RESET_BY_US: usize = 64;

/// What is set, and what is not: no pings of our own, since an idle stream must not cost traffic
/// and the kernel's keep-alive finds dead peers; no adaptive windows, since they grow without a
/// bound of ours. CONTINUATION frames are limited by h2 from the size of the fields.
pub(in crate::proxy) fn builder(settings: &ProxySettings, state: &Arc<ConnState>) -> http2::Builder<Streams> {
    let limits = &settings.limits;
    let mut builder =
        http2::Builder::new(Streams { patience: settings.timeouts.write, state: Arc::clone(state) });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESET_UNSEEN)
        .max_local_error_reset_streams(RESET_BY_US)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_send_buf_size(SEND_BUFFER)
        .enable_connect_protocol();
    builder
}

/// What the driver of a connection asks about the frames that come in.
#[derive(Debug, Clone, Default)]
pub(in crate::proxy) struct Incoming(Rc<Cell<Option<Moment>>>);

impl Incoming {
    /// Since when the head of a request has been under way.
    pub(in crate::proxy) fn head_since(&self) -> Option<Moment> {
        self.0.get()
    }
}

/// A client's socket whose frames are counted.
pub(in crate::proxy) struct Counted {
    socket: Downstream,
    frames: Frames,
    incoming: Incoming,
    /// The last write went out whole, so that a frame of our own would be read as one.
    whole: bool,
    /// What h2 refuses by itself.
    refused: Refused,
    /// The end of this connection has been counted.
    counted: bool,
}

impl Counted {
    pub(in crate::proxy) fn new(socket: Downstream, incoming: Incoming) -> Self {
        Self {
            socket,
            frames: Frames::new(clock::now()),
            incoming,
            whole: true,
            refused: Refused::default(),
            counted: false,
        }
    }

    /// Tells the client why it is left. Best effort: the connection ends in any case.
    fn say_goodbye(&mut self, cx: &mut Context<'_>) {
        if !self.whole {
            return;
        }
        let mut frame = [0; 17];
        frame[..9].copy_from_slice(&[0, 0, 8, 7, 0, 0, 0, 0, 0]);
        frame[9..13].copy_from_slice(&self.frames.highest().to_be_bytes());
        frame[13..].copy_from_slice(&frames::ENHANCE_YOUR_CALM.to_be_bytes());
        let _ = Pin::new(&mut self.socket).poll_write(cx, &frame);
    }

    /// Accounts for a write of these pieces.
    fn after_write<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [u8]> + Clone,
        written: &Poll<io::Result<usize>>,
    ) {
        let Poll::Ready(Ok(mut left)) = *written else {
            self.whole = false;
            return;
        };
        self.whole = left == pieces.clone().map(<[u8]>::len).sum::<usize>();
        self.frames.wrote(left);
        for piece in pieces {
            let went = left.min(piece.len());
            left -= went;
            self.refused.follow(&piece[..went]);
        }
        for _ in 0..std::mem::take(&mut self.refused.streams) {
            self.cut(Limit::Streams);
        }
        if self.refused.calmed {
            self.cut(Limit::Flood);
        }
    }

    fn cut(&mut self, limit: Limit) {
        if limit == Limit::Flood && std::mem::replace(&mut self.counted, true) {
            return;
        }
        self.socket.state().cut(limit);
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let outcome = Pin::new(&mut this.socket).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = outcome {
            let followed = this.frames.read(&buf.filled()[before..], clock::now);
            this.incoming.0.set(this.frames.head_since());
            if let Err(Flood) = followed {
                this.cut(Limit::Flood);
                this.say_goodbye(cx);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, Flood)));
            }
        }
        outcome
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.after_write(std::iter::once(buf), &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.after_write(bufs.iter().map(|buf| &**buf), &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
