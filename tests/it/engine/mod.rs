//! The engine: one contract for Docker and for the fake, a connection that breaks, engines of other
//! ages, and the wait for readiness.

// Helpers count as tests, too, for clippy.
#![cfg(test)]

mod broken;
mod contract;
mod docker;
mod fake;
mod locate;
mod reach;
mod readiness;
mod versions;
