//! The control plane's listeners: TCP, the local socket, and connections that the data plane hands
//! over. They have limits of their own, so that neither side starves the other.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use futures_util::future::{Either, select};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tower::ServiceExt as _;

use crate::admin::crowd::{Crowd, Seat};
use crate::admin::patience::Patient;
use crate::admin::peer::Peer;
use crate::config::AdminConfig;
use crate::local_socket::{self, LocalSocketError, SocketFile};

/// Connections at once: a few hundred open dashboards, scrapers, probes, Caddy.
const CONNECTIONS: usize = 1024;
/// Of one address, or one /64 of IPv6; those of trusted proxies are not counted, for their clients are,
/// at the door.
const PER_ADDRESS: usize = 128;
/// The command line and the data plane have places of their own.
const LOCAL: usize = 64;
const HANDED_OVER: usize = 512;
/// A client that has not sent its request's head by then is let go.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that reads nothing of its answer for so long is let go. One that has gone away without a
/// word is found out as soon.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for what is in the kernel's hands, in milliseconds.
const USER_TIMEOUT: u32 = 60_000;
/// Bytes and fields of a head; over them 431.
const HEAD_SIZE: usize = 32 * 1024;
const HEAD_FIELDS: usize = 100;
/// After an `accept` that failed: descriptors ran out, most likely.
const PAUSE: Duration = Duration::from_millis(100);
/// For requests that are being answered when everything ends.
const LAST_WORDS: Duration = Duration::from_secs(2);
const BACKLOG: i32 = 128;
/// Read and write for WakeDock's user and group. Who may speak is asked of the kernel besides.
const SOCKET_MODE: u32 = 0o660;

/// The socket of the local command line.
#[derive(Debug)]
pub struct LocalSocket {
    listener: UnixListener,
    /// Removed with the listener.
    file: SocketFile,
}

impl LocalSocket {
    /// Binds it, over what a killed process left behind.
    ///
    /// # Errors
    /// Says what is in the way.
    pub fn bind(path: &Path, group: Option<&str>) -> Result<Self, LocalSocketError> {
        let (socket, file) = local_socket::bind(path, SOCKET_MODE, group, BACKLOG)?;
        Ok(Self { listener: UnixListener::from_std(socket.into())?, file })
    }
}

/// Where the data plane puts connections for the dashboard's host.
pub type HandOver = mpsc::Sender<std::os::unix::net::UnixStream>;

/// What is served on.
#[derive(Debug)]
pub struct Listeners {
    pub tcp: TcpListener,
    pub local: Option<LocalSocket>,
    pub handed_over: mpsc::Receiver<std::os::unix::net::UnixStream>,
}

/// The running control plane.
#[derive(Debug)]
pub struct Server {
    end: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Accepts no more, and lets requests that are being answered finish for a moment.
    pub async fn end(self) {
        self.end.send_replace(true);
        // Every connection holds a receiver.
        let gone = self.end.closed();
        let _ = tokio::time::timeout(LAST_WORDS, async {
            let _ = self.accepting.await;
            gone.await;
        })
        .await;
    }
}

/// Starts serving.
pub fn serve(listeners: Listeners, router: Router, config: Arc<ArcSwap<AdminConfig>>) -> Server {
    let (end, ending) = watch::channel(false);
    let places = |count| Arc::new(Semaphore::new(count));
    let places =
        AllPlaces { tcp: places(CONNECTIONS), local: places(LOCAL), handed_over: places(HANDED_OVER) };
    let common = Common { router, ending, crowd: Crowd::new(PER_ADDRESS), places: Arc::new(places), config };
    let accepting = tokio::spawn(accept(listeners, common));
    Server { end, accepting }
}

/// What connections have in common.
#[derive(Clone)]
struct Common {
    router: Router,
    ending: watch::Receiver<bool>,
    crowd: Arc<Crowd>,
    places: Arc<AllPlaces>,
    config: Arc<ArcSwap<AdminConfig>>,
}

struct AllPlaces {
    tcp: Arc<Semaphore>,
    local: Arc<Semaphore>,
    handed_over: Arc<Semaphore>,
}

fn place(of: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(of).try_acquire_owned().ok()
}

/// A connection that came in.
enum Arrived {
    Tcp(TcpStream, IpAddr),
    Local(UnixStream),
    HandedOver(std::os::unix::net::UnixStream),
}

async fn accept(listeners: Listeners, common: Common) {
    let Listeners { tcp, local, mut handed_over } = listeners;
    let (local, _file) = local.map_or((None, None), |local| (Some(local.listener), Some(local.file)));
    let mut ending = common.ending.clone();
    loop {
        let arrived = tokio::select! {
            biased;
            _ = ending.wait_for(|ending| *ending) => return,
            accepted = next_local(local.as_ref()) => accepted.map(Arrived::Local),
            Some(stream) = handed_over.recv() => Ok(Arrived::HandedOver(stream)),
            accepted = tcp.accept() => accepted.map(|(stream, from)| Arrived::Tcp(stream, from.ip())),
        };
        // Over a limit a connection is closed at once, so that those behind it in the queue are not
        // kept waiting.
        match arrived {
            Ok(arrived) => common.take_on(arrived),
            Err(error) => {
                tracing::warn!(%error, "the admin listener did not accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn next_local(listener: Option<&UnixListener>) -> io::Result<UnixStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

/// Places that a connection holds for as long as it lives.
type Places = (OwnedSemaphorePermit, Option<Seat>);

impl Common {
    fn take_on(&self, arrived: Arrived) {
        match arrived {
            Arrived::Tcp(stream, from) => {
                // Whoever is gone already is found out by reading.
                let _ = stream.set_nodelay(true);
                let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, USER_TIMEOUT);
                let from = from.to_canonical();
                let to = stream.local_addr().map_or(from, |to| to.ip());
                let trusted =
                    self.config.load().trusted_proxies.iter().any(|network| network.contains(&from));
                if let Some(place) = place(&self.places.tcp)
                    && let Some(seat) = self.crowd.admit((!trusted).then_some(from))
                {
                    self.serve(stream, Peer::Tcp { from, to }, (place, Some(seat)));
                }
            }
            Arrived::Local(stream) => {
                if let Ok(credentials) = stream.peer_cred()
                    && let Some(place) = place(&self.places.local)
                {
                    self.serve(stream, Peer::Socket { uid: credentials.uid() }, (place, None));
                }
            }
            Arrived::HandedOver(stream) => {
                if stream.set_nonblocking(true).is_ok()
                    && let Ok(stream) = UnixStream::from_std(stream)
                    && let Some(place) = place(&self.places.handed_over)
                {
                    self.serve(stream, Peer::Proxy, (place, None));
                }
            }
        }
    }

    fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        places: Places,
    ) {
        let router = self.router.clone();
        let mut ending = self.ending.clone();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let router = router.clone();
            async move { router.oneshot(request.map(Body::new)).await }
        });
        tokio::spawn(async move {
            let mut served = std::pin::pin!(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT)
                    .max_buf_size(HEAD_SIZE)
                    .max_headers(HEAD_FIELDS)
                    .serve_connection(TokioIo::new(Patient::new(stream, WRITE_TIMEOUT)), service)
            );
            let told = async { drop(ending.wait_for(|ending| *ending).await) };
            let ended = match select(served.as_mut(), std::pin::pin!(told)).await {
                Either::Left((ended, _)) => ended,
                Either::Right(((), _)) => {
                    served.as_mut().graceful_shutdown();
                    served.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "an admin connection broke");
            }
            drop((places, ending));
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::Bytes;
    use axum::routing::get;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Sends for ever, and counts how often it is asked for more and when it is let go.
    struct Endless(Arc<AtomicUsize>);

    impl Drop for Endless {
        fn drop(&mut self) {
            self.0.store(usize::MAX, Ordering::Relaxed);
        }
    }

    /// The story: a client that asked for something large and never read held its connection, its
    /// place and a full buffer for as long as it liked.
    #[tokio::test(start_paused = true)]
    async fn whoever_never_reads_holds_nothing_for_long() {
        let asked = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&asked);
        let endless = move || {
            let endless = Endless(Arc::clone(&seen));
            async move {
                let pieces = futures_util::stream::unfold(endless, |endless| async {
                    endless.0.fetch_add(1, Ordering::Relaxed);
                    Some((Ok::<_, std::convert::Infallible>(Bytes::from_static(&[0; 4096])), endless))
                });
                Body::from_stream(pieces)
            }
        };
        let places = |count| Arc::new(Semaphore::new(count));
        let places = AllPlaces { tcp: places(1), local: places(1), handed_over: places(1) };
        let (_end, ending) = watch::channel(false);
        let common = Common {
            router: Router::new().route("/", get(endless)),
            ending,
            crowd: Crowd::new(PER_ADDRESS),
            places: Arc::new(places),
            config: Arc::default(),
        };
        let place = place(&common.places.local).unwrap();
        let (near, mut far) = tokio::io::duplex(1024);
        common.serve(near, Peer::Socket { uid: 0 }, (place, None));
        far.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        tokio::time::sleep(WRITE_TIMEOUT - Duration::from_secs(1)).await;
        let waiting = asked.load(Ordering::Relaxed);
        assert!((1..100).contains(&waiting), "{waiting} pieces were made for nobody");
        assert_eq!(common.places.local.available_permits(), 0);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(asked.load(Ordering::Relaxed), usize::MAX, "the answer was let go");
        assert_eq!(common.places.local.available_permits(), 1);
    }
}
