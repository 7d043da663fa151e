//! Caddy's admin API, over TCP or a unix socket.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::config::CaddyAddress;
use crate::ports::{BoxFuture, CaddyAdmin, CaddyError};

/// Looking and adapting take milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Activating may open listeners and get certificates; a load that we stop waiting for goes on.
const LOAD_PATIENCE: Duration = Duration::from_secs(30);
/// Ten thousand hosts are one megabyte.
const LARGEST_ANSWER: usize = 32 << 20;
/// As much of an answer that is not Caddy's own error as an operator can use.
const LONGEST_MESSAGE: usize = 500;

/// A client of one Caddy. Each call has a connection of its own: Caddy makes its admin endpoint
/// anew with every load.
#[derive(Debug, Clone)]
pub struct Client {
    address: CaddyAddress,
}

impl Client {
    #[must_use]
    pub fn new(address: CaddyAddress) -> Self {
        Self { address }
    }

    async fn call(&self, patience: Duration, request: Request<Full<Bytes>>) -> Result<Bytes, CaddyError> {
        let answer = timeout(patience, self.exchange(request)).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {patience:?}")))
        });
        match answer {
            Ok((StatusCode::OK, body)) => Ok(body),
            Ok((status, body)) => Err(CaddyError::Rejected { message: message(status, &body) }),
            Err(source) => Err(CaddyError::Away { address: self.to_string(), source }),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> io::Result<(StatusCode, Bytes)> {
        match &self.address {
            CaddyAddress::Tcp(address) => send(TcpStream::connect(address).await?, request).await,
            CaddyAddress::Unix(path) => send(UnixStream::connect(path).await?, request).await,
        }
    }

    fn request(&self, method: Method, path: &str, content: &str, body: Bytes) -> Request<Full<Bytes>> {
        // On a unix socket Caddy before 2.10 lets only an empty host pass.
        let host = match &self.address {
            CaddyAddress::Tcp(address) => address.as_str(),
            CaddyAddress::Unix(_) => "",
        };
        let request = Request::builder().method(method).uri(path).header(HOST, host);
        let request = if body.is_empty() { request } else { request.header(CONTENT_TYPE, content) };
        request.body(Full::new(body)).unwrap_or_default()
    }

    /// An answer that is not JSON comes from something that is not Caddy.
    fn json(&self, body: &[u8]) -> Result<Value, CaddyError> {
        serde_json::from_slice(body)
            .map_err(|error| CaddyError::Away { address: self.to_string(), source: error.into() })
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.address {
            CaddyAddress::Tcp(address) => write!(f, "http://{address}"),
            CaddyAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl CaddyAdmin for Client {
    fn running(&self) -> BoxFuture<'_, Result<Value, CaddyError>> {
        Box::pin(async move {
            let request = self.request(Method::GET, "/config/", "", Bytes::new());
            let body = self.call(PATIENCE, request).await?;
            self.json(&body)
        })
    }

    fn adapt<'a>(&'a self, caddyfile: &'a str) -> BoxFuture<'a, Result<Value, CaddyError>> {
        Box::pin(async move {
            let body = Bytes::copy_from_slice(caddyfile.as_bytes());
            let request = self.request(Method::POST, "/adapt", "text/caddyfile", body);
            let body = self.call(PATIENCE, request).await?;
            let mut answer = self.json(&body)?;
            Ok(answer.get_mut("result").map(Value::take).unwrap_or_default())
        })
    }

    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<(), CaddyError>> {
        Box::pin(async move {
            let body = Bytes::from(config.to_string());
            let request = self.request(Method::POST, "/load", "application/json", body);
            self.call(LOAD_PATIENCE, request).await.map(drop)
        })
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> io::Result<(StatusCode, Bytes)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let exchange = async {
        let (head, body) = sender.send_request(request).await.map_err(io::Error::other)?.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(io::Error::other)?;
        Ok((head.status, body.to_bytes()))
    };
    // Polled together, so that giving up the call also closes the connection.
    tokio::pin!(connection, exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        ended = &mut connection => {
            ended.map_err(io::Error::other)?;
            exchange.await
        }
    }
}

/// Caddy's own words, where it says some.
fn message(status: StatusCode, body: &[u8]) -> String {
    let error = serde_json::from_slice::<Value>(body).ok();
    if let Some(text) = error.as_ref().and_then(|error| error.get("error")).and_then(Value::as_str) {
        return text.to_owned();
    }
    let text = String::from_utf8_lossy(body);
    let text: String = text.trim().chars().take(LONGEST_MESSAGE).collect();
    if text.is_empty() { format!("status {status}") } else { format!("status {status}: {text}") }
}
