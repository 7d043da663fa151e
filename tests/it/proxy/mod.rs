//! The data plane on real sockets: a raw client, a raw upstream, and a service that the test opens
//! and closes itself.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod answers;
mod bodies;
mod cold;
mod drain;
mod early;
mod extended;
mod faults;
mod floods;
mod frames;
mod goaway;
mod grpc;
mod http2;
mod limits;
mod listen;
mod malformed;
mod refusals;
mod rig;
mod routing;
mod streams;
mod timeouts;
mod transparency;
mod upgrades;
