//! Where services come from: each source says some keys of a service, and together they make one.
//!
//! All of this is pure: what the sources say goes in, services and problems come out, whatever the
//! order in which the sources were read.

mod api;
mod assemble;
mod claims;
pub mod labels;
mod layer;
mod merge;
mod names;
mod reference;

use std::fmt;

use crate::domain::name::ServiceName;
use crate::domain::words::Origin;

pub use api::{read_api, read_stored};
pub use assemble::{ApiSource, Assembled, Assembly, Contender, Input, assemble, is_passing};
pub use layer::{Layer, values};
pub use reference::labels_reference;

/// Something that is wrong with what one source says. Everything else goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceProblem {
    /// As it was written: `wakedock.stop-after`, `idle.stop_after`.
    pub key: String,
    /// What was written there, shortened.
    pub value: Option<String>,
    /// Completes the sentence that begins with the key.
    pub reason: String,
    pub mend: String,
    pub origin: Origin,
    /// The container meant, where it makes no service.
    pub container: Option<String>,
}

impl fmt::Display for SourceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.key, self.reason, self.mend)
    }
}

/// What the configuration file and the environment say about services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSources {
    /// The options of `defaults`.
    pub defaults: Layer,
    /// In the order of the file.
    pub services: Vec<(ServiceName, Layer)>,
}
