//! What the benchmarks and the fuzz targets reach of the data plane's readers and writers. No part
//! of the interface: it follows the code behind it.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request};

use crate::clock;
use crate::config::ProxyLimits;
use crate::proxy::downstream::frames::Frames;
use crate::proxy::downstream::peer;
use crate::proxy::exchange::ask;
use crate::proxy::exchange::service;
use crate::proxy::fields;
use crate::proxy::grammar::Bounds;
use crate::proxy::grammar::head::{Framing, HeadReader};
use crate::proxy::grammar::requests::{Requests, Step};
use crate::proxy::host::Host;
use crate::proxy::upstream::interim;

/// Who is at the other end of a connection, as it is kept for all requests on it.
#[derive(Debug)]
pub struct Peer(peer::Peer);

impl Peer {
    /// `None`: a unix socket.
    #[must_use]
    pub fn new(address: Option<SocketAddr>) -> Self {
        Self(address.map_or_else(peer::Peer::local, peer::Peer::remote))
    }
}

fn bounds(limits: &ProxyLimits) -> Bounds {
    Bounds { head: limits.head, fields: limits.fields, target: limits.target }
}

/// Where the head of a request ends, and how long its body is; without a length it is chunked.
/// `None` where these bytes do not begin with one.
#[must_use]
pub fn head(bytes: &[u8], limits: &ProxyLimits) -> Option<(usize, Option<u64>)> {
    let head = HeadReader::new().read(bytes, &bounds(limits)).ok()??;
    Some(match head.framing {
        Framing::Length(length) => (head.end, Some(length)),
        Framing::Chunked => (head.end, None),
    })
}

/// What a client's bytes, come in these pieces, come to: those that are in order, and what ended
/// that.
#[must_use]
pub fn messages<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    limits: &ProxyLimits,
) -> (Vec<u8>, Option<String>) {
    let mut requests = Requests::new(bounds(limits));
    let (mut passed, mut held) = (Vec::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        while !held.is_empty() {
            match requests.step(&held) {
                Step::Pass(n) | Step::Upgrade(n) => passed.extend(held.drain(..n)),
                Step::Part => break,
                Step::NoRequest(violation) => return (passed, Some(format!("{violation:?}"))),
                Step::Broken(n, violation) => {
                    passed.extend(held.drain(..n));
                    return (passed, Some(format!("{violation:?}")));
                }
            }
        }
    }
    (passed, None)
}

/// What a client's HTTP/2 frames, come at once in these pieces, come to: the last stream it opened,
/// and whether a head is under way. `None`: a flood.
#[must_use]
pub fn frames<'a>(mut pieces: impl Iterator<Item = &'a [u8]>) -> Option<(u32, bool)> {
    let now = clock::now();
    let mut frames = Frames::new(now);
    pieces
        .all(|piece| frames.read(piece, || now).is_ok())
        .then(|| (frames.highest(), frames.head_since().is_some()))
}

/// How many interim answers an upstream's bytes, come in these pieces, begin with. `None`: too many.
#[must_use]
pub fn interims<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<u16> {
    interim::count(pieces)
}

/// The host of an authority, as it is routed.
#[must_use]
pub fn host(authority: &str) -> Option<String> {
    Host::read(authority).map(|host| host.as_str().to_owned())
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
        fields::reads_trailers(headers),
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
    fields::rewrite_response(headers, waited);
}

/// The parameter `path` of the query of the waiting page's own requests.
#[must_use]
pub fn path_parameter(query: &str) -> Option<String> {
    service::path_parameter(query)
}
