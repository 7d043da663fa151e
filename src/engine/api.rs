//! The engine's API: bollard for orders, plain requests where its models or its decoders are in
//! the way.
//!
//! # Versions
//!
//! bollard 0.21.1 never sends an API version: the prefix `/v1.53` is lost where it joins the path,
//! and `negotiate_version` changes a local field only. That is the negotiation wanted here. A
//! request without a version is answered by every engine in the version it speaks itself, so none
//! calls the client too new (20.10) or too old (29), an engine that was upgraded under a running
//! WakeDock needs no second round, and Podman's socket knows unversioned paths, too. What is left
//! is to read only fields that no version has renamed, and no enumeration strictly: see the
//! records in `inspect` and `events`.

use std::io;
use std::time::Duration;

use bollard::API_DEFAULT_VERSION;
use bollard::BollardRequest;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::config::DockerHost;
use crate::engine::failure::{Failure, within};
use crate::engine::transport;

/// What a question may take.
pub(super) const QUESTION: Duration = Duration::from_secs(10);

/// No answer is longer; an `inspect` has some ten kilobytes.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

pub(super) struct Api {
    host: DockerHost,
    /// Bounded here, not there: bollard bounds only the head of an answer.
    pub(super) bollard: bollard::Docker,
}

impl Api {
    pub(super) fn new(host: DockerHost) -> Self {
        let dialled = host.clone();
        let transport = move |request: BollardRequest| {
            let host = dialled.clone();
            async move { Ok(transport::send(&host, request).await?) }
        };
        let unbounded = u64::from(u32::MAX);
        let bollard = bollard::Docker::connect_with_custom_transport(
            transport,
            Some("http://docker"),
            unbounded,
            API_DEFAULT_VERSION,
        );
        // Nothing in there fails in bollard 0.21.1, whatever the address.
        let bollard = bollard.expect("a client needs no engine");
        Self { host, bollard }
    }

    /// The body of an answer in the 200s.
    pub(super) async fn open(&self, path: &str) -> Result<Incoming, Failure> {
        within(QUESTION, async {
            let request = Request::get(path)
                .body(Empty::<Bytes>::new())
                .map_err(|error| Failure::Away(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
            let response = transport::send(&self.host, request).await.map_err(Failure::Away)?;
            let (head, body) = response.into_parts();
            if head.status.is_success() {
                return Ok(body);
            }
            let text = collect(body).await?;
            let message = serde_json::from_slice::<Problem>(&text)
                .map_or_else(|_| String::from_utf8_lossy(&text).into_owned(), |problem| problem.message);
            Err(Failure::refused(head.status.as_u16(), &message))
        })
        .await
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        within(QUESTION, async {
            let text = collect(self.open(path).await?).await?;
            serde_json::from_slice(&text).map_err(|error| Failure::garbled(&error))
        })
        .await
    }

    /// Whether the engine answers at all.
    pub(super) async fn ping(&self) -> Result<(), Failure> {
        within(QUESTION, async { collect(self.open("/_ping").await?).await.map(drop) }).await
    }
}

#[derive(Deserialize)]
struct Problem {
    message: String,
}

async fn collect(body: Incoming) -> Result<Bytes, Failure> {
    let collected = Limited::new(body, LONGEST_ANSWER).collect().await;
    let body = collected.map_err(|error| {
        Failure::Away(match error.downcast::<hyper::Error>() {
            Ok(error) => transport::into_io(*error),
            Err(error) => io::Error::other(error),
        })
    })?;
    Ok(body.to_bytes())
}

/// A name or id as it stands in a path. `None`: no container can be called that.
pub(super) fn segment(name: &str) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let good = name.bytes().all(plain) && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    good.then_some(name)
}
