//! Caddy's admin API, over TCP or a unix socket.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::CaddyAddress;
use crate::ports::{BoxFuture, CaddyAdmin, CaddyError};

/// Looking and adapting take milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Activating may open listeners and get certificates; a load that we stop waiting for goes on.
const LOAD_PATIENCE: Duration = Duration::from_secs(30);
/// How long Caddy may need to put a new admin endpoint in the place of the old one.
const ENDPOINT_CHANGE: Duration = Duration::from_millis(50);
/// Ten thousand hosts are one megabyte.
const LARGEST_ANSWER: usize = 32 << 20;
/// As much of an answer as an operator can use: of Caddy's own error, and of what is none.
const LONGEST_ERROR: usize = 4000;
const LONGEST_MESSAGE: usize = 500;

/// A client of one Caddy. Each call has a connection of its own: Caddy makes its admin endpoint
/// anew with every load.
///
/// That is also how a change is noticed. To ask once a second would be a line in Caddy's log once
/// a second; so the connection of the last look stays open, and its end tells that Caddy was
/// stopped or reloaded. Caddy closes it after a silent minute, too, which costs one more look.
#[derive(Debug)]
pub struct Client {
    address: CaddyAddress,
    last_look: Mutex<Option<Connection>>,
}

/// An open connection. Dropped, it is closed.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// The one task that moves the bytes; it ends with the connection.
    driver: JoinSet<()>,
}

impl Client {
    #[must_use]
    pub fn new(address: CaddyAddress) -> Self {
        Self { address, last_look: Mutex::new(None) }
    }

    /// Makes a call, and gives the connection it was made on.
    async fn call(
        &self,
        patience: Duration,
        request: Request<Full<Bytes>>,
    ) -> Result<(Bytes, Connection), CaddyError> {
        let answer = timeout(patience, self.exchange(request)).await.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {patience:?}")))
        });
        match answer {
            Ok((StatusCode::OK, body, connection)) => Ok((body, connection)),
            Ok((status, body, _)) => Err(CaddyError::Rejected { message: message(status, &body) }),
            Err(source) => Err(self.away(source)),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> io::Result<(StatusCode, Bytes, Connection)> {
        let mut connection = match &self.address {
            CaddyAddress::Tcp(address) => Connection::open(TcpStream::connect(address).await?).await?,
            CaddyAddress::Unix(path) => Connection::open(UnixStream::connect(path).await?).await?,
        };
        let answer = connection.sender.send_request(request).await.map_err(io::Error::other)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(io::Error::other)?;
        Ok((head.status, body.to_bytes(), connection))
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

    fn away(&self, source: io::Error) -> CaddyError {
        let address = match &self.address {
            CaddyAddress::Tcp(address) => format!("http://{address}"),
            CaddyAddress::Unix(path) => format!("unix:{}", path.display()),
        };
        CaddyError::Away { address, source }
    }

    /// An answer that is not JSON comes from something that is not Caddy.
    fn json(&self, body: &[u8]) -> Result<Value, CaddyError> {
        serde_json::from_slice(body).map_err(|error| self.away(error.into()))
    }
}

impl Connection {
    async fn open(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> io::Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let mut driver = JoinSet::new();
        driver.spawn(async {
            // What ends it is told to whoever waits for an answer; here its end is all that counts.
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }
}

impl CaddyAdmin for Client {
    fn running(&self) -> BoxFuture<'_, Result<Value, CaddyError>> {
        Box::pin(async move {
            let mut last_look = self.last_look.lock().await;
            *last_look = None;
            let look = || self.call(PATIENCE, self.request(Method::GET, "/config/", "", Bytes::new()));
            let (body, connection) = match look().await {
                // Just after a load it may be the old endpoint that took the connection.
                Err(CaddyError::Away { .. }) => {
                    sleep(ENDPOINT_CHANGE).await;
                    look().await?
                }
                answer => answer?,
            };
            let running = self.json(&body)?;
            *last_look = Some(connection);
            Ok(running)
        })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut last_look = self.last_look.lock().await;
            match last_look.as_mut() {
                Some(connection) => {
                    connection.driver.join_next().await;
                }
                None => std::future::pending().await,
            }
        })
    }

    fn adapt<'a>(&'a self, caddyfile: &'a str) -> BoxFuture<'a, Result<Value, CaddyError>> {
        Box::pin(async move {
            let body = Bytes::copy_from_slice(caddyfile.as_bytes());
            let request = self.request(Method::POST, "/adapt", "text/caddyfile", body);
            let (body, _) = self.call(PATIENCE, request).await?;
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

/// Caddy's own words, where it says some.
pub(super) fn message(status: StatusCode, body: &[u8]) -> String {
    let error = serde_json::from_slice::<Value>(body).ok();
    let text = error.as_ref().and_then(|error| error.get("error")).and_then(Value::as_str);
    if let Some(text) = text.map(|text| readable(text, LONGEST_ERROR)).filter(|text| !text.is_empty()) {
        return text;
    }
    let text = readable(&String::from_utf8_lossy(body), LONGEST_MESSAGE);
    if text.is_empty() { format!("status {status}") } else { format!("status {status}: {text}") }
}

/// The beginning of a text, without what would steer a terminal.
fn readable(text: &str, longest: usize) -> String {
    let shown = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    text.trim().chars().filter(shown).take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &[u8]) -> String {
        message(StatusCode::BAD_REQUEST, body)
    }

    #[test]
    fn an_error_is_shown_in_caddys_words() {
        assert_eq!(
            said(br#"{"error":"Caddyfile:3: unrecognized directive: foo"}"#),
            "Caddyfile:3: unrecognized directive: foo"
        );
        assert_eq!(said(b"<html>no\n"), "status 400 Bad Request: <html>no");
        assert_eq!(said(b" \n"), "status 400 Bad Request");
    }

    /// The fuzz target found it: whatever answers there could steer the operator's terminal, and
    /// fill the log with one line.
    #[test]
    fn an_error_is_bounded_and_steers_no_terminal() {
        assert_eq!(said(br#"{"error":"a\u001b[31mb\u0007\nc"}"#), "a[31mb\nc");
        assert_eq!(said(b"a\x1b[31mb\0"), "status 400 Bad Request: a[31mb");
        let endless = serde_json::json!({ "error": "x".repeat(1 << 20) });
        assert_eq!(said(endless.to_string().as_bytes()).len(), LONGEST_ERROR);
        assert_eq!(said(br#"{"error":"\u0000"}"#), r#"status 400 Bad Request: {"error":"\u0000"}"#);
    }
}
