//! A small HTTP/1.1 client for WakeDock's own API: over the local socket, or a URL with a token.

mod dial;
mod error;
mod events;
mod steady;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::time::timeout;

use crate::cli::wire::List;
use crate::clock;
use crate::domain::time::Timestamp;
pub(super) use dial::Target;
pub(super) use error::ClientError;
use error::Refusal;
pub(super) use events::{Event, Events};
pub(super) use steady::{FINDS_ITS_FEET, Steady};

/// An answer comes at once, or something is wrong; waits of the caller's own choosing come on top.
const PATIENCE: Duration = Duration::from_secs(10);
/// As many as a page of a list may hold.
const PAGE: u32 = 500;
/// Ten thousand services are a few megabytes.
const LARGEST_ANSWER: usize = 64 << 20;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The clocks of two machines, and a header that knows whole seconds, may differ so much for nothing.
const CLOCKS_AGREE: Duration = Duration::from_secs(2);

/// The way to one WakeDock. Each call has a connection of its own.
#[derive(Debug)]
pub(super) struct Client {
    target: Target,
    token: Option<HeaderValue>,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) fields: HeaderMap,
    pub(super) body: Bytes,
    address: String,
}

impl Answer {
    /// # Errors
    /// The body is not what this WakeDock says.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| ClientError::Foreign {
            address: self.address.clone(),
            detail: format!("its answer cannot be read: {error}"),
        })
    }

    /// The present by the clock of whoever answered, where it differs from ours.
    pub(super) fn now(&self) -> Timestamp {
        let ours = clock::wall();
        let theirs =
            self.fields.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let Some(theirs) = theirs.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok()) else {
            return ours;
        };
        let theirs = Timestamp::from_millis(i64::try_from(theirs.as_millis()).unwrap_or(i64::MAX));
        let apart = ours.since(theirs).max(theirs.since(ours));
        if apart > CLOCKS_AGREE { theirs } else { ours }
    }
}

impl Client {
    /// `token`: what follows `Bearer`.
    ///
    /// # Errors
    /// The token cannot stand in a header field.
    pub(super) fn new(target: Target, token: Option<&str>) -> Result<Self, ClientError> {
        let token = token.map(|token| {
            let mut value =
                HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| ClientError::Usage {
                    key: "--token",
                    value: "the token".to_owned(),
                    reason: "holds what no token has".to_owned(),
                    mend: "give it as it was shown when it was made: one word that begins with `wd_`"
                        .to_owned(),
                })?;
            value.set_sensitive(true);
            Ok(value)
        });
        Ok(Self { target, token: token.transpose()? })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.call(Method::GET, path, None, Duration::ZERO).await
    }

    /// `GET` of one kind of thing.
    pub(super) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.get(path).await?.read()
    }

    /// Every item of a list, page by page.
    pub(super) async fn all(&self, path: &str) -> Result<Vec<Json>, ClientError> {
        let mut items = Vec::new();
        let mut from = String::new();
        loop {
            let page: List<Json> = self.read(&format!("{path}?limit={PAGE}{from}")).await?;
            items.extend(page.items);
            match page.next {
                Some(next) => from = format!("&cursor={}", segment(&next)),
                None => return Ok(items),
            }
        }
    }

    /// Any call; `wait`: for how long the other side was asked to wait before it answers.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
        wait: Duration,
    ) -> Result<Answer, ClientError> {
        let patience = PATIENCE + wait;
        let whole = async {
            let request = self.request(method, path, body, "application/json")?;
            let (head, body) = self.open(request).await?.into_parts();
            let body = Limited::new(body, LARGEST_ANSWER).collect().await;
            let body = body.map_err(|error| self.broken(std::io::Error::other(error)))?.to_bytes();
            Ok(Answer { fields: head.headers, body, address: self.target.to_string() })
        };
        match timeout(patience, whole).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::TimedOut { address: self.target.to_string(), patience }),
        }
    }

    /// Opens an answer whose body comes bit by bit; `accept`: the kind that is wanted; `last`: of
    /// events, the last one that was seen.
    pub(super) async fn stream(
        &self,
        path: &str,
        accept: &'static str,
        last: Option<&str>,
    ) -> Result<http::Response<Incoming>, ClientError> {
        let mut request = self.request(Method::GET, path, None, accept)?;
        if let Some(last) = last.and_then(|last| HeaderValue::from_str(last).ok()) {
            request.headers_mut().insert(LAST_EVENT_ID, last);
        }
        let opened = self.open(request);
        match timeout(PATIENCE, opened).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::TimedOut { address: self.target.to_string(), patience: PATIENCE }),
        }
    }

    /// The head of an answer that is none of the refusals.
    async fn open(&self, request: Request<Full<Bytes>>) -> Result<http::Response<Incoming>, ClientError> {
        let call = format!("{} {}", request.method(), request.uri().path());
        let stream = self.target.dial().await?;
        let broken = |error: hyper::Error| self.broken(std::io::Error::other(error));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends with the answer; what breaks it is told to whoever reads.
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(broken)?;
        if answer.status().is_client_error() || answer.status().is_server_error() {
            return Err(self.refused(call, answer).await);
        }
        if answer.status().is_redirection() {
            let detail = format!("it answers with status {}", answer.status());
            return Err(ClientError::Foreign { address: self.target.to_string(), detail });
        }
        Ok(answer)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
        accept: &'static str,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.target.base()))
            .header(HOST, self.target.authority())
            .header(ACCEPT, accept);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        request.body(Full::new(body)).map_err(|error| self.broken(std::io::Error::other(error)))
    }

    async fn refused(&self, call: String, answer: http::Response<Incoming>) -> ClientError {
        let status = answer.status();
        let retry_after =
            answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let mut problem: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        if problem.title.is_empty() {
            problem.title = format!("WakeDock answered {status}");
        }
        ClientError::Refused { call, status, problem: Box::new(problem), retry_after, body }
    }

    fn broken(&self, source: std::io::Error) -> ClientError {
        ClientError::Broken { address: self.target.to_string(), source }
    }
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    // Two names that would mean another place.
    match path.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(segment("cloud-1"), "cloud-1");
        assert_eq!(segment("a/../b c?d#é"), "a%2F..%2Fb%20c%3Fd%23%C3%A9");
        assert_eq!(segment(".."), "%2E%2E");
    }

    #[test]
    fn a_token_is_one_word_and_shown_to_nobody() {
        let client = Client::new(Target::Socket("/x".into()), Some("wd_secret")).unwrap();
        assert!(!format!("{client:?}").contains("secret"));
        assert!(Client::new(Target::Socket("/x".into()), Some("a\nb")).is_err());
    }
}
