//! Drives one of hyper's connections under our time limits, until it ends or has nothing to do.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;

use crate::clock;
use crate::config::ProxyTimeouts;
use crate::domain::time::Moment;
use crate::domain::words::Limit;
use crate::proxy::alarm::Alarm;
use crate::proxy::downstream::http2::{self, Counted};
use crate::proxy::downstream::io::Downstream;
use crate::proxy::downstream::state::{ConnState, Doing};
use crate::proxy::downstream::stream::Streams;
use crate::proxy::drain::{Call, LINGER, Open};

/// After so long without a request, a connection over HTTP/1 is parked: hyper's part of it, with
/// its buffers, is made anew when the next one comes. Clients that ask more often never pay for it.
const BUSY: Duration = Duration::from_millis(250);

/// A hyper connection that can be told to end after its current requests.
pub(in crate::proxy) trait Graceful: Future<Output = hyper::Result<()>> {
    fn graceful(self: Pin<&mut Self>);
}

impl<S, B> Graceful for http1::UpgradeableConnection<TokioIo<Downstream>, S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body<Data: 'static, Error: std::error::Error + Send + Sync + 'static> + 'static,
{
    fn graceful(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S, B> Graceful for hyper::server::conn::http2::Connection<TokioIo<Counted>, S, Streams>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S::Future: 'static,
    B: Body<Data: 'static, Error: std::error::Error + Send + Sync + 'static> + 'static,
{
    fn graceful(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// How a connection left its driver.
pub(in crate::proxy) enum Outcome<C> {
    Ended,
    /// It has nothing to do, and until when it may.
    Parked(C, Option<Moment>),
}

/// Drives a hyper connection under our time limits.
pub(in crate::proxy) struct Driver<C> {
    /// `None`: it was given away.
    hyper: Option<Pin<Box<C>>>,
    state: Arc<ConnState>,
    open: Rc<Open>,
    call: Option<Call>,
    ending: bool,
    /// At the last look the drain had begun.
    draining: bool,
    is_http1: bool,
    /// Of HTTP/2 only.
    incoming: Option<http2::Incoming>,
    head: Option<Duration>,
    keep_alive: Option<Duration>,
    body: Option<Duration>,
    doing: Option<Doing>,
    /// Since when the head that is under way on HTTP/2 has been.
    since: Option<Moment>,
    /// When what it does now has taken too long.
    deadline: Option<Moment>,
    /// When it is parked, if it does nothing until then.
    park_at: Option<Moment>,
    alarm: Alarm,
}

impl<C: Graceful> Driver<C> {
    pub(in crate::proxy) fn new(
        hyper: C,
        state: Arc<ConnState>,
        open: &Rc<Open>,
        timeouts: &ProxyTimeouts,
        incoming: Option<http2::Incoming>,
    ) -> Self {
        Self {
            hyper: Some(Box::pin(hyper)),
            state,
            open: Rc::clone(open),
            call: None,
            ending: false,
            draining: false,
            is_http1: incoming.is_none(),
            incoming,
            head: timeouts.head,
            keep_alive: timeouts.keep_alive,
            body: timeouts.body,
            doing: None,
            since: None,
            deadline: None,
            park_at: None,
            alarm: Alarm::default(),
        }
    }

    fn end_gracefully(&mut self) {
        if !self.ending
            && let Some(hyper) = &mut self.hyper
        {
            self.ending = true;
            hyper.as_mut().graceful();
        }
    }

    /// Notes what the connection does now, and until when it may.
    fn note(&mut self) {
        let mut doing = self.state.doing();
        // What is read counts where the answer is out and the upload goes on.
        let mut moved = self.state.take_wrote() | (doing == Doing::Uploading && self.state.take_heard());
        let mut since = None;
        if let Some(incoming) = &self.incoming {
            // Pings and opened windows are no request, and our answers to them no progress.
            moved = false;
            since = incoming.head_since();
            doing = match doing {
                _ if since.is_some() => Doing::Head,
                Doing::Busy => Doing::Busy,
                _ => Doing::Idle,
            };
        }
        let draining = self.is_http1 && self.open.draining();
        if self.doing == Some(doing) && self.since == since && !moved && self.draining == draining {
            return;
        }
        self.since = since;
        self.doing = Some(doing);
        self.draining = draining;
        let patience = match doing {
            Doing::Idle if draining => Some(self.keep_alive.map_or(LINGER, |patience| patience.min(LINGER))),
            Doing::Idle => self.keep_alive,
            Doing::Head => self.head,
            // While bytes flow to a half-closed client it is there; when none do, who knows.
            Doing::Uploading if draining => Some(LINGER),
            Doing::HalfClosed | Doing::Uploading => self.body,
            Doing::Busy | Doing::Flushing => None,
        };
        let parks = self.is_http1 && doing == Doing::Idle && !draining && !self.ending;
        let now = if patience.is_some() || parks { since.unwrap_or_else(clock::now) } else { Moment::START };
        self.deadline = patience.map(|patience| now + patience);
        self.park_at = parks.then(|| now + BUSY);
    }

    /// Waits for the deadline, or for the time to park where that comes first: true then.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let parks = self.park_at.filter(|at| self.deadline.is_none_or(|deadline| *at < deadline));
        let Some(until) = parks.or(self.deadline) else { return Poll::Pending };
        self.alarm.poll(cx, until).map(|()| parks.is_some())
    }
}

impl<C: Graceful + Unpin> Future for Driver<C> {
    type Output = hyper::Result<Outcome<C>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.call.is_none() {
            this.call = Some(this.open.call(cx.waker().clone()));
        }
        if this.open.draining() && !this.is_http1 {
            this.end_gracefully();
        }
        loop {
            let Some(hyper) = &mut this.hyper else { return Poll::Pending };
            if let Poll::Ready(ended) = hyper.as_mut().poll(cx) {
                return Poll::Ready(ended.map(|()| Outcome::Ended));
            }
            this.note();
            if this.doing == Some(Doing::Idle) && this.state.take_keeping() {
                // What was kept from hyper is the next request's by now.
                continue;
            }
            if this.doing == Some(Doing::Idle) && this.state.half_closed() && !this.ending {
                // The answer is out, and no other request can come.
                this.end_gracefully();
                continue;
            }
            if ready!(this.poll_deadline(cx)) {
                let Some(hyper) = this.hyper.take() else { return Poll::Pending };
                return Poll::Ready(Ok(Outcome::Parked(*Pin::into_inner(hyper), this.deadline)));
            }
            match this.doing {
                Some(Doing::Head) => this.state.cut(Limit::Head),
                Some(Doing::HalfClosed | Doing::Uploading) => this.state.cut(Limit::Body),
                _ => {}
            }
            if this.is_http1 || this.ending || this.doing == Some(Doing::Head) {
                // Dropping hyper's connection closes the socket.
                return Poll::Ready(Ok(Outcome::Ended));
            }
            this.end_gracefully();
            this.deadline = this.keep_alive.map(|patience| clock::now() + patience);
        }
    }
}
