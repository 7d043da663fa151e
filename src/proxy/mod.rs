//! The data plane: from an accepted connection to the upstream and back.
//!
//! One single-threaded runtime per core, each with its own upstream pool; a connection lives and
//! dies on the runtime that got it, so nothing on the way of a request is shared between cores but
//! the service's gate and counters.
//!
//! | file | what it is |
//! |---|---|
//! | [`listen`] | binds addresses and takes over inherited sockets |
//! | [`plane`] | starts the workers, drains them |
//! | `worker`, `accept` | one runtime, its sockets, its connections |
//! | `connection`, `io`, `alarm` | one downstream connection: protocol, time limits, drain |
//! | `http2`, `frames`, `stream` | what HTTP/2 is granted, floods, a single stream's end |
//! | `ask`, `fields` | what a request asks for; the fields that are rewritten |
//! | `service` | the way of one request: route, admit, forward, count |
//! | `cold`, `events`, `pages` | while there is no lease |
//! | `forward`, `dial`, `pool`, `body` | to the upstream and back |
//! | `tunnel`, `extended` | upgraded streams; WebSockets over HTTP/2 |
//! | `respond` | every answer of our own |

mod accept;
mod alarm;
mod ask;
#[doc(hidden)]
pub mod bench;
mod body;
mod cold;
mod connection;
mod dial;
mod events;
mod extended;
mod fields;
mod forward;
mod frames;
mod http2;
mod io;
pub mod listen;
mod pages;
pub mod plane;
mod pool;
mod respond;
mod service;
pub mod settings;
mod stream;
mod tunnel;
mod worker;

pub use listen::{BindError, Bound, BoundAddress, bind};
pub use plane::{DataPlane, DrainOutcome, Routes};
pub use settings::ProxySettings;
