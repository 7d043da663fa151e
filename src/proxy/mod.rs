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
//! | `crowd` | how many connections there may be |
//! | `connection`, `io` | one downstream connection: its protocol, its socket |
//! | `driver`, `parked`, `alarm` | its time limits, its rest, its end |
//! | `grammar`, `guard` | what is HTTP/1, and keeping everything else from hyper |
//! | `http2`, `frames`, `stream` | what HTTP/2 is granted, floods, a single stream's end |
//! | `sips` | how much of a body is read at once |
//! | `ask`, `fields` | what a request asks for; the fields that are rewritten |
//! | `service` | the way of one request: route, admit, forward, count |
//! | `cold`, `events`, `pages` | while there is no lease |
//! | `forward`, `answer`, `interim`, `dial`, `pool`, `body` | to the upstream and back |
//! | `tunnel`, `extended` | upgraded streams; WebSockets over HTTP/2 |
//! | `respond` | every answer of our own |

mod accept;
mod alarm;
mod answer;
mod ask;
#[doc(hidden)]
pub mod bench;
mod body;
mod cold;
mod connection;
mod crowd;
mod dashboard;
mod dial;
mod driver;
mod events;
mod extended;
mod fields;
mod forward;
mod frames;
mod grammar;
mod guard;
mod http2;
mod interim;
mod io;
pub mod listen;
mod pages;
mod parked;
pub mod plane;
mod pool;
mod respond;
mod service;
pub mod settings;
mod sips;
mod stream;
mod tunnel;
mod worker;

pub use listen::{BindError, Bound, BoundAddress, bind};
pub use plane::{DataPlane, DrainOutcome, Routes};
pub use settings::{Dashboard, ProxySettings};
