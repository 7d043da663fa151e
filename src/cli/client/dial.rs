//! Where a WakeDock answers, and the connection to it.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;

use http::Uri;
use http::uri::Scheme;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::{ClientError, tls};

/// Where a WakeDock answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Target {
    Socket(PathBuf),
    Url {
        /// With port.
        authority: String,
        host: String,
        port: u16,
        /// What stands before `/api`: nothing, mostly.
        base: String,
        secure: bool,
    },
}

/// Bytes there and back.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Target {
    /// Reads `https://wakedock.example.com`.
    ///
    /// # Errors
    /// It is no URL, or one with user, query or an unknown scheme.
    pub(in crate::cli) fn parse(url: &str) -> Result<Self, ClientError> {
        let wrong = |reason: &str| ClientError::Usage {
            key: "--url",
            value: url.to_owned(),
            reason: reason.to_owned(),
            mend: "write it like `https://wakedock.example.com` or `http://127.0.0.1:7081`".to_owned(),
        };
        let uri: Uri = url.parse().map_err(|_| wrong("is not a URL"))?;
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(_) => return Err(wrong("is neither http nor https")),
            None => return Err(wrong("does not begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("holds a user name, which belongs into a token"));
        }
        if uri.query().is_some() {
            return Err(wrong("holds a query"));
        }
        Ok(Self::Url {
            authority: authority.to_string(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            base: uri.path().trim_end_matches('/').to_owned(),
            secure,
        })
    }

    /// Whether others on the way can read what is sent.
    pub(in crate::cli) fn is_overheard(&self) -> bool {
        match self {
            Self::Url { secure: false, host, .. } => {
                !host.eq_ignore_ascii_case("localhost")
                    && !host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            Self::Url { .. } | Self::Socket(_) => false,
        }
    }

    pub(super) fn authority(&self) -> &str {
        match self {
            Self::Socket(_) => "localhost",
            Self::Url { authority, .. } => authority,
        }
    }

    pub(super) fn base(&self) -> &str {
        match self {
            Self::Socket(_) => "",
            Self::Url { base, .. } => base,
        }
    }

    pub(super) async fn dial(&self) -> Result<Pin<Box<dyn Wire>>, ClientError> {
        match self {
            Self::Socket(path) => match UnixStream::connect(path).await {
                Ok(stream) => Ok(Box::pin(stream)),
                Err(source) => Err(match source.kind() {
                    io::ErrorKind::PermissionDenied => ClientError::Forbidden { socket: path.clone() },
                    _ => ClientError::NotRunning { socket: path.clone(), source },
                }),
            },
            Self::Url { host, port, secure, .. } => {
                let away = |source| ClientError::Unreachable { address: self.to_string(), source };
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(away)?;
                if *secure {
                    return Ok(Box::pin(tls::secure(stream, host).await.map_err(away)?));
                }
                Ok(Box::pin(stream))
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Url { authority, base, secure, .. } => {
                write!(f, "{}://{authority}{base}", if *secure { "https" } else { "http" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_on_the_way_is_said() {
        for (url, overheard) in [
            ("http://nas:7081", true),
            ("http://192.0.2.1:7081", true),
            ("http://localhost.example.com", true),
            ("https://nas:7081", false),
            ("http://127.0.0.1:7081", false),
            ("http://[::1]:7081", false),
            ("http://localhost:7081", false),
        ] {
            assert_eq!(Target::parse(url).unwrap().is_overheard(), overheard, "{url}");
        }
    }

    #[test]
    fn a_url_is_read_whole_or_refused() {
        let url = |text: &str| Target::parse(text).map(|target| target.to_string());
        assert_eq!(url("https://wakedock.example.com/").unwrap(), "https://wakedock.example.com");
        assert_eq!(url("http://127.0.0.1:7081").unwrap(), "http://127.0.0.1:7081");
        assert_eq!(url("http://[::1]:7081/dock/").unwrap(), "http://[::1]:7081/dock");
        for (text, reason) in [
            ("wakedock.example.com", "does not begin"),
            ("ftp://a", "neither http"),
            ("http://me:pw@a", "user name"),
            ("http://a/?x=1", "query"),
            ("http:// a", "not a URL"),
            ("", "not a URL"),
        ] {
            let error = url(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        match Target::parse("https://[::1]").unwrap() {
            Target::Url { host, port, .. } => assert_eq!((host.as_str(), port), ("::1", 443)),
            Target::Socket(_) => panic!("a URL is no socket"),
        }
    }
}
