//! Services: one actor each, all of them as a fleet, and what keeps them in step with Docker.

pub mod handle;
pub mod lease;
pub mod publish;
