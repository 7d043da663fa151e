//! Calls of gRPC: what WakeDock answers itself is a status for them too, and they may be silent.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use wakedock::domain::service::UpstreamProtocol;
use wakedock::domain::words::Refusal;

use super::frames::{Client, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, fields};
use super::goaway::{echo, h2};
use super::http2::client;
use super::rig::{Rig, Service, config, soon, until};

const GRPC: &str = "application/grpc+proto";

/// The fields of a call, by the form of its messages.
fn call(kind: &str) -> Vec<u8> {
    fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/pkg.Service/Call"),
        (":authority", "app.test"),
        ("content-type", kind),
        ("te", "trailers"),
    ])
}

/// Clients of gRPC take the status of HTTP where there is no other, and its fields where there are:
/// all of them see the same code, and most of them why.
#[tokio::test]
async fn a_refusal_is_a_status_of_grpc() {
    let mut service = Service::new("app", |_| {});
    let rig = Rig::new(&service.handle);
    let client = client(rig.address).await;
    let ask = |host: &str, kind: &str| {
        let mut client = client.clone();
        let request = Request::post(format!("http://{host}/pkg.Service/Call")).header("content-type", kind);
        let request = request.body(Full::new(Bytes::from("a message"))).unwrap();
        async move {
            let (parts, body) = soon(client.send_request(request)).await.unwrap().into_parts();
            (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
        }
    };
    let said =
        |headers: &HeaderMap, name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());

    let (status, headers, body) = ask("nobody.test", GRPC).await;
    assert_eq!((status, body.len()), (StatusCode::NOT_FOUND, 0));
    assert_eq!(said(&headers, "grpc-status").as_deref(), Some("12"), "UNIMPLEMENTED");
    assert_eq!(said(&headers, "grpc-message").as_deref(), Some("No service has this host name."));

    let refused = async {
        let retry_after = Duration::from_secs(3);
        service.demand().await.send(Err(Refusal::Failed { retry_after })).unwrap();
    };
    let ((status, headers, body), ()) = tokio::join!(ask("app.test", GRPC), refused);
    assert_eq!((status, body.len()), (StatusCode::SERVICE_UNAVAILABLE, 0));
    assert_eq!(said(&headers, "content-type").as_deref(), Some("application/grpc"));
    assert_eq!(said(&headers, "grpc-status").as_deref(), Some("14"), "UNAVAILABLE");
    assert_eq!(said(&headers, "grpc-message").as_deref(), Some("The service could not be started."));
    assert_eq!(said(&headers, "x-wakedock").as_deref(), Some("failed"));
    assert_eq!(said(&headers, "retry-after").as_deref(), Some("3"));

    // An upstream that does not speak HTTP/2.
    let (address, _) = super::rig::mirror().await;
    service.open(address, 1);
    let (handle, _) = service.rechecks();
    let (status, headers, _) = ask("app.test", GRPC).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert_eq!(said(&headers, "grpc-status").as_deref(), Some("14"), "UNAVAILABLE");

    // Others are told in words, and so is gRPC-Web, which goes to the upstream by HTTP/1.1.
    let (status, headers, body) = ask("nobody.test", "application/grpc-web+proto").await;
    assert_eq!((status, body.is_empty()), (StatusCode::NOT_FOUND, false));
    assert_eq!(said(&headers, "grpc-status"), None);
    let (status, _, body) = ask("app.test", "application/grpc-web+proto").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.starts_with(b"POST /pkg.Service/Call HTTP/1.1\r\n"));
    until("all leases are back", || handle.leases() == 0).await;
}

/// The two sides of a call speak when they have something to say. An upload that stalls does not
/// wait for anything but its client.
#[tokio::test]
async fn a_call_may_be_silent_and_an_upload_may_not() {
    let service = Service::new("app", |spec| spec.protocol = UpstreamProtocol::H2c);
    let (address, _) =
        h2(|got, stream| Some(if got.whole { echo(stream, &got.body) } else { Vec::new() })).await;
    service.open(address, 1);
    let mut config = config();
    config.timeouts.body = Some(Duration::from_millis(100));
    let rig = Rig::with(&config, &[("app.test", None, &service.handle)]);
    let mut client = Client::new(rig.address, &[]).await;
    for (stream, kind) in [(1, GRPC), (3, "text/plain")] {
        client.send(HEADERS, END_HEADERS, stream, &call(kind)).await;
        client.send(DATA, 0, stream, b"something, ").await;
    }
    let stalled = client.await_frame(|frame| matches!(frame.kind, HEADERS | RST_STREAM)).await;
    assert!(stalled.stream == 3 && !stalled.is_ok(), "{stalled:?}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    client.send(DATA, END_STREAM, 1, b"and the rest").await;
    assert_eq!(client.is_answered(1).await, b"something, and the rest");
    until("all leases are back", || service.handle.leases() == 0).await;
}
