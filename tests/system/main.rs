//! The built binary, real Docker, real Caddy.
//!
//! Each test begins with `let _turn = harness::shared();`, or, where it measures time or memory,
//! with `let _turn = harness::alone();`.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests of a built binary live in real time, block, and panic with what went wrong"
)]

mod cold;
mod crowd;
mod harness;
<<<<<<< Updated upstream
mod in_use;
mod overhead;
mod page;
mod stop_race;
=======

mod bad_input;
mod by_hand;
mod caddy_restart;
mod engine_faults;
mod figures;
mod kill9;
mod reload;
mod restarts;
mod shutdown;
>>>>>>> Stashed changes
