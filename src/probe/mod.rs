//! What decides `waking` to `ready`.

#[doc(hidden)]
pub mod bench;
mod net;
mod wait;

pub use net::NetProber;
pub use wait::{Awaited, Wait, Warning, wait_ready};
