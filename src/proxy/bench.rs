//! What the benchmarks and the fuzz targets reach of the data plane's readers and writers. No part
//! of the interface: it follows the code behind it.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request};

use crate::config::ProxyLimits;
use crate::proxy::ask;
use crate::proxy::fields;
use crate::proxy::io;
use crate::proxy::service;

/// Who is at the other end of a connection, as it is kept for all requests on it.
#[derive(Debug)]
pub struct Peer(io::Peer);

impl Peer {
    /// `None`: a unix socket.
    #[must_use]
    pub fn new(address: Option<SocketAddr>) -> Self {
        Self(address.map_or_else(io::Peer::local, io::Peer::remote))
    }
}

/// The host of an authority, as it is routed.
#[must_use]
pub fn host(authority: &str) -> Option<String> {
    ask::Host::read(authority).map(|host| host.as_str().to_owned())
}

/// The host that a whole request is routed by; `None` where the request is refused.
#[must_use]
pub fn check<B>(request: &Request<B>, limits: &ProxyLimits) -> Option<String> {
    ask::check(request, limits).ok().map(|host| host.as_str().to_owned())
}

/// What a request is taken for: an upgrade, a navigation, a look ahead, a reader of trailers.
#[must_use]
pub fn kind<B: http_body::Body>(request: &Request<B>) -> [bool; 4] {
    let headers = request.headers();
    [
        ask::wants_upgrade(request),
        ask::is_navigation(request),
        ask::is_prefetch(headers),
        ask::reads_trailers(headers),
    ]
}

/// The id that a request goes by.
#[must_use]
pub fn request_id(headers: &HeaderMap, trusted: bool) -> HeaderValue {
    fields::request_id(headers, trusted, || HeaderValue::from_static("made-here"))
}

/// Makes the fields of a request those of the next hop.
pub fn rewrite_request(
    headers: &mut HeaderMap,
    host: HeaderValue,
    peer: &Peer,
    trusted: bool,
    id: &HeaderValue,
) {
    fields::rewrite_request(headers, host, &peer.0, trusted, id);
}

/// Makes the fields of an answer those of this hop.
pub fn rewrite_response(headers: &mut HeaderMap, waited: Option<Duration>) {
    service::rewrite_response(headers, waited);
}

/// The parameter `path` of the query of the waiting page's own requests.
#[must_use]
pub fn path_parameter(query: &str) -> Option<String> {
    service::path_parameter(query)
}
