//! WebSockets over HTTP/2 (RFC 8441): the client's extended CONNECT becomes the handshake of
//! HTTP/1.1 that the application knows, and one stream of the connection becomes the socket.

use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::ext::Protocol;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::proxy::downstream::state::Active;
use crate::proxy::downstream::stream::Stream;
use crate::proxy::fields::has_word;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
/// RFC 6455, 1.3.
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether a client on HTTP/2 wants a WebSocket.
pub(in crate::proxy) fn is_websocket<B>(request: &Request<B>) -> bool {
    *request.method() == Method::CONNECT
        && request
            .extensions()
            .get::<Protocol>()
            .is_some_and(|protocol| protocol.as_ref().eq_ignore_ascii_case(WEBSOCKET.as_bytes()))
}

/// What the application must answer to the handshake that was made for it.
pub(in crate::proxy) struct Handshake {
    accept: String,
}

/// Makes a wish for a WebSocket the handshake of HTTP/1.1. `None`: it is none.
pub(in crate::proxy) fn for_http1<B>(request: &mut Request<B>) -> Option<Handshake> {
    if !is_websocket(request) {
        return None;
    }
    let key = key();
    let handshake = Handshake { accept: accept(&key) };
    *request.method_mut() = Method::GET;
    let headers = request.headers_mut();
    headers.insert(UPGRADE, WEBSOCKET);
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::try_from(key).ok()?);
    headers.entry(SEC_WEBSOCKET_VERSION).or_insert(const { HeaderValue::from_static("13") });
    Some(handshake)
}

impl Handshake {
    /// Whether this answer can be passed on: a handshake that is completed, or a refusal. A
    /// success of another kind would open a tunnel at whose other end is nobody.
    pub(in crate::proxy) fn is_answered_by<B>(&self, response: &Response<B>) -> bool {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return !response.status().is_success();
        }
        let headers = response.headers();
        let mut accepts = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
        let accepted = accepts.next().is_some_and(|accept| accept.as_bytes() == self.accept.as_bytes());
        accepted && accepts.next().is_none() && has_word(headers, &UPGRADE, "websocket")
    }
}

/// Makes a completed handshake the answer to an extended CONNECT.
pub(in crate::proxy) fn for_http2<B>(response: &mut Response<B>) {
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
    response.headers_mut().remove(http::header::CONTENT_LENGTH);
}

/// Not a secret: it only keeps caches from answering (RFC 6455, 10.3), and the standard library's
/// hashers are seeded by the system.
fn key() -> String {
    let word = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&word().to_ne_bytes());
    bytes[8..].copy_from_slice(&word().to_ne_bytes());
    STANDARD.encode(bytes)
}

fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key.as_bytes()).chain_update(MAGIC).finalize())
}

/// The client's side of a tunnel that is one stream, once it has left HTTP.
pub(in crate::proxy) fn opened(
    upgrade: OnUpgrade,
    active: Active,
    patience: Option<Duration>,
) -> impl Future<Output = hyper::Result<Option<(Side, Bytes)>>> {
    // Asked here, in the stream's own task.
    let stream = Stream::current();
    async move {
        let upgraded = TokioIo::new(upgrade.await?);
        let side =
            Side { upgraded, stream, patience, timer: None, at_end: false, ended: false, _active: active };
        Ok(Some((side, Bytes::new())))
    }
}

/// A stream as a socket. Unless both halves ended well, dropping it resets the stream.
pub(in crate::proxy) struct Side {
    upgraded: TokioIo<Upgraded>,
    stream: Option<Rc<Stream>>,
    patience: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    /// The client's half has ended, it seems.
    at_end: bool,
    /// Ours has.
    ended: bool,
    _active: Active,
}

impl AsyncRead for Side {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.at_end {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.upgraded).poll_read(cx, buf))?;
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            // hyper shows a reset with CANCEL as an end. The task that writes to the stream hears
            // of a reset in the same moment: after its turn the two can be told apart.
            this.at_end = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if this.ended {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut this.upgraded).poll_flush(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Side {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Poll::Ready(written) = Pin::new(&mut this.upgraded).poll_write(cx, buf) {
            this.timer = None;
            return Poll::Ready(written);
        }
        if let Some(patience) = this.patience {
            let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
            ready!(timer.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.upgraded).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.upgraded).poll_shutdown(cx))?;
        self.ended = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if !self.ended
            && let Some(stream) = &self.stream
        {
            stream.cut();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455, 1.3.
    #[test]
    fn the_answer_to_a_key() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_ne!(key(), key());
        assert_eq!(STANDARD.decode(key()).unwrap().len(), 16);
    }

    #[test]
    fn what_answers_a_handshake() {
        let handshake = Handshake { accept: accept("key") };
        let good = accept("key");
        let answers = |status: u16, fields: &[(&str, &str)]| {
            let mut response = Response::builder().status(status);
            for (name, value) in fields {
                response = response.header(*name, *value);
            }
            handshake.is_answered_by(&response.body(()).unwrap())
        };
        assert!(answers(101, &[("upgrade", "WebSocket"), ("sec-websocket-accept", &good)]));
        assert!(!answers(101, &[("upgrade", "echo"), ("sec-websocket-accept", &good)]));
        assert!(!answers(101, &[("upgrade", "websocket"), ("sec-websocket-accept", "no")]));
        assert!(!answers(101, &[("upgrade", "websocket")]));
        let twice =
            [("upgrade", "websocket"), ("sec-websocket-accept", &good), ("sec-websocket-accept", "x")];
        assert!(!answers(101, &twice));
        assert!(answers(403, &[]) && answers(302, &[]) && answers(503, &[]));
        assert!(!answers(200, &[]));
    }
}
