//! Bodies on their way through: a lease lives in them as long as bytes may flow.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use crate::clock;
use crate::domain::time::Moment;
use crate::proxy::io::{Active, ConnState};
use crate::proxy::pool::Returning;
use crate::proxy::stream;
use crate::supervisor::lease::Lease;

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    #[error("no byte of the body came in time")]
    Stalled,
}

/// How far the client's body is, as the one that waits for the answer sees it.
#[derive(Debug, Default)]
pub(super) struct Upload {
    finished: Cell<bool>,
    /// The client broke it off, or was too slow: what follows is not the upstream's fault.
    failed: Cell<bool>,
    progress: Cell<Moment>,
}

impl Upload {
    pub(super) fn failed(&self) -> bool {
        self.failed.get()
    }

    /// Since when the upstream has had all it needs for the head of its answer; `None` while the
    /// body is on its way.
    pub(super) fn finished_at(&self) -> Option<Moment> {
        self.finished.get().then(|| self.progress.get())
    }
}

/// The body of a request, read from the client only as the upstream takes it.
pub(super) enum RequestBody {
    /// None, or one that was over with the head.
    Empty,
    Incoming(Box<Uploading>),
}

pub(super) struct Uploading {
    incoming: Incoming,
    upload: Rc<Upload>,
    state: std::sync::Arc<ConnState>,
    _lease: Lease,
    patience: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    /// The body, and where to see how far it is.
    pub(super) fn new(
        incoming: Incoming,
        lease: &Lease,
        state: &std::sync::Arc<ConnState>,
        patience: Option<Duration>,
    ) -> (Self, Option<Rc<Upload>>) {
        if incoming.is_end_stream() {
            state.answering();
            return (Self::Empty, None);
        }
        let upload = Rc::new(Upload { progress: Cell::new(clock::now()), ..Upload::default() });
        let body = Uploading {
            incoming,
            upload: Rc::clone(&upload),
            state: std::sync::Arc::clone(state),
            _lease: lease.clone(),
            patience,
            timer: None,
        };
        (Self::Incoming(Box::new(body)), Some(upload))
    }
}

impl Uploading {
    fn finish(&self) {
        self.upload.finished.set(true);
        self.state.answering();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            let Some(patience) = self.patience else { return Poll::Pending };
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
            ready!(timer.as_mut().poll(cx));
            self.upload.failed.set(true);
            return Poll::Ready(Some(Err(BodyError::Stalled)));
        };
        self.timer = None;
        self.upload.progress.set(clock::now());
        Poll::Ready(match frame {
            None => {
                self.finish();
                None
            }
            Some(Ok(frame)) => {
                if self.incoming.is_end_stream() {
                    self.finish();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.upload.failed.set(true);
                Some(Err(BodyError::Broken(error)))
            }
        })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Incoming(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Incoming(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Incoming(body) => body.incoming.size_hint(),
        }
    }
}

/// An endless answer of our own.
pub(super) type Events = Pin<Box<dyn Stream<Item = Bytes>>>;

/// The body of an answer. Dropping it ends the request.
pub(super) struct ResponseBody {
    source: Source,
    /// Counted as active until the last byte is out.
    active: Active,
}

enum Source {
    Upstream(Box<Downloading>),
    Full(Option<Bytes>),
    Events(Events),
}

/// What comes from the upstream. Its parts go back where they came from at the end.
struct Downloading {
    incoming: Incoming,
    ended: bool,
    returning: Option<Returning>,
    _lease: Lease,
}

impl ResponseBody {
    pub(super) fn full(body: Bytes, active: Active) -> Self {
        Self { source: Source::Full((!body.is_empty()).then_some(body)), active }
    }

    pub(super) fn events(events: Events, active: Active) -> Self {
        Self { source: Source::Events(events), active }
    }

    pub(super) fn upstream(
        incoming: Incoming,
        returning: Option<Returning>,
        lease: Lease,
        active: Active,
    ) -> Self {
        let body = Downloading { incoming, ended: false, returning, _lease: lease };
        Self { source: Source::Upstream(Box::new(body)), active }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.source {
            Source::Full(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Source::Events(events) => {
                events.as_mut().poll_next(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
            }
            Source::Upstream(body) => {
                Poll::Ready(match ready!(Pin::new(&mut body.incoming).poll_frame(cx)) {
                    None => {
                        body.ended = true;
                        None
                    }
                    Some(Ok(frame)) => Some(Ok(frame)),
                    Some(Err(error)) => {
                        // Cut short there, so cut short here: never a clean end.
                        self.active.state().cut_short();
                        Some(Err(BodyError::Broken(error)))
                    }
                })
            }
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = self.poll_source(cx);
        if self.active.state().is_http2() {
            stream::Stream::asked_for_more(frame.is_pending());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Full(body) => body.is_none(),
            Source::Events(_) => false,
            Source::Upstream(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Full(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Source::Events(_) => SizeHint::default(),
            Source::Upstream(body) => body.incoming.size_hint(),
        }
    }
}

impl Drop for Downloading {
    fn drop(&mut self) {
        // A connection whose answer was not read to the end is not clean, and is closed.
        let whole = self.ended || self.incoming.is_end_stream();
        if whole && let Some(returning) = self.returning.take() {
            returning.put_back();
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Incoming(_) => "Incoming",
        })
    }
}
