//! New connections to an upstream.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::proxy::alarm::Alarm;
use crate::proxy::upstream::interim::{Taker, UpstreamSocket};
use crate::proxy::upstream::pool::{Http1, Http2, Local};
use crate::proxy::upstream::upload::RequestBody;

/// The socket of an HTTP/1.1 connection.
type Io = TokioIo<UpstreamSocket>;

/// Opens a TCP connection.
pub(in crate::proxy) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Speaks HTTP/1.1 on it. The connection is driven on this worker until it closes.
pub(in crate::proxy) async fn http1(stream: TcpStream) -> hyper::Result<Http1> {
    let taker = Taker::default();
    let (sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .handshake::<Io, RequestBody>(TokioIo::new(UpstreamSocket::new(stream, taker.clone())))
        .await?;
    let task = tokio::task::spawn_local(async move {
        if let Err(error) = connection.with_upgrades().await {
            // Whoever waits for an answer is told as well, and logs it.
            tracing::trace!(%error, "an upstream connection broke");
        }
    });
    Ok(Http1 { sender, taker, alarm: Alarm::default(), task: task.abort_handle() })
}

/// Flow-control windows of a stream and of a connection: what of an answer may lie here until its
/// client takes it. The connection is everybody's, so that those who take nothing must not use it up.
const WINDOWS: (u32, u32) = (64 * 1024, 1 << 30);

/// Speaks HTTP/2 on it, by prior knowledge.
pub(in crate::proxy) async fn http2(stream: TcpStream) -> hyper::Result<Http2> {
    let mut builder = http2::Builder::new(Local);
    builder.initial_stream_window_size(WINDOWS.0).initial_connection_window_size(WINDOWS.1);
    let (sender, driver) = builder.handshake::<_, RequestBody>(TokioIo::new(stream)).await?;
    // Shared with the pool, which asks it how many streams the upstream takes, and gone at its end:
    // so hyper tells those who still want something of it.
    let driver = Rc::new(RefCell::new(Some(driver)));
    let connection = Http2::new(sender, &driver);
    tokio::task::spawn_local(async move {
        let ended = poll_fn(|cx| match &mut *driver.borrow_mut() {
            Some(driver) => Pin::new(driver).poll(cx),
            None => Poll::Ready(Ok(())),
        });
        if let Err(error) = ended.await {
            tracing::trace!(%error, "an upstream connection broke");
        }
        drop(driver.take());
    });
    Ok(connection)
}
