//! Every metric family, its labels (closed words and configured names only), and its text.
//!
//! What the request path and the lifecycle count is plain atomics per service, rendered here:
//! a hundred services times a hundred series cost kilobytes that way, and no look-up on the
//! request path. The few families of the process as a whole go through `metrics` and its
//! Prometheus exporter.

mod cuts;
mod feed;
mod process;
mod service;
mod text;

pub use cuts::Cuts;
pub use feed::FeedCounts;
pub use process::{ConfigReload, EngineOperation, ProcessMetrics};
pub use service::{AnsweredBy, Being, ServiceMetrics, Totals};
pub use text::{Live, Subject, render};
