//! Where an awake service is dialled.

use std::net::SocketAddr;

/// The address of one wake: it changes at every start, so it carries the generation that found it.
/// A pooled connection is used again only for the same upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Upstream {
    pub address: SocketAddr,
    /// Number of the wake that found this address, unique within the process and service.
    pub generation: u64,
}
