//! What a warm request takes of WakeDock's own code, piece by piece: `cargo bench --bench micro`.
//! Times vary with the machine; `benches/instructions` counts.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to say")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Request};
use tokio::sync::Notify;
use wakedock::config::Config;
use wakedock::domain::address::Upstream;
use wakedock::domain::host::HostPattern;
use wakedock::domain::name::{ContainerName, ServiceName};
use wakedock::domain::route::RouteTable;
use wakedock::domain::service::ServiceSpec;
use wakedock::domain::time::Moment;
use wakedock::metrics::ServiceMetrics;
use wakedock::proxy::bench::{self, Peer};
use wakedock::supervisor::handle::{HoldLimit, ServiceHandle};

const HOSTS: usize = 10_000;

/// What a browser sends, through Caddy.
const FIELDS: [(&str, &str); 14] = [
    ("host", "cloud.example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140 Safari/537.36",
    ),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.9,fr;q=0.8"),
    ("cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"),
    ("connection", "keep-alive"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "none"),
    ("upgrade-insecure-requests", "1"),
    ("x-forwarded-for", "192.0.2.7"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "cloud.example.com"),
];

fn request() -> Request<()> {
    let request =
        FIELDS.iter().fold(Request::get("/index.php/apps/files?dir=/"), |request, (name, value)| {
            request.header(*name, *value)
        });
    request.body(()).unwrap()
}

fn service() -> ServiceHandle {
    let name = ServiceName::parse("cloud").unwrap();
    let (handle, _mailbox) = ServiceHandle::new(
        Arc::new(ServiceSpec::new(name.clone(), ContainerName::parse("cloud").unwrap())),
        ServiceMetrics::new(name, 1, wakedock::clock::now()),
        Arc::new(HoldLimit::new(100)),
        Arc::new(Notify::new()),
        Moment::START,
    );
    let address = ([127, 0, 0, 1], 80).into();
    handle.gate().open(Upstream { address, generation: 1 }, Moment::START);
    handle
}

fn lease(c: &mut Criterion) {
    let service = service();
    c.bench_function("lease taken and dropped", |b| b.iter(|| service.lease().unwrap()));
}

fn route(c: &mut Criterion) {
    let mut table = RouteTable::default();
    for number in 0..HOSTS {
        let host = HostPattern::parse(&format!("service-{number}.example.com")).unwrap();
        assert!(table.insert(&host, None, number));
    }
    let hosts: Vec<String> =
        (0..HOSTS).map(|n| format!("service-{}.example.com", n * 7919 % HOSTS)).collect();
    let mut next = hosts.iter().cycle();
    c.bench_function("route among 10,000 hosts", |b| {
        b.iter(|| table.find(black_box(next.next().unwrap()), "/index.php").unwrap());
    });
}

fn head(c: &mut Criterion) {
    let (request, limits) = (request(), Config::default().proxy.limits);
    c.bench_function("head checked and host read", |b| {
        b.iter(|| bench::check(black_box(&request), &limits).unwrap());
    });
    let peer = Peer::new(Some(([192, 0, 2, 9], 443).into()));
    let (host, id) =
        (HeaderValue::from_static("cloud.example.com"), HeaderValue::from_static("0123456789abcdef"));
    for (whose, trusted) in [("stranger", false), ("trusted proxy", true)] {
        c.bench_function(&format!("request head rewritten, of a {whose}"), |b| {
            let rewrite = |mut fields: HeaderMap| {
                bench::rewrite_request(&mut fields, host.clone(), &peer, trusted, &id);
                fields
            };
            b.iter_batched(|| request.headers().clone(), rewrite, BatchSize::SmallInput);
        });
    }
    let answer: HeaderMap = ["date", "server", "content-type", "content-length", "etag", "connection"]
        .into_iter()
        .map(|name| (name.parse().unwrap(), HeaderValue::from_static("keep-alive")))
        .collect();
    c.bench_function("answer head rewritten", |b| {
        let rewrite = |mut fields: HeaderMap| {
            bench::rewrite_response(&mut fields, None);
            fields
        };
        b.iter_batched(|| answer.clone(), rewrite, BatchSize::SmallInput);
    });
}

criterion_group!(micro, lease, route, head);
criterion_main!(micro);
