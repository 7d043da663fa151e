//! What the tests of this binary share.

// Helpers count as tests, too, for clippy.
#![cfg(test)]

pub(crate) mod committed;
pub(crate) mod fake_engine;
pub(crate) mod fake_prober;
pub(crate) mod fake_provider;
pub(crate) mod memory_disk;
pub(crate) mod said;
