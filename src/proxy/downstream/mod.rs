//! The client's side of a connection: its socket, the protocol on it, its time limits.
//!
//! | file | what it is |
//! |---|---|
//! | `peer`, `socket` | who is at the other end, and over what |
//! | `state` | what socket, requests and driver tell each other |
//! | `guard`, `io` | what of the bytes hyper may see; the socket as hyper sees it |
//! | `frames`, `http2`, `stream` | HTTP/2: floods, what is granted, a single stream's end |
//! | `driver`, `parked` | its time limits, its rest |

pub(super) mod driver;
pub(super) mod frames;
pub(super) mod guard;
pub(super) mod http2;
pub(super) mod io;
pub(super) mod parked;
pub(super) mod peer;
pub(super) mod socket;
pub(super) mod state;
pub(super) mod stream;
