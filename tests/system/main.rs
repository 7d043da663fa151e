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

mod admin_under_load;
mod api;
mod api_writes;
mod back_off;
mod backup;
mod bad_input;
mod by_hand;
mod caddy_api;
mod caddy_restart;
mod cold;
mod command_line;
mod crowd;
mod dashboard;
mod dashboard_answers;
mod dashboards;
mod descriptors;
mod engine_faults;
mod figures;
mod french;
mod grpc;
mod h2spec;
mod harbour;
mod harness;
mod in_use;
mod kill9;
mod labels;
mod memory;
mod memory_control;
mod newcomer;
mod oidc;
mod overhead;
mod page;
mod pictures;
mod reload;
mod restart_control;
mod restarts;
mod shutdown;
mod soak;
mod stop_race;
mod strangers;
