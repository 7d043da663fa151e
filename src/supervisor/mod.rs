//! Services: one actor each, all of them as a fleet, and what keeps them in step with Docker.

mod actor;
mod awake;
pub mod catalog;
mod chronicle;
mod containers;
pub mod fleet;
pub mod handle;
pub mod journal;
mod keeper;
pub mod lease;
pub mod logs;
mod look;
mod news;
pub mod publish;
pub mod retention;
pub mod rollup;
mod stir;
mod stop;
mod wake;
