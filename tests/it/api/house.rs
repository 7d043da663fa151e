//! The control plane over a fleet whose engine belongs to the test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt;
use wakedock::admin::auth::{Auth, NewToken, NewUser};
use wakedock::admin::caller::{Caller, Via};
use wakedock::admin::peer::Peer;
use wakedock::admin::{self, AdminState, ConfigStatus, Stage};
use wakedock::caddy::sites::OwnAddresses;
use wakedock::config::{self, Listen};
use wakedock::domain::words::{Phase, Role};
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
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct House {
    pub(super) engine: FakeEngine,
    pub(super) fleet: Arc<Fleet>,
    pub(super) catalog: CatalogHandle,
    auth: Arc<Auth>,
    pub(super) store: Store,
    pub(super) disk: MemoryDisk,
    router: Router,
    _lives: (watch::Sender<Stage>, watch::Sender<ConfigStatus>),
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(super) fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The problem it tells: its type's last word, and its detail.
    pub(super) fn problem(&self) -> (String, String) {
        assert_eq!(self.field("content-type"), "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16(), "{self:?}");
        let kind = json["type"].as_str().unwrap().strip_prefix("/problems/").unwrap().to_owned();
        (kind, json["detail"].as_str().unwrap_or("").to_owned())
    }
}

/// An answer that goes on.
pub(super) struct Follow {
    pub(super) headers: HeaderMap,
    body: Body,
    seen: String,
}

impl Follow {
    /// Everything to the end of `mark`.
    pub(super) async fn through(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(mark) {
                let rest = self.seen.split_off(at + mark.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await;
            let frame = frame.unwrap_or_else(|_| panic!("no {mark:?} after {:?}", self.seen));
            let data = frame.expect("it goes on").unwrap().into_data().unwrap();
            self.seen.push_str(std::str::from_utf8(&data).unwrap());
        }
    }
}

/// The entry of the configuration file for a service at `NAME.test` in the container `NAME`.
pub(super) fn entry(name: &str) -> String {
    format!("  {{ name: {name}, hosts: [{name}.test], container: {name} }},\n")
}

impl House {
    /// These services, each with a container that was never started.
    pub(super) async fn new(names: &[&str]) -> Self {
        let engine = FakeEngine::new();
        for name in names {
            engine.create(name);
        }
        Self::with(engine, &names.iter().map(|name| entry(name)).collect::<String>()).await
    }

    /// With `services` as they stand in the configuration file.
    pub(super) async fn with(engine: FakeEngine, services: &str) -> Self {
        let disk = MemoryDisk::default();
        let (store, remembered) = disk.open();
        let fleet = Fleet::start(Parts {
            engine: Arc::new(engine.clone()),
            prober: Arc::new(FakeProber::answering(ProbeAnswer::Status(200))),
            store: store.clone(),
            remembered,
            workers: 1,
            max_held: 100,
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wakedock.yml");
        std::fs::write(&file, format!("caddy: {{ mode: off }}\nservices: [\n{services}]\n")).unwrap();
        let loaded = config::load(Some(&file), std::iter::empty()).unwrap();
        let here: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let (publisher, task) = Publisher::new(
            loaded.config.caddy.clone(),
            OwnAddresses { proxy: Listen::Tcp(here), admin: here },
            Box::new(|_| unreachable!("the mode is off")),
            Box::new(|_| {}),
        );
        tokio::spawn(task.run());
        let catalog = CatalogHandle::open(catalog::Parts {
            fleet: Arc::clone(&fleet),
            publisher: publisher.clone(),
            store: store.clone(),
        })
        .await;
        catalog.configure(&loaded);
        fleet.reconcile(PATIENCE).await;
        let (stage, stage_seen) = watch::channel(Stage::Serving);
        let (config, config_seen) = watch::channel(ConfigStatus::Current);
        let auth = Arc::new(Auth::load(store.clone(), None).await.unwrap());
        let state = AdminState {
            fleet: Arc::clone(&fleet),
            process: ProcessMetrics::new().unwrap(),
            store: store.clone(),
            stage: stage_seen,
            config: config_seen,
            running: Arc::default(),
            proxy_address: None,
            publish: publisher.watch(),
            publisher: publisher.clone(),
            catalog: catalog.clone(),
            settings: Arc::new(arc_swap::ArcSwap::from_pointee(loaded.config.admin.clone())),
            auth: Arc::clone(&auth),
            streams: Arc::default(),
            oidc: Arc::default(),
        };
        Self {
            engine,
            fleet,
            catalog,
            auth,
            store,
            disk,
            router: admin::router(state),
            _lives: (stage, config),
        }
    }

    /// A token of a new user.
    pub(super) async fn token(&self, user: &str, role: Role) -> String {
        let by = |name: &str, role| Caller {
            name: name.into(),
            role,
            via: Via::Session { id: "test".into() },
            address: None,
            services: None,
        };
        let new = NewUser { name: user.to_owned(), role, password: "long enough for a test".to_owned() };
        self.auth.add_user(&by("root", Role::Admin), new).await.unwrap();
        let new = NewToken { name: "test".to_owned(), role, expires_in: None, services: None };
        self.auth.add_token(&by(user, role), new).await.unwrap().0
    }

    /// With a body of a kind.
    pub(super) async fn tell(&self, line: &str, fields: &[(&str, &str)], kind: &str, body: &str) -> Answer {
        let mut request = Self::request(line, fields);
        *request.body_mut() = Body::from(body.to_owned());
        request.headers_mut().insert("content-type", kind.parse().unwrap());
        self.send(request).await
    }

    /// Sends a body of JSON, and is gone as soon as the answer is waited for.
    pub(super) async fn give_up_on(&self, line: &str, body: &Value) {
        let mut request = Self::request(line, &[]);
        *request.body_mut() = Body::from(body.to_string());
        request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        let mut answer = Box::pin(self.router.clone().oneshot(request));
        // A few turns, so that the handler is on its way.
        for _ in 0..20 {
            tokio::select! {
                biased;
                _ = &mut answer => return,
                () = tokio::task::yield_now() => {}
            }
        }
    }

    /// With a body of JSON.
    pub(super) async fn put(&self, line: &str, fields: &[(&str, &str)], body: &Value) -> Answer {
        self.tell(line, fields, "application/json", &body.to_string()).await
    }

    /// An answer that goes on: what it says so far.
    pub(super) async fn follow(&self, line: &str, fields: &[(&str, &str)]) -> Follow {
        let response = self.router.clone().oneshot(Self::request(line, fields)).await.unwrap();
        assert_eq!(response.status(), 200);
        Follow { headers: response.headers().clone(), body: response.into_body(), seen: String::new() }
    }

    fn request(line: &str, fields: &[(&str, &str)]) -> Request<Body> {
        let (method, target) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(target).header("host", "127.0.0.1");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        // As root on the local socket, unless somebody says who they are.
        let peer = match fields.iter().any(|(name, _)| *name == "authorization") {
            false => Peer::Socket { uid: 0 },
            true => Peer::Tcp { from: "127.0.0.1".parse().unwrap(), to: "127.0.0.1".parse().unwrap() },
        };
        request.extensions_mut().insert(peer);
        request
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let answered = async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (head, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Answer {
                status: head.status,
                headers: head.headers,
                // A backup is no text.
                body: String::from_utf8_lossy(&body).into_owned(),
            }
        };
        tokio::time::timeout(PATIENCE, answered).await.expect("not in time")
    }

    /// `GET /api/v1/services`, as one writes it, with fields `name: value`.
    pub(super) async fn ask_with(&self, line: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(Self::request(line, fields)).await
    }

    /// As somebody over the network, who shows nothing.
    pub(super) async fn ask_from_outside(&self, line: &str, fields: &[(&str, &str)]) -> Answer {
        let mut request = Self::request(line, fields);
        let from = Peer::Tcp { from: "192.0.2.7".parse().unwrap(), to: "127.0.0.1".parse().unwrap() };
        request.extensions_mut().insert(from);
        self.send(request).await
    }

    pub(super) async fn ask(&self, line: &str) -> Answer {
        self.ask_with(line, &[]).await
    }

    pub(super) async fn reaches(&self, name: &str, phase: Phase) {
        let handle = self.fleet.get(name).unwrap();
        let mut snapshots = handle.watch();
        let reached = snapshots.wait_for(|snapshot| snapshot.phase == phase);
        tokio::time::timeout(PATIENCE, reached).await.expect("not in time").unwrap();
    }
}
