//! Whole requests to the control plane, from whoever can reach it: nothing fails inside, and nothing
//! that wants somebody is shown to nobody.

#![no_main]

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::BodyExt;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tower::ServiceExt;
use wakedock::admin::access::{Access, ROUTES};
use wakedock::admin::auth::{Auth, NewUser};
use wakedock::admin::caller::{Caller, Via};
use wakedock::admin::peer::Peer;
use wakedock::admin::{self, AdminState, ConfigStatus, Stage};
use wakedock::caddy::sites::OwnAddresses;
use wakedock::config::{self, DockerHost, Listen};
use wakedock::domain::words::Role;
use wakedock::engine::Docker;
use wakedock::metrics::ProcessMetrics;
use wakedock::probe::NetProber;
use wakedock::store::Store;
use wakedock::supervisor::catalog::{self, CatalogHandle};
use wakedock::supervisor::fleet::{Fleet, Parts};
use wakedock::supervisor::publish::Publisher;

/// What the door and the handlers look at.
const FIELDS: [&str; 24] = [
    "authorization",
    "cookie",
    "host",
    "origin",
    "referer",
    "sec-fetch-site",
    "sec-fetch-mode",
    "content-type",
    "content-length",
    "accept",
    "accept-language",
    "x-csrf-token",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
    "remote-user",
    "remote-groups",
    "if-match",
    "if-none-match",
    "prefer",
    "last-event-id",
    "access-control-request-method",
    "access-control-request-headers",
];

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    route: u8,
    method: Option<u8>,
    /// Instead of `{name}` and its like.
    segment: &'a str,
    path: Option<&'a str>,
    query: Option<&'a str>,
    fields: Vec<(u8, &'a [u8])>,
    host: bool,
    body: &'a [u8],
    /// Over the local socket, as root: reads alone, since what changes would last.
    root: bool,
}

struct House {
    runtime: Runtime,
    router: Router,
    _lives: (watch::Sender<Stage>, watch::Sender<ConfigStatus>),
}

fn house() -> &'static House {
    static HOUSE: OnceLock<House> = OnceLock::new();
    HOUSE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (router, lives) = runtime.block_on(open());
        House { runtime, router, _lives: lives }
    })
}

async fn open() -> (Router, (watch::Sender<Stage>, watch::Sender<ConfigStatus>)) {
    let (store, remembered) =
        Store::with_backend(|| Ok(redb::backends::InMemoryBackend::new())).unwrap();
    let nowhere = DockerHost::Unix("/nowhere/docker.sock".into());
    let fleet = Fleet::start(Parts {
        engine: Arc::new(Docker::connect(&nowhere)),
        prober: Arc::new(NetProber),
        store: store.clone(),
        remembered,
        workers: 1,
        max_held: 100,
    });
    let file = std::env::temp_dir().join(format!("wakedock-fuzz-{}.yml", std::process::id()));
    let services = "services: [{ name: cloud, hosts: [cloud.test], container: cloud }]";
    std::fs::write(&file, format!("caddy: {{ mode: off }}\n{services}\n")).unwrap();
    let loaded = config::load(Some(&file), std::iter::empty()).unwrap();
    std::fs::remove_file(&file).unwrap();
    let here: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let (publisher, task) = Publisher::new(
        loaded.config.caddy.clone(),
        OwnAddresses { proxy: Listen::Tcp(here), admin: here },
        Box::new(|_| unreachable!("the mode is off")),
        Box::new(|_| {}),
    );
    tokio::spawn(task.run());
    let parts = catalog::Parts { fleet: Arc::clone(&fleet), publisher: publisher.clone(), store: store.clone() };
    let catalog = CatalogHandle::open(parts).await;
    catalog.configure(&loaded);
    let (stage, stage_seen) = watch::channel(Stage::Serving);
    let (config, config_seen) = watch::channel(ConfigStatus::Current);
    let auth = Arc::new(Auth::load(store.clone(), None).await.unwrap());
    let by = Caller {
        name: "root".into(),
        role: Role::Admin,
        via: Via::Session { id: "fuzz".into() },
        address: None,
        services: None,
    };
    // Somebody is there: no stranger sets anything up.
    let ann = NewUser { name: "ann".to_owned(), role: Role::Admin, password: "a long one, of nobody".to_owned() };
    auth.add_user(&by, ann).await.unwrap();
    let router = admin::router(AdminState {
        fleet,
        process: ProcessMetrics::new().unwrap(),
        store,
        stage: stage_seen,
        config: config_seen,
        publish: publisher.watch(),
        publisher: publisher.clone(),
        catalog,
        settings: Arc::new(arc_swap::ArcSwap::from_pointee(loaded.config.admin.clone())),
        auth,
        streams: Arc::default(),
        oidc: Arc::default(),
    });
    (router, (stage, config))
}

fuzz_target!(|input: Input<'_>| {
    let route = &ROUTES[usize::from(input.route) % ROUTES.len()];
    // A copy of the whole store, and a document that is always the same: slow, and no parser.
    if input.root && (route.path.ends_with("/backup") || route.path.ends_with("/openapi.json")) {
        return;
    }
    let method = match input.method {
        Some(other) => ROUTES[usize::from(other) % ROUTES.len()].method.clone(),
        None => route.method.clone(),
    };
    let method = if input.root { Method::GET } else { method };
    let mut target = input.path.map_or_else(
        || {
            let segments = route.path.split('/');
            let segments = segments.map(|part| if part.starts_with('{') { input.segment } else { part });
            segments.collect::<Vec<_>>().join("/")
        },
        ToOwned::to_owned,
    );
    if let Some(query) = input.query {
        target.push('?');
        target.push_str(query);
    }
    let Ok(mut request) = Request::builder().method(method).uri(target).body(Body::from(input.body.to_vec())) else {
        return;
    };
    if input.host {
        request.headers_mut().insert("host", HeaderValue::from_static("127.0.0.1"));
    }
    for (name, value) in &input.fields {
        let name = HeaderName::from_static(FIELDS[usize::from(*name) % FIELDS.len()]);
        if let Ok(value) = HeaderValue::from_bytes(value) {
            request.headers_mut().append(name, value);
        }
    }
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let peer = if input.root { Peer::Socket { uid: 0 } } else { Peer::Tcp { from: loopback, to: loopback } };
    request.extensions_mut().insert(peer);
    let shown = format!("{} {}", request.method(), request.uri());
    let open = ROUTES.iter().any(|route| {
        matches!(route.access, Access::Open | Access::Metrics) && is_of(route.path, request.uri().path())
    });
    let house = house();
    house.runtime.block_on(async {
        let answered = house.router.clone().oneshot(request);
        let answered = tokio::time::timeout(Duration::from_secs(8), answered).await;
        let answer = answered.unwrap_or_else(|_| panic!("no answer to {shown}"));
        let Ok(answer) = answer.map_err(|never: Infallible| match never {});
        let status = answer.status().as_u16();
        assert!(matches!(status, 200..500 | 502 | 503), "{status} to {shown}");
        if !input.root && !open {
            assert!(matches!(status, 303 | 400..500), "{status} to {shown}, of nobody");
        }
        let goes_on = answer.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
        if !goes_on {
            answer.into_body().collect().await.unwrap_or_else(|error| panic!("{shown}: {error}"));
        }
    });
});

/// Whether a path is one of a route's, roughly: too much is fine, too little is not.
fn is_of(route: &str, path: &str) -> bool {
    let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    route.len() == path.len()
        && route.iter().zip(&path).all(|(route, part)| route.starts_with('{') || route == part)
}
