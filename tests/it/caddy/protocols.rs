//! What the rendered sites do with real requests: through a real Caddy to a small upstream.

use std::convert::Infallible;
use std::path::Path;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Request, Response, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpStream, UnixListener};
use wakedock::caddy::sites::OwnAddresses;
use wakedock::config::{CaddyTls, Listen};

use super::publish::Running;
use super::real::RealCaddy;
use super::{hosts, own};

/// Says which version it was spoken to in, with a trailer where there can be one.
async fn echo(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let version = format!("{:?}", request.version());
    if request.version() != Version::HTTP_2 {
        return Ok(Response::new(Full::from(version).boxed()));
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "7".parse().unwrap());
    let frames = [Ok(Frame::data(Bytes::from(version))), Ok(Frame::trailers(trailers))];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    Ok(Response::new(BodyExt::boxed(body)))
}

fn upstream(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service_fn(echo)).await;
            });
        }
    });
}

/// Without TLS gRPC comes by prior knowledge, and needs HTTP/2 all the way for its trailers.
#[tokio::test]
async fn grpc_goes_by_http2_and_the_rest_by_http1() {
    let caddy = RealCaddy::start().await;
    let socket = caddy.dir.path().join("proxy.sock");
    upstream(&socket);
    let own = OwnAddresses { proxy: Listen::Unix(socket), ..own() };
    let publisher = Running::with_own(caddy.config(CaddyTls::Off), own);
    publisher.handle.set_sites(hosts(&["*.example.com"]));
    publisher.until_published(1).await;

    assert!(caddy.get("a.example.com").await.ends_with("HTTP/1.1"));

    let stream = TcpStream::connect(("127.0.0.1", caddy.http_port)).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for (kind, version, status) in
        [("application/grpc+proto", "HTTP/2.0", Some("7")), ("text/plain", "HTTP/1.1", None)]
    {
        let request = Request::post("http://a.example.com/pkg.Service/Call")
            .header(CONTENT_TYPE, kind)
            .header("te", "trailers")
            .body(Full::new(Bytes::from_static(b"\0\0\0\0\0")))
            .unwrap();
        assert!(!request.headers().contains_key(HOST));
        let answer = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        let trailer = answer
            .trailers()
            .and_then(|all| all.get("grpc-status"))
            .map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(trailer.as_deref(), status, "{kind}");
        assert_eq!(answer.to_bytes(), version, "{kind}");
    }
}

/// `lb_try_duration` rides out a restart of WakeDock: a request that comes while nobody listens is
/// answered when somebody does.
#[tokio::test]
async fn a_request_waits_for_wakedock_to_come_back() {
    let caddy = RealCaddy::start().await;
    let socket = caddy.dir.path().join("proxy.sock");
    let own = OwnAddresses { proxy: Listen::Unix(socket.clone()), ..own() };
    let publisher = Running::with_own(caddy.config(CaddyTls::Off), own);
    publisher.handle.set_sites(hosts(&["a.example.com"]));
    publisher.until_published(1).await;

    let late = async {
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        upstream(&socket);
    };
    let (answer, ()) = tokio::join!(caddy.get("a.example.com"), late);
    assert!(answer.ends_with("HTTP/1.1"), "{answer}");
}
