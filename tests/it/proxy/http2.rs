//! HTTP/2 by prior knowledge, on both sides.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use wakedock::domain::service::UpstreamProtocol;

use super::rig::{Rig, Service, Wire, field, mirror, soon, until, upstream};

pub(super) async fn client(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn streams_share_a_connection_and_go_to_an_http1_upstream() {
    let service = Service::new("app", |_| {});
    let (address, _) = mirror().await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let client = client(rig.address).await;
    let calls = (0..20).map(|n| {
        let mut client = client.clone();
        async move {
            let request = Request::post(format!("http://App.test/{n}"))
                .header("cookie", "a=1")
                .header("cookie", "b=2")
                .body(Full::new(Bytes::from(format!("body {n}"))))
                .unwrap();
            let response = soon(client.send_request(request)).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let seen = response.into_body().collect().await.unwrap().to_bytes();
            let seen = String::from_utf8(seen.to_vec()).unwrap();
            assert!(seen.starts_with(&format!("POST /{n} HTTP/1.1\r\n")), "{seen}");
            assert_eq!(field(&seen, "host"), Some("App.test"));
            assert_eq!(field(&seen, "cookie"), Some("a=1; b=2"), "crumbs are joined for HTTP/1.1");
            assert!(seen.ends_with(&format!("body {n}")), "{seen}");
        }
    });
    futures_util::future::join_all(calls).await;
    until("all leases are back", || service.handle.leases() == 0).await;
}

#[tokio::test]
async fn our_own_answers_and_held_streams() {
    let mut service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let mut client = client(rig.address).await;
    let ask = |uri: &str, method: &str| {
        Request::builder().method(method).uri(uri).body(Full::<Bytes>::default()).unwrap()
    };
    let unknown = soon(client.send_request(ask("http://nobody.test/", "HEAD"))).await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert_eq!(unknown.headers()["x-wakedock"], "unknown-host");
    assert!(unknown.into_body().collect().await.unwrap().to_bytes().is_empty());
    let (address, _) = mirror().await;
    let mut second = client.clone();
    let held = tokio::spawn(async move { second.send_request(ask("http://app.test/", "GET")).await });
    service.admit(address).await;
    assert_eq!(soon(held).await.unwrap().unwrap().status(), StatusCode::OK);
}

/// A stream that its client resets takes its upstream connection along.
#[tokio::test]
async fn a_cancelled_stream_is_cancelled_upstream() {
    let service = Service::new("app", |_| {});
    let (closed, mut was_closed) = tokio::sync::mpsc::unbounded_channel();
    let (address, _) = upstream(move |mut wire, _| {
        let closed = closed.clone();
        async move {
            wire.head().await;
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
            wire.rest().await;
            closed.send(()).unwrap();
        }
    })
    .await;
    service.open(address, 1);
    let rig = Rig::new(&service.handle);
    let mut client = client(rig.address).await;
    let request = Request::get("http://app.test/").body(Full::default()).unwrap();
    let response = soon(client.send_request(request)).await.unwrap();
    drop(response);
    soon(was_closed.recv()).await.unwrap();
    until("the lease is back", || service.handle.leases() == 0).await;
}

/// An HTTP/2 upstream that tells what it got, with gRPC's trailers.
async fn grpc() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = service_fn(|request: Request<Incoming>| async move {
                assert_eq!(request.version(), Version::HTTP_2);
                assert_eq!(request.uri().authority().unwrap(), "app.test");
                assert_eq!(request.headers()["te"], "trailers");
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let trailers = HeaderMap::from_iter([(
                    http::HeaderName::from_static("grpc-status"),
                    HeaderValue::from_static("0"),
                )]);
                let frames = [Ok::<_, Infallible>(Frame::data(body)), Ok(Frame::trailers(trailers))];
                let body = StreamBody::new(futures_util::stream::iter(frames));
                Ok::<_, Infallible>(
                    Response::builder().header("content-type", "application/grpc").body(body).unwrap(),
                )
            });
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), answer),
            );
        }
    });
    address
}

#[tokio::test]
async fn grpc_goes_to_an_http2_upstream_with_its_trailers() {
    let service = Service::new("app", |_| {});
    service.open(grpc().await, 1);
    let rig = Rig::new(&service.handle);
    let mut client = client(rig.address).await;
    for _ in 0..2 {
        let request = Request::post("http://app.test/pkg.Service/Call")
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers")
            .body(Full::new(Bytes::from_static(b"message")))
            .unwrap();
        let response = soon(client.send_request(request)).await.unwrap();
        let collected = soon(response.into_body().collect()).await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(collected.to_bytes(), "message");
    }
    // The same from HTTP/1.1: the trailers are announced, so that they can be sent.
    let mut wire = rig.client().await;
    wire.send(
        "POST /pkg.Service/Call HTTP/1.1\r\nHost: app.test\r\nContent-Type: application/grpc\r\nTE: trailers\r\n\
         Content-Length: 7\r\n\r\nmessage",
    )
    .await;
    let head = wire.head().await;
    assert!(field(&head, "trailer").unwrap().contains("grpc-status"), "{head}");
    wire.through("Grpc-Status: 0\r\n\r\n").await;
}

#[tokio::test]
async fn a_service_may_want_http2_for_everything() {
    let service = Service::new("app", |spec| spec.protocol = UpstreamProtocol::H2c);
    service.open(grpc().await, 1);
    let rig = Rig::new(&service.handle);
    let mut wire: Wire<TcpStream> = rig.client().await;
    wire.send("GET / HTTP/1.1\r\nHost: app.test\r\nTE: trailers\r\n\r\n").await;
    let head = wire.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}
