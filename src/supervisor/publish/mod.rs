//! Keeps Caddy in step with the set of routes, by one task.
//!
//! Sleeping and waking never come here: a change of Caddy's configuration can close every
//! WebSocket of every site. Only another set of hosts, another configuration or another file of
//! the operator's leads to a publish, and only where the result differs from what Caddy runs.

mod ask;
mod attempt;
mod handle;
mod state;
mod task;

pub use ask::{AskError, Draft, Verdict};
pub use handle::PublisherHandle;
pub use state::PublishState;
pub use task::{Connect, OnOutcome, Publisher};
