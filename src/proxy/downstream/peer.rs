//! Who is at the other end of a downstream connection.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Peer {
    /// `None` for a unix socket.
    pub(in crate::proxy) address: Option<IpAddr>,
    /// The same, as it stands in `X-Forwarded-For`.
    pub(in crate::proxy) text: Option<HeaderValue>,
}

impl Peer {
    pub(in crate::proxy) fn local() -> Self {
        Self { address: None, text: None }
    }

    pub(in crate::proxy) fn remote(address: SocketAddr) -> Self {
        let address = address.ip().to_canonical();
        Self { address: Some(address), text: HeaderValue::try_from(address.to_string()).ok() }
    }
}
