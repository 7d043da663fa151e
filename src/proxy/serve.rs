//! One downstream connection: which protocol it speaks, how long it may idle, how it ends.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::ReadBuf;

use crate::config::{ProxyLimits, ProxyTimeouts};
use crate::domain::words::Limit;
use crate::proxy::alarm::within;
use crate::proxy::downstream::driver::{Driver, Outcome};
use crate::proxy::downstream::guard::Guard;
use crate::proxy::downstream::http2::{self, Counted};
use crate::proxy::downstream::io::Downstream;
use crate::proxy::downstream::parked::Parked;
use crate::proxy::downstream::peer::Peer;
use crate::proxy::downstream::socket::Socket;
use crate::proxy::downstream::state::ConnState;
use crate::proxy::drain::LINGER;
use crate::proxy::drain::Stage;
use crate::proxy::exchange::body::ResponseBody;
use crate::proxy::exchange::connection::Connection;
use crate::proxy::exchange::service;
use crate::proxy::grammar::Bounds;
use crate::proxy::settings::ProxySettings;
use crate::proxy::worker::{Permit, Worker};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// hyper's smallest read buffer.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// Serves a connection to its end.
pub(super) async fn serve(worker: Rc<Worker>, mut socket: Socket, peer: Peer, permit: Option<Permit>) {
    let settings = worker.settings();
    let (replay, is_http2) = tokio::select! {
        biased;
        sniffed = sniff(&worker, &mut socket, &settings.timeouts) => match sniffed {
            Some(sniffed) => sniffed,
            None => return,
        },
        () = draining(&worker) => return,
    };
    let state = Arc::new(ConnState::new(is_http2, worker.cuts.clone()));
    let guard = if is_http2 { Guard::blind(replay) } else { Guard::new(bounds(&settings), replay, &state) };
    let io = Downstream::new(socket, guard, Arc::clone(&state), settings.timeouts.write);
    let connection = Rc::new(Connection { worker, peer, state, permit });
    // Each in a box of its own: a connection is one of the two, and holds no room for the other.
    let ended = if is_http2 {
        Box::pin(serve_http2(connection, io)).await
    } else {
        Box::pin(serve_http1(connection, io)).await
    };
    if let Err(error) = ended {
        // Clients break connections all day: that is their business.
        tracing::debug!(error = &error as &dyn std::error::Error, "a client's connection broke");
    }
}

async fn serve_http1(connection: Rc<Connection>, io: Downstream) -> hyper::Result<()> {
    let open = Rc::clone(&connection.worker.open);
    let mut io = TokioIo::new(io);
    loop {
        let settings = connection.worker.settings();
        let requests = requests(Rc::clone(&connection));
        let hyper = http1_builder(&settings).serve_connection(io, requests).with_upgrades();
        let driver = Driver::new(hyper, Arc::clone(&connection.state), &open, &settings.timeouts, None);
        drop(settings);
        let Outcome::Parked(hyper, until) = driver.await? else { return Ok(()) };
        io = match hyper.into_parts() {
            // With nothing read and nothing to write, hyper remembers nothing that would be lost.
            Some(parts) if parts.read_buf.is_empty() => parts.io,
            _ => return Ok(()),
        };
        connection.worker.connections.park();
        if !Parked::new(io.inner(), &open, until).await {
            return Ok(());
        }
    }
}

async fn serve_http2(connection: Rc<Connection>, io: Downstream) -> hyper::Result<()> {
    let open = Rc::clone(&connection.worker.open);
    let settings = connection.worker.settings();
    let incoming = http2::Incoming::default();
    let state = Arc::clone(&connection.state);
    let io = TokioIo::new(Counted::new(io, incoming.clone()));
    let hyper = http2::builder(&settings, &state).serve_connection(io, requests(connection));
    let driver = Driver::new(hyper, state, &open, &settings.timeouts, Some(incoming));
    drop(settings);
    driver.await.map(drop)
}

/// Answers the requests of a connection.
fn requests(
    connection: Rc<Connection>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<ResponseBody>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<ResponseBody>, Infallible>> + 'static,
> {
    service_fn(move |request: Request<Incoming>| {
        let connection = Rc::clone(&connection);
        async move {
            let mut response = service::serve(&connection, request).await;
            let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            let is_http1 = !connection.state.is_http2();
            if is_http1 && !is_upgrade && connection.worker.open.draining() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    })
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
            None if !seen.is_empty() => {
                worker.cuts.count(Limit::Head);
                return None;
            }
            _ => return None,
        }
        if is_not_http(&seen) {
            return None;
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

/// Whether the first line ends with the name of another protocol, or of none: the peer could not
/// read an answer in HTTP/1.1 (RFC 9113, 3.4). What only breaks the grammar of HTTP/1.1 is answered.
fn is_not_http(seen: &[u8]) -> bool {
    let Some(end) = seen.windows(2).position(|pair| pair == b"\r\n") else { return false };
    let mut words = seen[..end].split(|byte| *byte == b' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(_), Some(_), Some(version), None) => {
            version.first().is_some_and(u8::is_ascii_alphabetic)
                && !version.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"HTTP"))
        }
        _ => false,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_http_at_all() {
        for line in ["INVALID CONNECTION PREFACE\r\n\r\n", "a b c\r\n", "SSH - OpenSSH\r\nx"] {
            assert!(is_not_http(line.as_bytes()), "{line:?}");
        }
        for line in [
            "GET / HTTP/1.1\r\n",
            "GET / http/1.1\r\n",
            "GET / HTTP/9\r\n",
            "GET / HTTPS/1.1\r\n",
            "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
            "GET /\r\n",
            "GET /a b HTTP/1.1\r\n",
            "GET  /\r\n",
            "INVALID CONNECTION PREFACE",
            "",
            "\r\n",
        ] {
            assert!(!is_not_http(line.as_bytes()), "{line:?}");
        }
    }
}
