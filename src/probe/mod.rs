//! What decides `waking` to `ready`.

mod net;
mod wait;

pub use net::NetProber;
pub use wait::{Awaited, Wait, Warning, wait_ready};
