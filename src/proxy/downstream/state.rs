//! What the socket of a connection, the requests on it and its driver tell each other.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use crate::domain::words::Limit;
use crate::metrics::Cuts;
use crate::proxy::grammar::Violation;

/// What the socket, the requests on it and the driver of the connection tell each other. All of
/// them live on one thread; atomics only because hyper wants a socket that could be sent.
#[derive(Debug, Default)]
pub(in crate::proxy) struct ConnState {
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
    pub(in crate::proxy) wrote: AtomicBool,
    /// The client does not read: a write waits.
    pub(in crate::proxy) blocked: AtomicBool,
    /// The request is whole and on its way: a client that closes its sending half still wants the
    /// answer, so that hyper must not see the end.
    pub(in crate::proxy) answering: AtomicBool,
    /// The client has closed its sending half, and hyper was not told.
    pub(in crate::proxy) half_closed: AtomicBool,
    /// An answer was cut short: the close must not look like a regular end.
    pub(in crate::proxy) reset: AtomicBool,
    /// Requests that were answered to their last byte.
    answered: AtomicU32,
    /// The connection has left HTTP.
    upgraded: AtomicBool,
    /// Bytes are kept from hyper until the request before them is answered.
    pub(in crate::proxy) keeping: AtomicBool,
    /// What came last is no request, and why.
    violation: OnceLock<Violation>,
    /// The client was refused, and may not have stopped sending.
    pub(in crate::proxy) refused: AtomicBool,
    /// What is closed for a limit.
    cuts: Cuts,
}

/// What the connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Doing {
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
    pub(in crate::proxy) fn new(http2: bool, cuts: Cuts) -> Self {
        Self { http2, cuts, ..Self::default() }
    }

    /// Something is closed for this limit.
    pub(in crate::proxy) fn cut(&self, limit: Limit) {
        self.cuts.count(limit);
    }

    pub(in crate::proxy) fn doing(&self) -> Doing {
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
    pub(in crate::proxy) fn heard(&self) {
        if self.active.load(Ordering::Relaxed) == 0 {
            self.heard.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a part of a head, and no more, waits for the rest of it.
    pub(in crate::proxy) fn in_head(&self, is_it: bool) {
        self.in_head.store(is_it, Ordering::Relaxed);
    }

    /// Whether a body has come in part, and not to its end.
    pub(in crate::proxy) fn in_body(&self, is_it: bool) {
        self.in_body.store(is_it, Ordering::Relaxed);
    }

    /// Whether bytes came outside a request since this was asked last.
    pub(in crate::proxy) fn take_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed) && {
            self.heard.store(false, Ordering::Relaxed);
            true
        }
    }

    /// Whether bytes were written since this was asked last.
    pub(in crate::proxy) fn take_wrote(&self) -> bool {
        self.wrote.load(Ordering::Relaxed) && {
            self.wrote.store(false, Ordering::Relaxed);
            true
        }
    }

    pub(in crate::proxy) fn is_http2(&self) -> bool {
        self.http2
    }

    pub(in crate::proxy) fn half_closed(&self) -> bool {
        self.half_closed.load(Ordering::Relaxed)
    }

    /// Whether the client has not taken yet what was written last.
    pub(in crate::proxy) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// The request has been read to its end and is on its way to the upstream.
    pub(in crate::proxy) fn answering(&self) {
        self.answering.store(!self.http2, Ordering::Relaxed);
    }

    /// How many requests were answered to their last byte.
    pub(in crate::proxy) fn answered(&self) -> u32 {
        self.answered.load(Ordering::Relaxed)
    }

    pub(in crate::proxy) fn upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Relaxed)
    }

    /// The connection leaves HTTP with the answer that is on its way.
    pub(in crate::proxy) fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }

    /// Whether bytes were kept from hyper, so that it must look again.
    pub(in crate::proxy) fn take_keeping(&self) -> bool {
        self.keeping.load(Ordering::Relaxed) && {
            self.keeping.store(false, Ordering::Relaxed);
            true
        }
    }

    /// Why what stands last on this connection is no request.
    pub(in crate::proxy) fn violation(&self) -> Option<Violation> {
        self.violation.get().copied()
    }

    pub(in crate::proxy) fn violated(&self, violation: Violation) {
        // Nothing is read after the first.
        let _ = self.violation.set(violation);
    }

    /// Whether the client has more of a body to send.
    pub(in crate::proxy) fn is_uploading(&self) -> bool {
        self.in_body.load(Ordering::Relaxed)
    }

    /// The connection ends with the answer, whatever the client goes on to send. False where others
    /// share it.
    pub(in crate::proxy) fn refuse(&self) -> bool {
        self.refused.store(!self.http2, Ordering::Relaxed);
        !self.http2
    }

    /// An answer broke off: the close that follows must be seen as a break. HTTP/2 resets the
    /// stream instead.
    pub(in crate::proxy) fn cut_short(&self) {
        self.reset.store(!self.http2, Ordering::Relaxed);
    }
}

/// Counted from a request's head until the last byte of its answer.
#[derive(Debug)]
pub(in crate::proxy) struct Active(Arc<ConnState>);

impl Active {
    pub(in crate::proxy) fn new(state: &Arc<ConnState>) -> Self {
        state.active.store(state.active.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Self(Arc::clone(state))
    }

    pub(in crate::proxy) fn state(&self) -> &Arc<ConnState> {
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
