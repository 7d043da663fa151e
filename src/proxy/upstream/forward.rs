//! To the upstream: a connection, the request, the head of the answer; and what is tried again.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::{Body, Incoming};
use tokio::net::TcpStream;

use crate::clock;
use crate::config::ProxyTimeouts;
use crate::domain::address::Upstream;
use crate::domain::time::Moment;
use crate::domain::words::Refusal;
use crate::proxy::alarm::{Alarm, within};
use crate::proxy::trouble::Fault;
use crate::proxy::upstream::answer;
use crate::proxy::upstream::dial;
use crate::proxy::upstream::interim::Taker;
use crate::proxy::upstream::pool::{Channel, Pool, Returning};
use crate::proxy::upstream::upload::{RequestBody, Upload};
use crate::supervisor::handle::{Asker, ServiceHandle};
use crate::supervisor::lease::Lease;

/// Pauses between attempts at an upstream that refuses: it may be about to listen.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));
/// How often a request follows its service to another upstream.
const MOST_MOVES: u32 = 3;
/// What looking at the container again may take before the request goes on without it.
const RECHECK: Duration = Duration::from_secs(5);
/// A connection in the same machine that takes longer has probably nobody at its other end: the
/// kernel takes seconds to say so of an address that a dead container left behind.
const SLOW: Duration = Duration::from_millis(100);
/// A head that takes longer may be that of a container somebody paused. The kernel goes on
/// accepting connections for it, so nothing but the silence tells.
const STALLED: Duration = Duration::from_millis(500);

/// What a request needs on its way to an answer.
pub(in crate::proxy) struct Forward<'a> {
    pub(in crate::proxy) pool: &'a Rc<Pool>,
    pub(in crate::proxy) service: &'a ServiceHandle,
    pub(in crate::proxy) asker: &'a Asker<'a>,
    pub(in crate::proxy) timeouts: &'a ProxyTimeouts,
    pub(in crate::proxy) hold_timeout: Duration,
    pub(in crate::proxy) http2: bool,
    /// Given up and taken again where the upstream is not where it was.
    pub(in crate::proxy) lease: Lease,
    /// How long the request has waited for wakes.
    pub(in crate::proxy) waited: &'a mut Option<Duration>,
    /// Where to see how far the client's body is.
    pub(in crate::proxy) upload: Option<Rc<Upload>>,
}

/// An answer's head, the lease for its body, and the connection it will give back.
pub(in crate::proxy) struct Answered {
    pub(in crate::proxy) response: Response<Incoming>,
    pub(in crate::proxy) returning: Returning,
    pub(in crate::proxy) lease: Lease,
}

/// How sending a request failed.
struct Unanswered {
    fault: Fault,
    /// The request, where not a byte of it went out.
    unsent: Option<Request<RequestBody>>,
}

impl Forward<'_> {
    /// Sends the request, once more where RFC 9110 (9.2.2), RFC 9113 (8.7) and trap 18 allow it: it
    /// did not go out, or the upstream says that it did not look at it, or it may be repeated and has
    /// no body that was begun.
    pub(in crate::proxy) async fn send(
        mut self,
        mut request: Request<RequestBody>,
    ) -> Result<Answered, Fault> {
        if self.http2 {
            request = for_http2(request);
        }
        let repeatable = request.method().is_idempotent() && request.body().is_end_stream();
        // What an HTTP/2 upstream did not process is sent again whatever it is.
        let mut spare = (repeatable || self.http2).then(|| Spare::of(&request));
        if self.http2
            && let Some(upload) = &self.upload
        {
            upload.keep();
        }
        // The clock is read once for what happens at once.
        let mut now = clock::now();
        let mut channel = match self.pooled(repeatable, now) {
            Some(channel) => channel,
            None => self.connect_at(&mut now).await?,
        };
        let mut tried = false;
        loop {
            let sent_to = self.lease.upstream();
            self.lease.forwarded();
            let outcome = match channel {
                Channel::Http1(mut connection) => {
                    request.body_mut().goes_to(&connection.taker);
                    let answer = pin!(connection.sender.try_send_request(request));
                    let outcome =
                        self.in_time(answer, now, &mut connection.alarm, Some(&connection.taker)).await;
                    outcome.map(|response| (response, Channel::Http1(connection)))
                }
                Channel::Http2(connection) => {
                    let mut sender = connection.sender();
                    let answer = pin!(sender.try_send_request(request));
                    let outcome = self.in_time(answer, now, &mut Alarm::default(), None).await;
                    outcome.map(|response| (response, Channel::Http2(connection)))
                }
            };
            let unanswered = match outcome {
                Ok((response, channel)) => {
                    answer::check(&response)?;
                    if let (Channel::Http2(_), Some(upload)) = (&channel, &self.upload) {
                        upload.forget();
                    }
                    let returning = Returning::new(self.pool, self.lease.upstream(), channel);
                    return Ok(Answered { response, returning, lease: self.lease });
                }
                Err(unanswered) => unanswered,
            };
            let Unanswered { fault, unsent } = unanswered;
            let again = match &fault {
                _ if tried => None,
                _ if unsent.is_some() => unsent,
                Fault::Terminated(error) if is_unprocessed(error) => self.again(spare.take()),
                Fault::Terminated(_) if repeatable => {
                    spare.take().map(|spare| spare.with(RequestBody::Empty))
                }
                _ => None,
            };
            let Some(again) = again else { return Err(fault) };
            request = again;
            tried = true;
            // Apart, like a new connection: hardly any request comes to this.
            Box::pin(self.renew(sent_to)).await.map_err(Fault::Refused)?;
            channel = self.connect_at(&mut now).await?;
        }
    }

    /// The request with all of its body, as far as that can still be had.
    fn again(&mut self, spare: Option<Spare>) -> Option<Request<RequestBody>> {
        let body = match &self.upload {
            None => RequestBody::Empty,
            Some(upload) => {
                let upload = upload.again()?;
                self.upload = Some(Rc::clone(&upload));
                RequestBody::Incoming(upload)
            }
        };
        spare.map(|spare| spare.with(body))
    }

    fn pooled(&self, repeatable: bool, now: Moment) -> Option<Channel> {
        let upstream = self.lease.upstream();
        if self.http2 {
            self.pool.shared(upstream).map(Channel::Http2)
        } else {
            self.pool.take(upstream, repeatable, now).map(Channel::Http1)
        }
    }

    /// A fresh connection, and when there was one.
    async fn connect_at(&mut self, now: &mut Moment) -> Result<Channel, Fault> {
        // Apart: most requests find a connection, and need not carry what making one takes.
        let channel = Box::pin(self.connect()).await;
        *now = clock::now();
        channel
    }

    /// A fresh connection. One that is refused is tried again until the time for connecting is
    /// over: the application may be about to listen. The container is looked at once in between.
    async fn connect(&mut self) -> Result<Channel, Fault> {
        let mut pause = PAUSES.0;
        let mut looked_at: Option<Upstream> = None;
        let mut until = self.connect_until();
        let mut moves = 0;
        loop {
            let upstream = self.lease.upstream();
            let left = until.map(|until| until.since(clock::now()));
            let mut dial = pin!(within(left, dial::connect(upstream.address)));
            let outcome = match tokio::time::timeout(SLOW, &mut dial).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    if looked_at != Some(upstream) {
                        self.renew(upstream).await.map_err(Fault::Refused)?;
                        looked_at = Some(upstream);
                    }
                    // Still where it was: the connection that is being made may well come.
                    if self.lease.upstream() == upstream { dial.await } else { None }
                }
            };
            let fault = match outcome {
                Some(Ok(stream)) => return self.handshake(upstream, stream).await,
                Some(Err(error)) => Fault::Connect(error),
                None => Fault::ConnectTimeout,
            };
            if looked_at != Some(upstream) {
                self.renew(upstream).await.map_err(Fault::Refused)?;
                looked_at = Some(upstream);
            }
            if self.lease.upstream() == upstream && self.service.lease().is_none() {
                // It went off in between.
                self.renew(upstream).await.map_err(Fault::Refused)?;
            }
            if self.lease.upstream() != upstream {
                // Somewhere else by now, and with time of its own. A container that ends whenever it
                // is dialled is not started for ever by one request.
                moves += 1;
                if moves > MOST_MOVES {
                    return Err(fault);
                }
                until = self.connect_until();
                pause = PAUSES.0;
                continue;
            }
            let left = until.map_or(pause, |until| until.since(clock::now()));
            if left.is_zero() {
                return Err(fault);
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn connect_until(&self) -> Option<Moment> {
        self.timeouts.connect.map(|patience| clock::now() + patience)
    }

    async fn handshake(&self, upstream: Upstream, stream: TcpStream) -> Result<Channel, Fault> {
        if self.http2 {
            let connection = dial::http2(stream).await.map_err(Fault::Terminated)?;
            self.pool.share(upstream, connection.clone());
            Ok(Channel::Http2(connection))
        } else {
            dial::http1(stream).await.map(Channel::Http1).map_err(Fault::Terminated)
        }
    }

    /// Has the container looked at again and takes a lease that tells the truth; where there is
    /// none the request is held, and the service woken, once more.
    async fn renew(&mut self, upstream: Upstream) -> Result<(), Refusal> {
        // A look that hangs must not: the gate tells what is known.
        let _ = tokio::time::timeout(RECHECK, self.service.recheck(upstream)).await;
        if let Some(lease) = self.service.lease() {
            self.lease = lease;
            return Ok(());
        }
        let began = clock::now();
        self.lease = self.service.hold(self.hold_timeout, self.asker).await?;
        *self.waited = Some(self.waited.unwrap_or_default() + clock::now().since(began));
        Ok(())
    }

    /// Somebody paused the container under this request: it waits like any other that came later.
    fn wake_if_paused(&self) {
        if self.service.snapshot().paused {
            self.service.wake_for(self.asker);
        }
    }

    /// Waits for the head of the answer. The time runs from the end of the client's body: an
    /// upload takes as long as it takes.
    async fn in_time<E: Into<Unsent>>(
        &self,
        mut answer: Pin<&mut impl Future<Output = Result<Response<Incoming>, E>>>,
        mut since: Moment,
        alarm: &mut Alarm,
        taker: Option<&Taker>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let mut look_at = since + STALLED;
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(outcome) = answer.as_mut().poll(cx) {
                return Poll::Ready(Ok(outcome));
            }
            loop {
                let over = self.timeouts.response_head.map(|patience| since + patience);
                let stuck = taker.and_then(Taker::blocked_since).zip(self.timeouts.write);
                let stuck = stuck.map(|(since, patience)| since + patience);
                let until = [over, stuck].into_iter().flatten().fold(look_at, Moment::min);
                ready!(alarm.poll(cx, until));
                if stuck == Some(until) {
                    return Poll::Ready(Err(Unanswered { fault: Fault::WriteTimeout, unsent: None }));
                }
                if over != Some(until) {
                    self.wake_if_paused();
                    look_at = until + STALLED;
                    continue;
                }
                match self.upload.as_ref().map(|upload| upload.finished_at()) {
                    Some(None) => since = clock::now(),
                    Some(Some(finished)) if finished > since => since = finished,
                    _ => return Poll::Ready(Err(Unanswered { fault: Fault::HeadTimeout, unsent: None })),
                }
            }
        })
        .await?;
        outcome.map_err(|error| {
            let Unsent { error, request } = error.into();
            let fault = if self.upload.as_ref().is_some_and(|upload| upload.failed()) {
                Fault::ClientBody(error)
            } else if error.is_parse() {
                Fault::Protocol(error)
            } else {
                Fault::Terminated(error)
            };
            Unanswered { fault, unsent: request }
        })
    }
}

/// hyper's error, with the request where it was not sent.
struct Unsent {
    error: hyper::Error,
    request: Option<Request<RequestBody>>,
}

impl From<hyper::client::conn::TrySendError<Request<RequestBody>>> for Unsent {
    fn from(mut error: hyper::client::conn::TrySendError<Request<RequestBody>>) -> Self {
        let request = error.take_message();
        Self { error: error.into_error(), request }
    }
}

/// Whether the upstream says that it has not processed the request (RFC 9113, 8.7): it refused the
/// stream, or went away before it.
fn is_unprocessed(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    source.is_some_and(|error| {
        // h2 tells of a GOAWAY only those streams that are beyond its last.
        error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}

/// What it takes to send the head of a request again. Hardly any request is sent again, so it is
/// kept in the form that is cheapest to make: a list, not a map.
struct Spare {
    method: Method,
    uri: Uri,
    version: Version,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Spare {
    fn of(request: &Request<RequestBody>) -> Self {
        let fields = request.headers();
        let mut list = Vec::with_capacity(fields.len());
        list.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            fields: list,
        }
    }

    fn with(self, body: RequestBody) -> Request<RequestBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        for (name, value) in self.fields {
            request.headers_mut().append(name, value);
        }
        request
    }
}

/// Makes a request one for HTTP/1.1: origin form, the length of its body said.
pub(in crate::proxy) fn for_http1<B: Body>(request: &mut Request<B>) {
    *request.version_mut() = Version::HTTP_11;
    if request.uri().authority().is_some() {
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = target.map_or_else(Uri::default, Uri::from);
    }
    let length_unknown = !request.body().is_end_stream() && request.body().size_hint().exact().is_none();
    if length_unknown {
        // hyper would send a GET of unknown length without its body.
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    join_cookies(request.headers_mut());
}

/// HTTP/2 clients send a cookie in crumbs; HTTP/1.1 has one line for them (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(http::header::COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else { return };
    let mut line = first.as_bytes().to_vec();
    for crumb in std::iter::once(second).chain(crumbs) {
        line.extend_from_slice(b"; ");
        line.extend_from_slice(crumb.as_bytes());
    }
    if let Ok(line) = HeaderValue::from_bytes(&line) {
        headers.insert(http::header::COOKIE, line);
    }
}

/// Makes a request one for HTTP/2: the host becomes the authority.
fn for_http2(mut request: Request<RequestBody>) -> Request<RequestBody> {
    request.headers_mut().remove(TRANSFER_ENCODING);
    request.headers_mut().remove(CONNECTION);
    *request.version_mut() = Version::HTTP_2;
    let host = request.headers_mut().remove(HOST);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    parts.authority = host.and_then(|host| host.as_bytes().try_into().ok());
    if parts.path_and_query.is_none() || *request.method() == Method::CONNECT {
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    }
    // The host was read as an authority before it was routed by.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    request
}
