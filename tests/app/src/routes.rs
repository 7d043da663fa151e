//! One function a path.

use std::convert::Infallible;
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, TRAILER, UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{Notify, mpsc};

use crate::body::{Body, Piece, full, piped};
use crate::digest::accept_key;
use crate::serve::State;
use crate::switches::duration;
use crate::{face, websocket};

/// Larger answers are sent in pieces of this size.
const PIECE: u64 = 64 << 10;

/// Answers one request. An error closes the connection without an answer.
///
/// # Errors
/// `/close` asked for it.
pub async fn answer(
    state: Arc<State>,
    reset: Arc<Notify>,
    request: Request<Incoming>,
) -> Result<Response<Body>, io::Error> {
    let mut response = if state.warmed_up() {
        route(&state, &reset, request).await?
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "warming up\n")
    };
    let headers = response.headers_mut();
    if let Ok(instance) = HeaderValue::try_from(&state.instance) {
        headers.insert("x-instance", instance);
    }
    if state.told_to_stop() {
        headers.insert("x-told-to-stop", HeaderValue::from_static("1"));
    }
    Ok(response)
}

async fn route(
    state: &State,
    reset: &Notify,
    request: Request<Incoming>,
) -> Result<Response<Body>, io::Error> {
    if is_grpc(&request) {
        return Ok(grpc(request));
    }
    let uri = request.uri().clone();
    let query = Query(uri.query().unwrap_or_default());
    let path = uri.path();
    Ok(match path.split_at(path[1..].find('/').map_or(path.len(), |end| end + 1)) {
        ("/", "") => {
            let (content_type, page) = face::page(state);
            typed(content_type, full(page))
        }
        ("/healthz", "") if state.healthy() => text(StatusCode::OK, "healthy\n"),
        ("/healthz", "") => text(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        ("/echo", "") if query.get("whole").is_some() => echo_whole(request).await?,
        ("/echo", "") => echo(request).await,
        ("/echo-headers", "") if query.get("whole").is_some() => {
            let description = describe(&request);
            request.into_body().collect().await.map_err(io::Error::other)?;
            typed("application/json", full(description))
        }
        ("/echo-headers", "") => typed("application/json", full(describe(&request))),
        ("/status", code) => match code[1..].parse::<u16>().map(StatusCode::from_u16) {
            Ok(Ok(status)) if !status.is_informational() => text(status, ""),
            _ => text(StatusCode::BAD_REQUEST, "no such status\n"),
        },
        ("/bytes", count) => match count[1..].parse() {
            Ok(count) => paced(count, PIECE, Duration::ZERO),
            Err(_) => text(StatusCode::BAD_REQUEST, "no such count\n"),
        },
        ("/slow", "") => paced(
            query.number("bytes").unwrap_or(10 << 10),
            query.number("chunk").unwrap_or(1 << 10).max(1),
            query.duration("every").unwrap_or(Duration::from_millis(100)),
        ),
        ("/sse", "") => sse(query.duration("every").unwrap_or(Duration::from_secs(1)), query.number("count")),
        ("/ws", "") => web_socket(request),
        ("/upgrade", "") => upgrade(request),
        ("/trailers", "") => trailers(),
        ("/delay", "") => {
            let wait = Duration::from_millis(query.number("ms").unwrap_or(0));
            tokio::time::sleep(wait).await;
            text(StatusCode::OK, "after a delay\n")
        }
        ("/close", "") => return Err(io::Error::other("asked to close")),
        ("/reset", "") => {
            reset.notify_one();
            std::future::pending::<Infallible>().await;
            return Err(io::Error::other("asked to reset"));
        }
        ("/half", "") => half(),
        // The 103 was for the first request of a connection; this one came later.
        ("/1xx", "") => text(StatusCode::OK, "hinted"),
        _ => text(StatusCode::NOT_FOUND, "no such path\n"),
    })
}

struct Query<'a>(&'a str);

impl Query<'_> {
    /// The value of `name=value`; nothing of `name` alone.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(value)
        })
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    fn duration(&self, name: &str) -> Option<Duration> {
        duration(self.get(name)?)
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    respond(status, "text/plain; charset=utf-8", full(text))
}

fn typed(content_type: &'static str, body: Body) -> Response<Body> {
    respond(StatusCode::OK, content_type, body)
}

fn data(bytes: impl Into<Bytes>) -> Piece {
    Ok(Frame::data(bytes.into()))
}

/// The body as it comes in. Where the client waits for `100 Continue`, the answer's head waits for
/// the body's beginning: a head that is sent first would make the 100 needless.
async fn echo(request: Request<Incoming>) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let body = if head.headers.contains_key(EXPECT) {
        let (feed, echoed) = piped();
        if let Some(first) = body.frame().await {
            tokio::spawn(async move {
                if feed.send(first.map_err(io::Error::other)).await.is_ok() {
                    pass_on(body, &feed).await;
                }
            });
        }
        echoed
    } else {
        body.map_err(io::Error::other).boxed_unsync()
    };
    let mut response = Response::new(body);
    for name in [CONTENT_TYPE, CONTENT_LENGTH] {
        if let Some(value) = head.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// The body once it has come in to its end. A front that speaks HTTP/1.1 and is written in Go takes
/// an answer that begins earlier as a sign that the rest of the body is of no use, and drops some.
async fn echo_whole(request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let mut response = Response::new(full(body));
    if let Some(value) = head.headers.get(CONTENT_TYPE) {
        response.headers_mut().insert(CONTENT_TYPE, value.clone());
    }
    Ok(response)
}

/// Feeds data as it comes in; true when it came in whole and went out whole.
async fn pass_on(mut from: Incoming, to: &mpsc::Sender<Piece>) -> bool {
    while let Some(frame) = from.frame().await {
        let piece = frame.map_err(io::Error::other);
        let broken = piece.is_err();
        if !piece.as_ref().is_ok_and(Frame::is_trailers) && to.send(piece).await.is_err() || broken {
            return false;
        }
    }
    true
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    request.method() == Method::POST
        && request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The request's messages as they come in, then the trailers that end a gRPC call.
fn grpc(request: Request<Incoming>) -> Response<Body> {
    let (feed, body) = piped();
    tokio::spawn(async move {
        if pass_on(request.into_body(), &feed).await {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            trailers.insert("grpc-message", HeaderValue::from_static("OK"));
            let _ = feed.send(Ok(Frame::trailers(trailers))).await;
        }
    });
    typed("application/grpc", body)
}

/// `count` bytes of the pattern, `piece` at a time, with `pause` between the pieces.
fn paced(count: u64, piece: u64, pause: Duration) -> Response<Body> {
    let pattern = |from: u64, to: u64| (from..to).map(|i| (i % 251) as u8).collect::<Bytes>();
    let body = if count <= piece {
        full(pattern(0, count))
    } else {
        let (feed, body) = piped();
        tokio::spawn(async move {
            let mut sent = 0;
            while sent < count && feed.send(data(pattern(sent, count.min(sent + piece)))).await.is_ok() {
                sent += piece;
                tokio::time::sleep(pause).await;
            }
        });
        body
    };
    let mut response = typed("application/octet-stream", body);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(count));
    response
}

fn sse(every: Duration, count: Option<u64>) -> Response<Body> {
    let (feed, body) = piped();
    tokio::spawn(async move {
        for number in 1..=count.unwrap_or(u64::MAX) {
            let event = format!("id: {number}\nevent: tick\ndata: {{\"tick\":{number}}}\n\n");
            if feed.send(data(event)).await.is_err() {
                return;
            }
            tokio::time::sleep(every).await;
        }
    });
    let mut response = typed("text/event-stream", body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn switching(protocol: HeaderValue) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, protocol);
    response
}

fn web_socket(request: Request<Incoming>) -> Response<Body> {
    let asked =
        request.headers().get(UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let key = request.headers().get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok());
    let Some(accept) = key.filter(|_| asked).and_then(|key| HeaderValue::try_from(accept_key(key)).ok())
    else {
        return text(StatusCode::UPGRADE_REQUIRED, "this path speaks WebSocket\n");
    };
    let mut response = switching(HeaderValue::from_static("websocket"));
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    tokio::spawn(websocket::echo_frames(hyper::upgrade::on(request)));
    response
}

fn upgrade(request: Request<Incoming>) -> Response<Body> {
    let Some(protocol) = request.headers().get(UPGRADE).cloned() else {
        return text(StatusCode::UPGRADE_REQUIRED, "name a protocol in Upgrade\n");
    };
    tokio::spawn(websocket::echo_bytes(hyper::upgrade::on(request)));
    switching(protocol)
}

fn trailers() -> Response<Body> {
    let (feed, body) = piped();
    tokio::spawn(async move {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", HeaderValue::from_static("abc123"));
        for piece in [data("with "), data("trailers\n"), Ok(Frame::trailers(trailers))] {
            if feed.send(piece).await.is_err() {
                return;
            }
        }
    });
    let mut response = typed("text/plain; charset=utf-8", body);
    response.headers_mut().insert(TRAILER, HeaderValue::from_static("x-checksum"));
    response
}

fn half() -> Response<Body> {
    let (feed, body) = piped();
    tokio::spawn(break_off(feed));
    let mut response = typed("text/plain; charset=utf-8", body);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("1000"));
    response
}

async fn break_off(feed: mpsc::Sender<Piece>) {
    if feed.send(data("h".repeat(500))).await.is_ok() {
        // The half is to be on the wire before the connection breaks.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = feed.send(Err(io::Error::other("asked to break off"))).await;
    }
}

/// The request's head as JSON.
fn describe(request: &Request<Incoming>) -> String {
    let mut json = format!(
        "{{\"method\":{},\"target\":{},\"version\":{},\"headers\":[",
        quoted(request.method().as_str()),
        quoted(&request.uri().to_string()),
        quoted(&format!("{:?}", request.version())),
    );
    for (index, (name, value)) in request.headers().iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let value = String::from_utf8_lossy(value.as_bytes());
        let _ = write!(json, "{comma}[{},{}]", quoted(name.as_str()), quoted(&value));
    }
    json.push_str("]}\n");
    json
}

fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            control if control < ' ' => {
                let _ = write!(json, "\\u{:04x}", u32::from(control));
            }
            plain => json.push(plain),
        }
    }
    json.push('"');
    json
}
