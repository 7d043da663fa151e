//! Streams among each other: cancelled, cut short, slow, and next to a large one.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wakedock::domain::service::UpstreamProtocol;

use super::frames::{
    CANCEL, Client, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE, ask, fields,
    frame,
};
use super::rig::{Rig, Service, config, mirror, soon, until, upstream};

/// Tells when it is dropped.
struct Tells(mpsc::UnboundedSender<()>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// An HTTP/2 upstream that never ends its answers: `/head` has not even a head. Tells of each
/// stream that is cancelled. Takes no more than `most` of them on one connection.
async fn endless(most: u32) -> (SocketAddr, mpsc::UnboundedReceiver<()>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    let begun = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&begun);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (tell, counter) = (tell.clone(), Arc::clone(&counter));
            let answer = service_fn(move |request: Request<Incoming>| {
                let tells = Tells(tell.clone());
                counter.fetch_add(1, Ordering::SeqCst);
                async move {
                    if request.uri().path() == "/head" {
                        std::future::pending::<()>().await;
                    }
                    let frames = futures_util::stream::unfold((tells, 0), |(tells, n)| async move {
                        if n > 0 {
                            std::future::pending::<()>().await;
                        }
                        Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"abc"))), (tells, n + 1)))
                    });
                    Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
                }
            });
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .max_concurrent_streams(most)
                    .serve_connection(TokioIo::new(stream), answer),
            );
        }
    });
    (address, told, begun)
}

#[tokio::test]
async fn a_stream_that_is_reset_is_reset_at_an_http2_upstream() {
    let service = Service::new("app", |spec| spec.protocol = UpstreamProtocol::H2c);
    let (address, mut cancelled, begun) = endless(100).await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    // While the answer's body is on its way, and before there is any answer.
    client.get(1, "/body").await;
    client.await_frame(|frame| frame.stream == 1 && frame.kind == DATA).await;
    client.get(3, "/head").await;
    until("both are there", || begun.load(Ordering::SeqCst) == 2).await;
    for stream in [1, 3] {
        client.send(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()).await;
        soon(cancelled.recv()).await.unwrap();
    }
    // An upload on its way is cancelled just the same.
    client.send(HEADERS, END_HEADERS, 5, &ask("POST", "/head")).await;
    client.send(DATA, 0, 5, b"a beginning").await;
    until("it is there", || begun.load(Ordering::SeqCst) == 3).await;
    client.send(RST_STREAM, 0, 5, &CANCEL.to_be_bytes()).await;
    soon(cancelled.recv()).await.unwrap();
    until("all leases are back", || service.handle.leases() == 0).await;
}

/// A stream may take hours: the next one does not wait until the upstream's connection has room.
#[tokio::test]
async fn an_upstream_that_takes_few_streams_gets_another_connection() {
    const MOST: u32 = 2;
    let service = Service::new("app", |spec| spec.protocol = UpstreamProtocol::H2c);
    let (address, mut cancelled, begun) = endless(MOST).await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    let mut streams = Vec::new();
    // Under way in their bodies, or before any answer.
    for (n, path) in ["/body", "/head", "/head", "/body", "/body", "/head"].into_iter().enumerate() {
        let stream = 2 * n as u32 + 1;
        client.get(stream, path).await;
        until("it is there", || begun.load(Ordering::SeqCst) == n + 1).await;
        if path == "/body" {
            client.await_frame(|frame| frame.stream == stream && frame.kind == DATA).await;
        }
        streams.push(stream);
    }
    for stream in streams {
        client.send(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()).await;
        soon(cancelled.recv()).await.unwrap();
    }
    until("all leases are back", || service.handle.leases() == 0).await;
}

/// An HTTP/1 upstream has no way to be told but the end of its connection.
#[tokio::test]
async fn a_stream_that_is_reset_before_its_answer_closes_the_http1_upstream() {
    let service = Service::new("app", |_| {});
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let (address, connections) = upstream(move |mut wire, _| {
        let closed = closed.clone();
        async move {
            wire.rest().await;
            closed.send(()).unwrap();
        }
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    client.get(1, "/").await;
    client.send(HEADERS, END_HEADERS, 3, &ask("POST", "/")).await;
    client.send(DATA, 0, 3, b"a beginning").await;
    until("both are there", || connections.load(Ordering::SeqCst) == 2).await;
    for stream in [1, 3] {
        client.send(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()).await;
        soon(was_closed.recv()).await.unwrap();
    }
    until("all leases are back", || service.handle.leases() == 0).await;
}

/// Never a regular end, whatever the upstream had announced.
#[tokio::test]
async fn an_answer_cut_short_is_a_reset_stream() {
    let service = Service::new("app", |_| {});
    let (address, _) = upstream(|mut wire, number| async move {
        wire.head().await;
        let head = if number == 0 { "Content-Length: 10" } else { "Transfer-Encoding: chunked" };
        let body = if number == 0 { "abc" } else { "3\r\nabc\r\n" };
        wire.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}")).await;
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    for stream in [1, 3] {
        client.get(stream, "/").await;
        let end = client.await_frame(|frame| frame.is_last() || frame.kind == RST_STREAM).await;
        assert_eq!((end.stream, end.kind), (stream, RST_STREAM));
    }
    until("all leases are back", || service.handle.leases() == 0).await;
}

/// An upstream that writes as much as it can: how much it got rid of.
async fn fountain() -> (SocketAddr, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let (address, _) = upstream(move |mut wire, _| {
        let counter = Arc::clone(&counter);
        async move {
            use tokio::io::AsyncWriteExt;
            // Small buffers of the kernel, so that ours are what is seen.
            socket2::SockRef::from(&wire.stream).set_send_buffer_size(16 * 1024).unwrap();
            let head = wire.head().await;
            if head.starts_with("GET /small ") {
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall").await;
                return;
            }
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await;
            while let Ok(n) = wire.stream.write(&[b'x'; 16 * 1024]).await {
                counter.fetch_add(n, Ordering::SeqCst);
            }
        }
    })
    .await;
    (address, sent)
}

/// Flow control from end to end: what the client does not take, the upstream keeps.
#[tokio::test]
async fn a_slow_reader_holds_the_upstream_back() {
    let service = Service::new("app", |_| {});
    let (address, sent) = fountain().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[]).await;
    client.get(1, "/large").await;
    let mut taken = 0;
    while taken < 65_535 {
        taken += client.await_frame(|frame| frame.kind == DATA).await.payload.len();
    }
    // The window is used up. The upstream goes on until every buffer on the way is full, and stops.
    let mut before = usize::MAX;
    while sent.load(Ordering::SeqCst) != before {
        before = sent.load(Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    // Most of it is the kernel's: a receive buffer grows to several megabytes.
    assert!(before < 16 << 20, "{before} bytes were taken from the upstream");
    for stream in [0, 1] {
        client.send(WINDOW_UPDATE, 0, stream, &(1_u32 << 30).to_be_bytes()).await;
    }
    while taken < before + (1 << 20) {
        taken += client.await_frame(|frame| frame.kind == DATA).await.payload.len();
    }
    assert!(sent.load(Ordering::SeqCst) > before, "and goes on when the client does");
}

/// A large answer takes turns with small ones: none waits for its end.
#[tokio::test]
async fn a_large_answer_starves_no_small_one() {
    let service = Service::new("app", |_| {});
    let (address, _) = fountain().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[(4, 1 << 20)]).await;
    client.send(WINDOW_UPDATE, 0, 0, &(1_u32 << 20).to_be_bytes()).await;
    client.get(1, "/large").await;
    client.await_frame(|frame| frame.kind == DATA).await;
    let open = |stream: u32| frame(WINDOW_UPDATE, 0, stream, &(1_u32 << 20).to_be_bytes());
    let mut large = 0_usize;
    let mut since = 0;
    for n in 1..=20 {
        let stream = 2 * n + 1;
        client.get(stream, "/small").await;
        let mut answer = Vec::new();
        loop {
            let frame = client.frame().await.unwrap();
            match (frame.stream, frame.kind) {
                (1, DATA) => {
                    large += frame.payload.len();
                    since += frame.payload.len();
                    if since > 1 << 19 {
                        since = 0;
                        assert!(client.try_send(&[open(0), open(1)].concat()).await);
                    }
                }
                (at, DATA) if at == stream => answer.extend_from_slice(&frame.payload),
                _ => {}
            }
            if frame.stream == stream && frame.is_last() {
                break;
            }
        }
        assert_eq!(answer, b"small");
    }
    assert!(large > 0 && large < 500_000_000, "{large} bytes of the large one came in between");
}

/// An HTTP/2 upstream whose answers never end, but for `/small`: how much of them it got rid of.
async fn http2_fountain() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let counter = Arc::clone(&counter);
            let answer = service_fn(move |request: Request<Incoming>| {
                let counter = Arc::clone(&counter);
                async move {
                    let (part, most) = match request.uri().path() {
                        "/small" => (&b"small"[..], 1),
                        _ => (&[b'x'; 16 * 1024][..], usize::MAX),
                    };
                    let frames = futures_util::stream::iter(0..most).map(move |_| {
                        counter.fetch_add(part.len(), Ordering::SeqCst);
                        Ok::<_, Infallible>(Frame::data(Bytes::from_static(part)))
                    });
                    Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
                }
            });
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), answer),
            );
        }
    });
    (address, sent)
}

/// The connection to an HTTP/2 upstream belongs to everybody: those who take nothing of their
/// answers hold back those answers, and nothing else.
#[tokio::test]
async fn slow_readers_leave_an_http2_upstream_to_the_others() {
    const CLIENTS: usize = 6;
    const STREAMS: usize = 8;
    let service = Service::new("app", |spec| spec.protocol = UpstreamProtocol::H2c);
    let (address, sent) = http2_fountain().await;
    service.open(address, 1);
    let mut config = config();
    // Nobody is cut for being slow.
    config.timeouts.write = None;
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut slow = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::new(rig.address, &[]).await;
        for n in 0..STREAMS {
            client.get(2 * n as u32 + 1, "/large").await;
        }
        slow.push(client);
    }
    let mut before = usize::MAX;
    while sent.load(Ordering::SeqCst) != before {
        before = sent.load(Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let each = before / (CLIENTS * STREAMS);
    assert!((64 * 1024..256 * 1024).contains(&each), "{each} bytes of each were taken from the upstream");
    // Some of them by each worker, and so by each connection to the upstream.
    for _ in 0..CLIENTS {
        let mut client = Client::new(rig.address, &[]).await;
        client.get(1, "/small").await;
        assert_eq!(client.is_answered(1).await, b"small");
    }
}

/// One connection here, one there, and a large answer on both: fifty small ones come in between.
#[tokio::test]
async fn a_large_answer_of_an_http2_upstream_starves_no_small_one() {
    const SMALL: u32 = 50;
    let service = Service::new("app", |spec| spec.protocol = UpstreamProtocol::H2c);
    let (address, _) = http2_fountain().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = Client::new(rig.address, &[(4, 1 << 30)]).await;
    client.send(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes()).await;
    client.get(1, "/large").await;
    let mut large = 0;
    while large < 1 << 20 {
        large += client.await_frame(|frame| (frame.stream, frame.kind) == (1, DATA)).await.payload.len();
    }
    for n in 1..=SMALL {
        client.get(2 * n + 1, "/small").await;
    }
    let (mut answered, mut meanwhile) = (0, 0);
    while answered < SMALL {
        let frame = client.frame().await.unwrap();
        match frame.stream {
            1 => meanwhile += frame.payload.len(),
            _ => answered += u32::from(frame.is_last()),
        }
        assert!(meanwhile < 256 << 20, "{answered} of {SMALL} came in {meanwhile} bytes of the large one");
    }
}

/// Uploads that wait, here for a wake, leave the connection to the others.
#[tokio::test]
async fn uploads_that_wait_leave_their_connection_to_the_others() {
    const WAITING: u32 = 16;
    let asleep = Service::new("asleep", |_| {});
    let awake = Service::new("awake", |_| {});
    let (address, _) = mirror().await;
    awake.open(address, 1);
    let rig =
        Rig::with(&config(), &[("asleep.test", None, &asleep.handle), ("app.test", None, &awake.handle)]);
    // What is granted to each stream, and to all of them together.
    let mut wire = rig.client().await;
    wire.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, b"")[..]].concat()).await;
    let (mut each, mut all) = (0, 65_535);
    let mut client = Client::over(wire);
    while each == 0 || all == 65_535 {
        let frame = client.frame().await.unwrap();
        match frame.kind {
            SETTINGS => {
                for setting in frame.payload.chunks(6).filter(|setting| setting[..2] == [0, 4]) {
                    each = u32::from_be_bytes(setting[2..].try_into().unwrap()) as usize;
                }
            }
            WINDOW_UPDATE => all += u32::from_be_bytes(frame.payload[..].try_into().unwrap()) as usize,
            _ => {}
        }
    }
    client.send(SETTINGS, 1, 0, b"").await;
    for n in 0..WAITING {
        let head = fields(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "asleep.test"),
        ]);
        client.send(HEADERS, END_HEADERS, 2 * n + 1, &head).await;
        let mut left = each;
        while left > 0 {
            let part = left.min(16 * 1024);
            assert!(all > part, "{n} uploads have used up the connection");
            client.send(DATA, 0, 2 * n + 1, &vec![b'x'; part]).await;
            (left, all) = (left - part, all - part);
        }
    }
    let stream = 2 * WAITING + 1;
    client.send(HEADERS, END_HEADERS, stream, &ask("POST", "/")).await;
    client.send(DATA, END_STREAM, stream, b"a message").await;
    assert!(client.is_answered(stream).await.ends_with(b"a message"));
}
