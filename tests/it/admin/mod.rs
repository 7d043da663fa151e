//! The control plane's door: over real sockets, with clients that write their requests by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests, too, may fail a test")]

mod basics;
mod browsers;
mod credentials;
mod ending;
mod french;
mod guessing;
mod limits;
mod memory;
mod oidc;
mod openapi;
mod people;
mod proxies;
mod restored;
mod rig;
mod roles;
mod through;
