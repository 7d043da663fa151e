//! The data plane: from an accepted connection to the upstream and back.
//!
//! One single-threaded runtime per core, each with its own upstream pool; a connection lives and
//! dies on the runtime that got it, so nothing on the way of a request is shared between cores but
//! the service's gate and counters.
//!
//! | file | what it is |
//! |---|---|
//! | [`listen`] | binds addresses and takes over inherited sockets |
//! | [`plane`], `drain` | starts the workers, and ends them |
//! | `run`, `accept`, `crowd` | one worker's sockets; how many connections there may be |
//! | `serve` | one connection: which protocol it speaks, to its end |
//! | `exchange` | one request: what it asks for, and every answer |
//! | `worker` | what the tasks of one worker share |
//! | `upstream` | to the application and back |
//! | `downstream` | the client's socket, HTTP/1 and HTTP/2 on it, its time limits |
//! | `grammar` | what is HTTP/1 |
//! | `fields`, `host`, `trouble` | header fields that are rewritten; hosts; what can go wrong |
//! | `sips`, `alarm` | how much of a body is read at once; deadlines |
//!
//! Arrows point down this list, and from each folder's files to those below.

mod accept;
mod alarm;
#[doc(hidden)]
pub mod bench;
mod crowd;
mod downstream;
mod drain;
mod exchange;
mod fields;
mod grammar;
mod host;
pub mod listen;
pub mod plane;
mod run;
mod serve;
pub mod settings;
mod sips;
mod trouble;
mod upstream;
mod worker;

pub use listen::{BindError, Bound, BoundAddress, bind};
pub use plane::{DataPlane, DrainOutcome};
pub use settings::{Dashboard, ProxySettings};
pub use worker::Routes;
