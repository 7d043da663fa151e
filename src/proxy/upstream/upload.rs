//! The body of a request on its way: how far it is, and what of it can be sent again.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use crate::clock;
use crate::domain::time::Moment;
use crate::proxy::downstream::state::ConnState;
use crate::proxy::fields;
use crate::proxy::trouble::BodyError;
use crate::proxy::upstream::interim::Taker;
use crate::supervisor::lease::Lease;

/// What of a body is kept while it may have to be sent again: most calls, and no upload.
const KEPT: usize = 16 * 1024;

/// The body of a request, read from the client only as the upstream takes it.
pub(in crate::proxy) enum RequestBody {
    /// None, or one that was over with the head.
    Empty,
    Incoming(Rc<Upload>),
}

/// A client's body: hyper sends it, and who waits for the answer sees how far it is.
pub(in crate::proxy) struct Upload {
    finished: Cell<bool>,
    /// The client broke it off, or was too slow: what follows is not the upstream's fault.
    failed: Cell<bool>,
    progress: Cell<Moment>,
    /// `None`: it is sent again, by another one of these.
    uploading: RefCell<Option<Uploading>>,
}

struct Uploading {
    incoming: Incoming,
    /// What was sent before, and goes out first.
    again: Bytes,
    /// All that went out so far, where it can still be sent again.
    kept: Option<Vec<u8>>,
    state: std::sync::Arc<ConnState>,
    /// Whether the upstream takes anything.
    taker: Option<Taker>,
    _lease: Lease,
    patience: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    /// The body, and where to see how far it is.
    pub(in crate::proxy) fn new(
        incoming: Incoming,
        lease: &Lease,
        state: &std::sync::Arc<ConnState>,
        patience: Option<Duration>,
    ) -> (Self, Option<Rc<Upload>>) {
        if incoming.is_end_stream() {
            state.answering();
            return (Self::Empty, None);
        }
        let uploading = Uploading {
            incoming,
            again: Bytes::new(),
            kept: None,
            state: std::sync::Arc::clone(state),
            taker: None,
            _lease: lease.clone(),
            patience,
            timer: None,
        };
        let upload = Rc::new(Upload {
            finished: Cell::new(false),
            failed: Cell::new(false),
            progress: Cell::new(clock::now()),
            uploading: RefCell::new(Some(uploading)),
        });
        (Self::Incoming(Rc::clone(&upload)), Some(upload))
    }

    /// Reads no more from the client than this socket takes.
    pub(in crate::proxy) fn goes_to(&mut self, taker: &Taker) {
        if let Self::Incoming(upload) = self
            && let Some(uploading) = &mut *upload.uploading.borrow_mut()
        {
            uploading.taker = Some(taker.clone());
        }
    }
}

impl Upload {
    pub(in crate::proxy) fn failed(&self) -> bool {
        self.failed.get()
    }

    /// Since when the upstream has had all it needs for the head of its answer; `None` while the
    /// body is on its way.
    pub(in crate::proxy) fn finished_at(&self) -> Option<Moment> {
        self.finished.get().then(|| self.progress.get())
    }

    /// From now on what goes out is kept, as long as it is little.
    pub(in crate::proxy) fn keep(&self) {
        if let Some(uploading) = &mut *self.uploading.borrow_mut() {
            uploading.kept = Some(Vec::new());
        }
    }

    /// It will not be sent again.
    pub(in crate::proxy) fn forget(&self) {
        if let Some(uploading) = &mut *self.uploading.borrow_mut() {
            uploading.kept = None;
        }
    }

    /// The same from its beginning. `None`: too much of it went out.
    pub(in crate::proxy) fn again(&self) -> Option<Rc<Self>> {
        let kept = self.uploading.borrow_mut().as_mut()?.kept.take()?;
        let mut uploading = self.uploading.take()?;
        uploading.again = kept.into();
        Some(Rc::new(Self {
            finished: self.finished.clone(),
            failed: self.failed.clone(),
            progress: self.progress.clone(),
            uploading: RefCell::new(Some(uploading)),
        }))
    }

    fn finish(&self, state: &ConnState) {
        self.finished.set(true);
        state.answering();
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut uploading = self.uploading.borrow_mut();
        let Some(uploading) = &mut *uploading else { return Poll::Ready(Some(Err(BodyError::Moved))) };
        if !uploading.again.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut uploading.again)))));
        }
        if self.finished.get() {
            return Poll::Ready(None);
        }
        if uploading.taker.as_ref().is_some_and(Taker::is_blocked) {
            // As in an answer: hyper asks again when the socket has taken what there is.
            uploading.timer = None;
            return Poll::Pending;
        }
        let Poll::Ready(frame) = Pin::new(&mut uploading.incoming).poll_frame(cx) else {
            let Some(patience) = uploading.patience else { return Poll::Pending };
            let timer = uploading.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
            ready!(timer.as_mut().poll(cx));
            self.failed.set(true);
            return Poll::Ready(Some(Err(BodyError::Stalled)));
        };
        uploading.timer = None;
        self.progress.set(clock::now());
        Poll::Ready(match frame {
            None => {
                self.finish(&uploading.state);
                None
            }
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    fields::rewrite_request_trailers(trailers);
                }
                if uploading.kept.is_some() {
                    uploading.note(&frame);
                }
                if uploading.incoming.is_end_stream() {
                    self.finish(&uploading.state);
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.failed.set(true);
                Some(Err(BodyError::Broken(error)))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.uploading.borrow().as_ref().is_none_or(|uploading| {
            uploading.again.is_empty() && (self.finished.get() || uploading.incoming.is_end_stream())
        })
    }

    fn size_hint(&self) -> SizeHint {
        let uploading = self.uploading.borrow();
        let Some(uploading) = &*uploading else { return SizeHint::default() };
        let left = uploading.incoming.size_hint();
        if uploading.again.is_empty() {
            return left;
        }
        let before = uploading.again.len() as u64;
        left.exact().map_or_else(SizeHint::default, |left| SizeHint::with_exact(before + left))
    }
}

impl Uploading {
    /// Keeps what goes out. Copied, so that what is kept is no larger than it looks: a few bytes
    /// can hold a whole buffer.
    fn note(&mut self, frame: &Frame<Bytes>) {
        self.kept = self.kept.take().and_then(|mut kept| {
            // Trailers are not kept: hardly any request has them.
            let data = frame.data_ref()?;
            (kept.len() + data.len() <= KEPT).then(|| {
                kept.extend_from_slice(data);
                kept
            })
        });
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &*self {
            Self::Empty => Poll::Ready(None),
            Self::Incoming(upload) => upload.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Incoming(upload) => upload.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Incoming(upload) => upload.size_hint(),
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
