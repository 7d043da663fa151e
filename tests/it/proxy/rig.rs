//! What the tests stand on.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

use wakedock::config::{Listen, ProxyConfig, ProxyLimits, ProxyTimeouts};
use wakedock::domain::address::Upstream;
use wakedock::domain::host::HostPattern;
use wakedock::domain::name::{ContainerName, ServiceName};
use wakedock::domain::route::RouteTable;
use wakedock::domain::service::ServiceSpec;
use wakedock::domain::time::Moment;
use wakedock::domain::words::Refusal;
use wakedock::metrics::{Cuts, ServiceMetrics};
use wakedock::proxy::{DataPlane, ProxySettings, Routes, bind};
use wakedock::supervisor::handle::{HoldLimit, Message, ServiceHandle};
use wakedock::supervisor::lease::Lease;

/// Nothing in these tests takes this long, unless it is broken.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("not in time")
}

/// Waits until something that announces itself in no other way is true.
pub(super) async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let mut waited = Duration::ZERO;
    while !is_true() {
        assert!(waited < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
        waited += Duration::from_millis(2);
    }
}

pub(super) fn config() -> ProxyConfig {
    ProxyConfig {
        listen: vec![Listen::Tcp("127.0.0.1:0".parse().unwrap())],
        socket_mode: 0o660,
        socket_group: None,
        trusted_proxies: Vec::new(),
        max_held: 100,
        timeouts: ProxyTimeouts {
            head: Some(PATIENCE),
            keep_alive: Some(PATIENCE),
            body: Some(PATIENCE),
            connect: Some(Duration::from_millis(500)),
            response_head: Some(PATIENCE),
            write: Some(PATIENCE),
        },
        limits: ProxyLimits {
            head: 64 * 1024,
            fields: 200,
            target: 32 * 1024,
            connections: 1000,
            connections_per_address: 1000,
            streams: 64,
        },
    }
}

/// A service of which the test is the supervisor.
pub(super) struct Service {
    pub(super) handle: ServiceHandle,
    pub(super) mailbox: mpsc::UnboundedReceiver<Message>,
}

impl Service {
    pub(super) fn new(name: &str, change: impl FnOnce(&mut ServiceSpec)) -> Self {
        let name = ServiceName::parse(name).unwrap();
        let mut spec = ServiceSpec::new(name.clone(), ContainerName::parse("secret-container").unwrap());
        change(&mut spec);
        let (handle, mailbox) = ServiceHandle::new(
            Arc::new(spec),
            ServiceMetrics::new(name, 2, wakedock::clock::now()),
            Arc::new(HoldLimit::new(100)),
            Arc::new(Notify::new()),
            Moment::START,
        );
        Self { handle, mailbox }
    }

    pub(super) fn open(&self, address: SocketAddr, generation: u64) {
        self.handle.gate().open(Upstream { address, generation }, Moment::START);
    }

    /// The next thing that is asked of the supervisor.
    pub(super) async fn message(&mut self) -> Message {
        soon(self.mailbox.recv()).await.expect("the handle is gone")
    }

    /// The next demand.
    pub(super) async fn demand(&mut self) -> tokio::sync::oneshot::Sender<Result<Lease, Refusal>> {
        match self.message().await {
            Message::Demand { answer, .. } => answer,
            other => panic!("no demand: {other:?}"),
        }
    }

    /// Wakes for the next demand.
    pub(super) async fn admit(&mut self, address: SocketAddr) {
        let answer = self.demand().await;
        self.open(address, 1);
        answer.send(Ok(self.handle.lease().unwrap())).unwrap();
    }

    /// A supervisor in the background that answers every look at the container by leaving things
    /// as they are, and counts them.
    pub(super) fn rechecks(mut self) -> (ServiceHandle, Arc<AtomicUsize>) {
        let looked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&looked);
        tokio::spawn(async move {
            while let Some(message) = self.mailbox.recv().await {
                if let Message::Recheck { done, .. } = message {
                    counter.fetch_add(1, Ordering::SeqCst);
                    done.send(()).unwrap();
                }
            }
        });
        (self.handle, looked)
    }
}

/// The data plane with one service at `app.test`.
pub(super) struct Rig {
    pub(super) plane: DataPlane,
    pub(super) address: SocketAddr,
    pub(super) routes: Routes,
    pub(super) settings: Arc<ArcSwap<ProxySettings>>,
    pub(super) unknown: Arc<ServiceMetrics>,
    pub(super) cuts: Cuts,
}

pub(super) fn table(routes: &[(&str, Option<&str>, &ServiceHandle)]) -> RouteTable<ServiceHandle> {
    let mut table = RouteTable::default();
    for (host, path, service) in routes {
        assert!(table.insert(&HostPattern::parse(host).unwrap(), *path, (*service).clone()));
    }
    table
}

impl Rig {
    pub(super) fn new(service: &ServiceHandle) -> Self {
        Self::with(&config(), &[("app.test", None, service)])
    }

    pub(super) fn with(config: &ProxyConfig, routes: &[(&str, Option<&str>, &ServiceHandle)]) -> Self {
        let bound = bind(config, Vec::new(), 2).unwrap();
        let address = match &bound.addresses()[0].0 {
            Listen::Tcp(address) => *address,
            Listen::Unix(_) => "0.0.0.0:0".parse().unwrap(),
        };
        let routes = Arc::new(ArcSwap::from_pointee(table(routes)));
        let settings = Arc::new(ArcSwap::from_pointee(ProxySettings::new(config, false)));
        let unknown = ServiceMetrics::new(ServiceName::parse("unknown").unwrap(), 2, wakedock::clock::now());
        let cuts = Cuts::default();
        let plane = DataPlane::start(
            bound,
            Arc::clone(&routes),
            Arc::clone(&settings),
            Arc::clone(&unknown),
            cuts.clone(),
        )
        .unwrap();
        Self { plane, address, routes, settings, unknown, cuts }
    }

    pub(super) async fn client(&self) -> Wire<TcpStream> {
        Wire::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own: the whole answer as text.
    pub(super) async fn ask(&self, request: &str) -> String {
        let mut client = self.client().await;
        client.send(request).await;
        let head = client.head().await;
        let body = client.body_of(&head).await;
        head + &String::from_utf8(body).unwrap()
    }
}

/// One end of a connection, bytes as they are.
pub(super) struct Wire<S> {
    pub(super) stream: S,
    seen: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, seen: Vec::new() }
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Reads more. False at the end.
    async fn more(&mut self) -> std::io::Result<bool> {
        let mut chunk = vec![0; 64 * 1024];
        let n = soon(self.stream.read(&mut chunk)).await?;
        self.seen.extend_from_slice(&chunk[..n]);
        Ok(n > 0)
    }

    /// Everything to the end of `mark`.
    pub(super) async fn through(&mut self, mark: &str) -> String {
        String::from_utf8(self.bytes_through(mark).await).unwrap()
    }

    pub(super) async fn bytes_through(&mut self, mark: &str) -> Vec<u8> {
        loop {
            if let Some(at) = self.seen.windows(mark.len()).position(|window| window == mark.as_bytes()) {
                let rest = self.seen.split_off(at + mark.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let more = self.more().await.unwrap();
            assert!(more, "ended before {mark:?}: {:?}", String::from_utf8_lossy(&self.seen));
        }
    }

    /// The next line; `None` where the end comes first.
    pub(super) async fn line(&mut self) -> Option<String> {
        while !self.seen.contains(&b'\n') {
            if !self.more().await.unwrap_or(false) {
                return None;
            }
        }
        Some(self.through("\n").await)
    }

    pub(super) async fn head(&mut self) -> String {
        self.through("\r\n\r\n").await
    }

    /// A head, where one comes at all: a connection may have been made for nothing.
    pub(super) async fn try_head(&mut self) -> Option<String> {
        while !self.seen.windows(4).any(|window| window == b"\r\n\r\n") {
            if !self.more().await.unwrap_or(false) {
                return None;
            }
        }
        Some(self.head().await)
    }

    pub(super) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.seen.len() < count {
            assert!(self.more().await.unwrap(), "ended after {} of {count}", self.seen.len());
        }
        let rest = self.seen.split_off(count);
        std::mem::replace(&mut self.seen, rest)
    }

    /// The same; `None` where the end comes first.
    pub(super) async fn up_to(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.seen.len() < count {
            if !self.more().await.unwrap_or(false) {
                return None;
            }
        }
        let rest = self.seen.split_off(count);
        Some(std::mem::replace(&mut self.seen, rest))
    }

    /// The body that a head announces.
    pub(super) async fn body_of(&mut self, head: &str) -> Vec<u8> {
        if let Some(length) = field(head, "content-length") {
            return self.exactly(length.parse().unwrap()).await;
        }
        let mut body = Vec::new();
        if field(head, "transfer-encoding").is_some() {
            loop {
                let size = self.through("\r\n").await;
                let size = usize::from_str_radix(size.trim(), 16).unwrap();
                if size == 0 {
                    assert_eq!(self.through("\r\n").await, "\r\n", "no trailers were expected");
                    return body;
                }
                body.extend(self.exactly(size).await);
                self.through("\r\n").await;
            }
        }
        body
    }

    /// What comes until the end, and whether the end is a clean one.
    pub(super) async fn rest(&mut self) -> (Vec<u8>, bool) {
        let clean = loop {
            match self.more().await {
                Ok(true) => {}
                Ok(false) => break true,
                Err(_) => break false,
            }
        };
        (std::mem::take(&mut self.seen), clean)
    }

    /// Whether a byte comes within a short while.
    pub(super) async fn is_silent(&mut self) -> bool {
        let mut byte = [0];
        let quiet = tokio::time::timeout(Duration::from_millis(150), self.stream.read(&mut byte)).await;
        if let Ok(Ok(n)) = &quiet {
            self.seen.extend_from_slice(&byte[..*n]);
        }
        self.seen.is_empty() && quiet.is_err()
    }
}

/// The value of a field in a head.
pub(super) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// An upstream that does the same on every connection; counts them.
pub(super) async fn upstream<F>(
    serve: impl Fn(Wire<TcpStream>, usize) -> F + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let number = counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(Wire::new(stream), number));
        }
    });
    (address, connections)
}

/// An upstream that answers every request with its own head and body.
pub(super) async fn mirror() -> (SocketAddr, Arc<AtomicUsize>) {
    upstream(|mut wire, _| async move {
        loop {
            // A pooled connection ends when nobody needs it any more.
            if wire.seen.is_empty() && !wire.more().await.unwrap_or(false) {
                return;
            }
            let head = wire.head().await;
            let body = wire.body_of(&head).await;
            let length = head.len() + body.len();
            wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{head}")).await;
            wire.send(body).await;
        }
    })
    .await
}

pub(super) const GET: &str = "GET /x HTTP/1.1\r\nHost: app.test\r\n\r\n";
pub(super) const NAVIGATION: &str =
    "GET /x HTTP/1.1\r\nHost: app.test\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\n\r\n";
