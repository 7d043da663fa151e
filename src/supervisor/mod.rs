//! Services: one actor each, all of them as a fleet, and what keeps them in step with Docker.

mod actor;
pub mod catalog;
mod chronicle;
pub mod fleet;
pub mod handle;
mod keeper;
pub mod lease;
mod look;
mod news;
pub mod publish;
mod stop;
mod wake;
