//! Bodies on their way through: a lease lives in them as long as bytes may flow.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::proxy::downstream::state::Active;
use crate::proxy::downstream::stream;
use crate::proxy::fields;
use crate::proxy::trouble::BodyError;
use crate::proxy::upstream::pool::Returning;
use crate::supervisor::lease::Lease;

/// An endless answer of our own.
pub(in crate::proxy) type Events = Pin<Box<dyn Stream<Item = Bytes>>>;

/// The body of an answer. Dropping it ends the request.
pub(in crate::proxy) struct ResponseBody {
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
    pub(in crate::proxy) fn full(body: Bytes, active: Active) -> Self {
        Self { source: Source::Full((!body.is_empty()).then_some(body)), active }
    }

    pub(in crate::proxy) fn events(events: Events, active: Active) -> Self {
        Self { source: Source::Events(events), active }
    }

    pub(in crate::proxy) fn upstream(
        incoming: Incoming,
        returning: Returning,
        lease: Lease,
        active: Active,
    ) -> Self {
        let body = Downloading { incoming, ended: false, returning: Some(returning), _lease: lease };
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
                    Some(Ok(mut frame)) => {
                        if let Some(trailers) = frame.trailers_mut() {
                            fields::rewrite_response_trailers(trailers);
                        }
                        Some(Ok(frame))
                    }
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
        let state = self.active.state();
        if !state.is_http2() {
            if state.is_blocked() {
                // hyper would go on to collect what the client does not take. When the socket has
                // taken what there is, hyper asks again, in the same turn.
                return Poll::Pending;
            }
            return self.poll_source(cx);
        }
        let frame = self.poll_source(cx);
        stream::Stream::asked_for_more(frame.is_pending());
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
