//! What every system test stands on: containers, WakeDock, Caddy, clients, and their removal.
//!
//! Everything here blocks: a test is a script. Whatever is made is removed when its guard is
//! dropped; what a killed run left behind is swept by the next one. Without Docker or Caddy the
//! tests fail; they are never skipped.

#![allow(dead_code, unused_imports, reason = "the harness offers more than the tests of one moment use")]

mod api;
mod app;
mod browser;
mod caddy;
mod docker;
mod engine;
mod frames;
mod h2c;
mod http;
mod inherit;
mod load;
mod metrics;
mod peers;
mod process;
mod relay;
mod run;
mod selftest;
mod small_disk;
mod times;
mod wakedock;
mod walk;
mod websocket;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

pub use api::Api;
pub use app::{App, Builder as AppBuilder, Network};
pub use browser::{Browser, Manner};
pub use caddy::Caddy;
pub use docker::Docker;
pub use engine::Engine;
pub use frames::{Frames, USUAL, WIDE, narrow};
pub use h2c::H2Connection;
pub use http::{Answer, Connection, Request, Target};
pub use load::{Load, Tally};
pub use metrics::value as metric_value;
pub use peers::peer;
pub use process::Process;
pub use relay::Relay;
pub use small_disk::SmallDisk;
pub use times::Times;
pub use wakedock::{Builder as WakeDockBuilder, WakeDock, command};
pub use walk::{Operation, links, look_at_every_page, look_at_the_api, operations};
pub use websocket::{Message, WebSocket};

static TURN: RwLock<()> = RwLock::new(());

/// The turn of a test that may run beside others.
pub fn shared() -> RwLockReadGuard<'static, ()> {
    TURN.read().unwrap_or_else(PoisonError::into_inner)
}

/// The turn of a test that measures: no other runs meanwhile.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    TURN.write().unwrap_or_else(PoisonError::into_inner)
}

/// Asks `attempt` until it gives something; panics with `reason` when it never does.
pub fn eventually<T>(within: Duration, reason: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {reason}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the binary under test is the optimised one: only that is what an operator runs.
pub fn optimised() -> bool {
    std::env::var_os("WAKEDOCK_BIN").is_some_and(|path| path.to_string_lossy().contains("release"))
}

/// A TCP port of the loopback interface that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
