//! One connection to the engine's socket, one request on it.
//!
//! bollard's own connectors look for the socket file when the client is made and hide the cause
//! of a failed connection; this one needs nothing but an address and gives plain I/O errors.

use std::error::Error;
use std::io;
use std::time::Duration;

use http::header::{HOST, HeaderValue};
use http::uri::Uri;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::config::DockerHost;

/// After this much silence the kernel asks whether a TCP peer still lives: an event stream is
/// silent for hours, and a peer that lost its power says nothing.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Sends one request on a connection of its own and returns the head of the answer. The connection
/// ends with the answer's body.
pub(super) async fn send<B>(host: &DockerHost, mut request: Request<B>) -> io::Result<Response<Incoming>>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("docker"));
    if let Some(target) = request.uri().path_and_query() {
        *request.uri_mut() = Uri::from(target.clone());
    }
    match host {
        DockerHost::Unix(path) => exchange(UnixStream::connect(path).await?, request).await,
        DockerHost::Tcp(address) => {
            let stream = TcpStream::connect(address.as_str()).await?;
            stream.set_nodelay(true)?;
            let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3);
            SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
            exchange(stream, request).await
        }
    }
}

async fn exchange<S, B>(stream: S, request: Request<B>) -> io::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(into_io)?;
    // What goes wrong on the connection also reaches whoever waits for the answer.
    tokio::spawn(connection.with_upgrades());
    sender.send_request(request).await.map_err(into_io)
}

/// The I/O error inside, or one that wraps it.
pub(super) fn into_io(error: hyper::Error) -> io::Error {
    let kind = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let kind = match kind {
        Some(kind) => kind,
        None if error.is_incomplete_message() || error.is_closed() => io::ErrorKind::UnexpectedEof,
        None => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
