//! A control plane that listens, and a client that says exactly what it is told to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use wakedock::admin::audit;
use wakedock::admin::auth::{Auth, Client, NewToken, NewUser};
use wakedock::admin::caller::{Caller, Via};
use wakedock::admin::{self, AdminState, ConfigStatus, HandOver, Listeners, LocalSocket, Server, Stage};
use wakedock::caddy::sites::OwnAddresses;
use wakedock::config::{AdminConfig, CaddyConfig, CaddyMode, Listen};
use wakedock::domain::words::Role;
use wakedock::metrics::ProcessMetrics;
use wakedock::ports::ProbeAnswer;
use wakedock::store::Store;
use wakedock::supervisor::catalog::{self, CatalogHandle};
use wakedock::supervisor::fleet::{Fleet, Parts};
use wakedock::supervisor::publish::Publisher;

use crate::support::fake_engine::FakeEngine;
use crate::support::fake_prober::FakeProber;
use crate::support::memory_disk::MemoryDisk;

/// Nothing in these tests takes this long, unless it is broken.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("not in time")
}

/// A running control plane.
pub(super) struct Rig {
    pub(super) address: SocketAddr,
    pub(super) socket: PathBuf,
    pub(super) hand_over: HandOver,
    pub(super) auth: Arc<Auth>,
    pub(super) store: Store,
    pub(super) stage: watch::Sender<Stage>,
    pub(super) server: Server,
    config: watch::Sender<ConfigStatus>,
    settings: Arc<ArcSwap<AdminConfig>>,
    pub(super) disk: MemoryDisk,
    folder: TempDir,
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut AdminConfig)) -> Self {
        Self::over(MemoryDisk::default(), tempfile::tempdir().unwrap(), change).await
    }

    /// The same after a restart: only what is on the disk is left.
    pub(super) async fn again(self) -> Self {
        let Self { disk, folder, server, store, auth, hand_over, .. } = self;
        drop((auth, hand_over));
        server.end().await;
        store.close().await.unwrap();
        Self::over(disk, folder, |_| {}).await
    }

    async fn over(disk: MemoryDisk, folder: TempDir, change: impl FnOnce(&mut AdminConfig)) -> Self {
        let socket = folder.path().join("admin.sock");
        let mut config = AdminConfig::default();
        change(&mut config);
        let (store, remembered) = disk.open();
        let fleet = Fleet::start(Parts {
            engine: Arc::new(FakeEngine::new()),
            prober: Arc::new(FakeProber::answering(ProbeAnswer::Status(200))),
            store: store.clone(),
            remembered,
            workers: 1,
            max_held: 100,
        });
        let (stage, stage_seen) = watch::channel(Stage::Serving);
        let (config_status, config_seen) = watch::channel(ConfigStatus::Current);
        let here: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let (publisher, publishing) = Publisher::new(
            CaddyConfig { mode: CaddyMode::Off, ..CaddyConfig::default() },
            OwnAddresses { proxy: Listen::Tcp(here), admin: here },
            Box::new(|_| unreachable!("the mode is off")),
            Box::new(|_| {}),
        );
        tokio::spawn(publishing.run());
        let catalog = CatalogHandle::open(catalog::Parts {
            fleet: Arc::clone(&fleet),
            publisher: publisher.clone(),
            store: store.clone(),
        })
        .await;
        let auth = Arc::new(Auth::load(store.clone(), Some(folder.path().to_owned())).await.unwrap());
        let settings = Arc::new(ArcSwap::from_pointee(config));
        let state = AdminState {
            fleet,
            process: ProcessMetrics::new().unwrap(),
            store: store.clone(),
            stage: stage_seen,
            config: config_seen,
            running: Arc::default(),
            proxy_address: None,
            publish: publisher.watch(),
            publisher: publisher.clone(),
            catalog,
            settings: Arc::clone(&settings),
            auth: Arc::clone(&auth),
            streams: Arc::default(),
            oidc: Arc::default(),
        };
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let local = Some(LocalSocket::bind(&socket, None).unwrap());
        let (hand_over, handed_over) = mpsc::channel(8);
        let listeners = Listeners { tcp, local, handed_over };
        let server = admin::serve(listeners, admin::router(state), Arc::clone(&settings));
        let config = config_status;
        Self { address, socket, hand_over, auth, store, stage, server, config, settings, disk, folder }
    }

    /// An edit of the configuration, as it is applied.
    pub(super) fn reconfigure(&self, change: impl FnOnce(&mut AdminConfig)) {
        let mut config = AdminConfig::clone(&self.settings.load());
        change(&mut config);
        self.settings.store(Arc::new(config));
        self.config.send_replace(ConfigStatus::Current);
    }

    /// A stream of events that goes on, after its head.
    pub(super) async fn follow(&self, ask: Ask) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let ask = ask.field("Accept", "text/event-stream");
        stream.write_all(ask.wire().as_bytes()).await.unwrap();
        let mut head = vec![0; 15];
        soon(stream.read_exact(&mut head)).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        stream
    }

    /// A user, whose password is `the password of NAME`.
    pub(super) async fn user(&self, name: &str, role: Role) {
        let new = NewUser { name: name.to_owned(), role, password: password(name) };
        self.auth.add_user(&root(), new).await.unwrap();
    }

    /// A session of a user, as its cookie, and the token for changes.
    pub(super) async fn browser(&self, name: &str) -> (String, String) {
        let new = self.auth.sign_in(name, password(name), &Client::default()).await.unwrap();
        let caller = Caller {
            name: name.into(),
            role: new.role,
            via: Via::Session { id: Arc::clone(&new.session.id) },
            address: None,
            services: None,
        };
        (new.cookie, self.auth.csrf_token(&caller).unwrap())
    }

    /// Tokens by the API's own log-in.
    pub(super) async fn log_in(&self, name: &str) -> (String, String) {
        let answer = self.ask(&log_in(name, &password(name))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let json = answer.json();
        let text = |key: &str| json[key].as_str().unwrap().to_owned();
        (text("access_token"), text("refresh_token"))
    }

    /// An API token of somebody.
    pub(super) async fn token(&self, caller: &Caller, role: Role, services: Option<Vec<String>>) -> String {
        let new = NewToken { name: "a test".to_owned(), role, expires_in: None, services };
        self.auth.add_token(caller, new).await.unwrap().0
    }

    /// What the audit says was done, the newest first.
    pub(super) async fn audit(&self) -> Vec<audit::Entry> {
        let entries = audit::entries(&self.store, None, 100).await.unwrap();
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Over TCP.
    pub(super) async fn ask(&self, request: &Ask) -> Answer {
        soon(exchange(TcpStream::connect(self.address).await.unwrap(), &request.wire())).await
    }

    /// `GET` over TCP, as one writes it.
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(&Ask::new("GET", path)).await
    }

    /// Over the local socket, as the user of these tests.
    pub(super) async fn local(&self, request: &Ask) -> Answer {
        soon(exchange(UnixStream::connect(&self.socket).await.unwrap(), &request.wire())).await
    }
}

/// Root, on the local socket.
pub(super) fn root() -> Caller {
    let via = Via::Socket { uid: 0 };
    Caller { name: "root".into(), role: Role::Admin, via, address: None, services: None }
}

pub(super) fn password(name: &str) -> String {
    format!("the password of {name}")
}

pub(super) fn log_in(name: &str, password: &str) -> Ask {
    let body = serde_json::json!({ "username": name, "password": password });
    Ask::new("POST", "/api/v1/auth/login").json(&body)
}

/// A request, as it goes over the wire.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    line: String,
    host: Option<String>,
    fields: Vec<(String, String)>,
    body: String,
}

impl Ask {
    pub(super) fn new(method: &str, path: &str) -> Self {
        let line = format!("{method} {path} HTTP/1.1");
        Self { line, host: Some("localhost".to_owned()), fields: Vec::new(), body: String::new() }
    }

    pub(super) fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    pub(super) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn bearer(self, token: &str) -> Self {
        self.field("Authorization", &format!("Bearer {token}"))
    }

    pub(super) fn cookie(self, value: &str) -> Self {
        self.field("Cookie", &format!("wakedock={value}"))
    }

    pub(super) fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = body.to_string();
        self.field("Content-Type", "application/json")
    }

    pub(super) fn form(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self.field("Content-Type", "application/x-www-form-urlencoded")
    }

    pub(super) fn wire(&self) -> String {
        let mut text = format!("{}\r\n", self.line);
        if let Some(host) = &self.host {
            text += &format!("Host: {host}\r\n");
        }
        for (name, value) in &self.fields {
            text += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        text + "Connection: close\r\n\r\n" + &self.body
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice");
        first
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The last word of the problem's type.
    pub(super) fn problem(&self) -> String {
        assert_eq!(self.field("content-type"), Some("application/problem+json"), "{self:?}");
        let json: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(json["status"], self.status);
        json["type"].as_str().unwrap().strip_prefix("/problems/").unwrap().to_owned()
    }
}

pub(super) async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // An answer that came before a reset is an answer.
    let _ = stream.read_to_end(&mut bytes).await;
    parse(&String::from_utf8_lossy(&bytes))
}

pub(super) fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let fields = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.trim().to_owned())
        })
        .collect();
    Answer { status, fields, body: body.to_owned() }
}
