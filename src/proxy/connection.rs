//! One downstream connection: which protocol it speaks, how long it may idle, how it ends.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::ReadBuf;

use crate::clock;
use crate::config::{ProxyLimits, ProxyTimeouts};
use crate::domain::time::Moment;
use crate::proxy::alarm::Alarm;
use crate::proxy::body::ResponseBody;
use crate::proxy::grammar::Bounds;
use crate::proxy::guard::Guard;
use crate::proxy::io::{ConnState, Doing, Downstream, Peer, Socket};
use crate::proxy::plane::Stage;
use crate::proxy::service;
use crate::proxy::settings::ProxySettings;
use crate::proxy::worker::{Call, Open, Permit, Worker};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// hyper's smallest read buffer.
const SMALLEST_BUFFER: usize = 8 * 1024;
/// Flow-control windows of a stream and of a connection: what one slow stream may make us hold.
const WINDOWS: (u32, u32) = (256 * 1024, 1024 * 1024);

/// When the drain begins, a silent HTTP/1 connection is not closed at once: a request that is on
/// its way would be lost with it. It is answered, and that answer announces the end.
const LINGER: Duration = Duration::from_millis(300);

/// What every request of a connection knows about it.
pub(super) struct Connection {
    pub(super) worker: Rc<Worker>,
    pub(super) peer: Peer,
    pub(super) state: Arc<ConnState>,
    /// Held until the connection, and the stream it may be upgraded to, has ended.
    pub(super) _permit: Permit,
}

/// Lets hyper run its tasks on this worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, task: F) {
        // As it is: a block around it would be twice its size.
        drop(tokio::task::spawn_local(task));
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(worker: Rc<Worker>, mut socket: Socket, peer: Peer, permit: Permit) {
    let settings = worker.settings();
    let (replay, is_http2) = tokio::select! {
        biased;
        sniffed = sniff(&worker, &mut socket, &settings.timeouts) => match sniffed {
            Some(sniffed) => sniffed,
            None => return,
        },
        () = draining(&worker) => return,
    };
    let state = Arc::new(ConnState::new(is_http2));
    let guard = if is_http2 { Guard::blind(replay) } else { Guard::new(bounds(&settings), replay, &state) };
    let io = Downstream::new(socket, guard, Arc::clone(&state), settings.timeouts.write);
    let io = TokioIo::new(io);
    let open = Rc::clone(&worker.open);
    let connection = Rc::new(Connection { worker, peer, state: Arc::clone(&state), _permit: permit });
    let requests = service_fn(move |request: Request<Incoming>| {
        let connection = Rc::clone(&connection);
        async move {
            let mut response = service::serve(&connection, request).await;
            let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            if !is_http2 && !is_upgrade && connection.worker.open.draining() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let ended = if is_http2 {
        let hyper = http2_builder(&settings).serve_connection(io, requests);
        Driver::new(hyper, state, &open, &settings.timeouts, false).await
    } else {
        let hyper = http1_builder(&settings).serve_connection(io, requests).with_upgrades();
        Driver::new(hyper, state, &open, &settings.timeouts, true).await
    };
    if let Err(error) = ended {
        // Clients break connections all day: that is their business.
        tracing::debug!(error = &error as &dyn std::error::Error, "a client's connection broke");
    }
}

/// Resolves when a connection that has not said anything is not waited for any more.
async fn draining(worker: &Worker) {
    // The plane being gone is the end as well.
    let _ = worker.stage.clone().wait_for(|stage| *stage != Stage::Serving).await;
    tokio::time::sleep(LINGER).await;
}

/// Reads enough to tell HTTP/2 with prior knowledge from HTTP/1. `None`: the client went away, or
/// took too long.
async fn sniff(worker: &Worker, socket: &mut Socket, timeouts: &ProxyTimeouts) -> Option<(Bytes, bool)> {
    let mut seen = Vec::new();
    loop {
        // Silence is an idle connection, the beginning of a preface a slow one.
        let patience = if seen.is_empty() { timeouts.keep_alive } else { timeouts.head };
        let more = std::future::poll_fn(|cx| {
            let mut scratch = worker.scratch.borrow_mut();
            // Room for most heads, and little to copy.
            let mut buf = ReadBuf::new(&mut scratch[..SMALLEST_BUFFER]);
            ready!(socket.poll_read(cx, &mut buf))?;
            seen.extend_from_slice(buf.filled());
            Poll::Ready(Ok::<_, io::Error>(buf.filled().len()))
        });
        match within(patience, more).await {
            Some(Ok(n)) if n > 0 => {}
            _ => return None,
        }
        let common = seen.len().min(PREFACE.len());
        if seen[..common] != PREFACE[..common] {
            return Some((seen.into(), false));
        }
        if common == PREFACE.len() {
            return Some((seen.into(), true));
        }
    }
}

/// Waits for `patience` at most; without one, for as long as it takes.
pub(super) async fn within<F: Future>(patience: Option<Duration>, future: F) -> Option<F::Output> {
    match patience {
        Some(patience) => tokio::time::timeout(patience, future).await.ok(),
        None => Some(future.await),
    }
}

fn http1_builder(settings: &ProxySettings) -> http1::Builder {
    let limits = &settings.limits;
    let mut builder = http1::Builder::new();
    builder
        // The driver's time limits do this, and can tell a slow head from an idle connection.
        .header_read_timeout(None)
        // A client that closes while it is held has gone away; while it is answered, the socket
        // hides the end (see `ConnState::answering`).
        .half_close(false)
        .title_case_headers(true)
        .max_headers(limits.fields)
        // The guard keeps the limits, and lets us answer in our own words: hyper's are never met.
        .max_header_size(limits.head + SMALLEST_BUFFER)
        .max_buf_size(limits.head + SMALLEST_BUFFER);
    builder
}

fn bounds(settings: &ProxySettings) -> Bounds {
    let ProxyLimits { head, fields, target, .. } = settings.limits;
    Bounds { head, fields, target }
}

fn http2_builder(settings: &ProxySettings) -> http2::Builder<Local> {
    let limits = &settings.limits;
    let mut builder = http2::Builder::new(Local);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_send_buf_size(SMALLEST_BUFFER * 8);
    builder
}

/// A hyper connection that can be told to end after its current requests.
trait Graceful: Future<Output = hyper::Result<()>> {
    fn graceful(self: Pin<&mut Self>);
}

impl<S> Graceful for http1::UpgradeableConnection<TokioIo<Downstream>, S>
where
    S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible>,
{
    fn graceful(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> Graceful for http2::Connection<TokioIo<Downstream>, S, Local>
where
    S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible>,
    S::Future: 'static,
{
    fn graceful(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Drives a hyper connection under our time limits.
struct Driver<C> {
    hyper: Pin<Box<C>>,
    state: Arc<ConnState>,
    open: Rc<Open>,
    call: Option<Call>,
    ending: bool,
    /// At the last look the drain had begun.
    draining: bool,
    is_http1: bool,
    head: Option<Duration>,
    keep_alive: Option<Duration>,
    body: Option<Duration>,
    doing: Option<Doing>,
    /// When what it does now has taken too long.
    deadline: Option<Moment>,
    alarm: Alarm,
}

impl<C: Graceful> Driver<C> {
    fn new(
        hyper: C,
        state: Arc<ConnState>,
        open: &Rc<Open>,
        timeouts: &ProxyTimeouts,
        is_http1: bool,
    ) -> Self {
        Self {
            hyper: Box::pin(hyper),
            state,
            open: Rc::clone(open),
            call: None,
            ending: false,
            draining: false,
            is_http1,
            head: timeouts.head,
            keep_alive: timeouts.keep_alive,
            body: timeouts.body,
            doing: None,
            deadline: None,
            alarm: Alarm::default(),
        }
    }

    fn end_gracefully(&mut self) {
        if !self.ending {
            self.ending = true;
            self.hyper.as_mut().graceful();
        }
    }

    /// Notes what the connection does now, and until when it may.
    fn note(&mut self) {
        let mut doing = self.state.doing();
        if !self.is_http1 && doing == Doing::Head {
            // Window updates and pings are not the beginning of a request.
            doing = Doing::Idle;
        }
        let wrote = self.state.take_wrote();
        let draining = self.is_http1 && self.open.draining();
        if self.doing == Some(doing) && !wrote && self.draining == draining {
            return;
        }
        self.doing = Some(doing);
        self.draining = draining;
        let patience = match doing {
            Doing::Idle if draining => Some(self.keep_alive.map_or(LINGER, |patience| patience.min(LINGER))),
            Doing::Idle => self.keep_alive,
            Doing::Head => self.head,
            // While bytes flow to a half-closed client it is there; when none do, who knows.
            Doing::HalfClosed => self.body,
            Doing::Busy | Doing::Flushing => None,
        };
        self.deadline = patience.map(|patience| clock::now() + patience);
    }

    /// Waits for the deadline.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.deadline.map_or(Poll::Pending, |deadline| self.alarm.poll(cx, deadline))
    }
}

impl<C: Graceful> Future for Driver<C> {
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.call.is_none() {
            this.call = Some(this.open.call(cx.waker().clone()));
        }
        if this.open.draining() && !this.is_http1 {
            this.end_gracefully();
        }
        loop {
            if let Poll::Ready(ended) = this.hyper.as_mut().poll(cx) {
                return Poll::Ready(ended);
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
            ready!(this.poll_deadline(cx));
            if this.is_http1 || this.ending {
                // Dropping hyper's connection closes the socket.
                return Poll::Ready(Ok(()));
            }
            this.end_gracefully();
            this.deadline = this.keep_alive.map(|patience| clock::now() + patience);
        }
    }
}
