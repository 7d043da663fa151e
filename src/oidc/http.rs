//! One HTTP request at a time to a provider: over TLS, bounded in time and size, no redirects.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// For one request, from the name to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// For one address of several.
const CONNECT: Duration = Duration::from_secs(3);
/// Discovery documents have a few kilobytes, key sets of large providers some tens.
const LARGEST_ANSWER: usize = 256 * 1024;
const LARGEST_HEAD: usize = 64 * 1024;

/// Why a request had no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("`{0}` is neither https nor http on the loopback address")]
    NotSecure(String),
    #[error("no certificate authorities are known here: install ca-certificates, or set SSL_CERT_FILE")]
    NoAuthorities,
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Timeout,
    #[error("the answer is larger than {} KiB", LARGEST_ANSWER / 1024)]
    TooLarge,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("{0}")]
    Request(#[from] http::Error),
}

/// A client for the requests of one errand. What TLS needs (the system's authorities, some hundred
/// kilobytes) is read when it is first needed, and gone when the errand is done.
#[derive(Default)]
pub(super) struct Http {
    tls: OnceCell<TlsConnector>,
}

impl Http {
    /// Sends a request, and reads its answer whatever the status.
    async fn fetch(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        timeout(PATIENCE, self.exchange(request)).await.unwrap_or(Err(HttpError::Timeout))
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let target = Target::of(request.uri())?;
        let stream = target.connect().await?;
        if !target.tls {
            return send(stream, &target, request).await;
        }
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the host is not a name for TLS"))?;
        let tls = self.tls.get_or_try_init(connector).await?;
        send(tls.connect(name, stream).await?, &target, request).await
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.fetch(request))
    }
}

/// Where a request goes.
struct Target {
    tls: bool,
    /// Without brackets.
    host: String,
    port: u16,
    /// As `Host` says it.
    authority: String,
}

impl Target {
    /// https anywhere, and http on the loopback address, where nobody listens in between.
    fn of(uri: &Uri) -> Result<Self, HttpError> {
        let wrong = || HttpError::NotSecure(uri.to_string());
        let authority = uri.authority().filter(|said| !said.as_str().contains('@')).ok_or_else(wrong)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_loopback(&host) => false,
            _ => return Err(wrong()),
        };
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { tls, host, port, authority: authority.to_string() })
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in lookup_host((self.host.as_str(), self.port)).await? {
            if !self.tls && !address.ip().is_loopback() {
                last = io::Error::new(io::ErrorKind::InvalidInput, "the host is not this machine");
                continue;
            }
            match connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let late = || Err(io::Error::new(io::ErrorKind::TimedOut, format!("{address} does not answer")));
    timeout(CONNECT, TcpStream::connect(address)).await.unwrap_or_else(|_| late())
}

/// Whether a host is this machine, whatever a name server says.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn connector() -> Result<TlsConnector, HttpError> {
    // Files are read.
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
        .await
        .map_err(|_| HttpError::NoAuthorities)?;
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        return Err(HttpError::NoAuthorities);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    target: &Target,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(LARGEST_HEAD).handshake(TokioIo::new(stream)).await?;
    // Ends with this function, whatever the other side does.
    let mut driver = JoinSet::new();
    driver.spawn(async {
        // What breaks it is told to whoever waits for the answer.
        let _ = connection.await;
    });
    let (mut head, body) = request.into_parts();
    head.uri = head.uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| path.clone().into());
    head.headers.insert(HOST, HeaderValue::from_str(&target.authority).map_err(http::Error::from)?);
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    head.headers
        .insert(USER_AGENT, HeaderValue::from_static(concat!("WakeDock/", env!("CARGO_PKG_VERSION"))));
    let answer = sender.send_request(Request::from_parts(head, Full::new(Bytes::from(body)))).await?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { HttpError::TooLarge } else { io::Error::other(error).into() }
    })?;
    Ok(HttpResponse::from_parts(head, body.to_bytes().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_nowhere_else() {
        for allowed in [
            "https://auth.example.com/x",
            "https://[2001:db8::1]:8443/x",
            "http://127.0.0.1:9000/x",
            "http://[::1]:9000/x",
            "http://localhost/x",
        ] {
            assert!(Target::of(&allowed.parse().unwrap()).is_ok(), "{allowed}");
        }
        for refused in [
            "http://auth.example.com/x",
            "http://127.0.0.1.example.com/x",
            "http://localhost.example.com/x",
            "http://192.168.1.1/x",
            "https://user:word@auth.example.com/x",
            "ftp://localhost/x",
            "/x",
        ] {
            assert!(Target::of(&refused.parse().unwrap()).is_err(), "{refused}");
        }
    }
}
