//! What WakeDock knows, without any way to wait, fail for outside reasons, or ask the time.

pub mod address;
pub mod host;
pub mod lifecycle;
pub mod name;
pub mod route;
pub mod service;
pub mod time;
pub mod usage;
pub mod words;
