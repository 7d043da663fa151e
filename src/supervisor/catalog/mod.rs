//! Every service, where it comes from, and what is wrong with it: file, API and labels together.
//!
//! The catalog owns what each source says, puts it together, and gives the fleet its services and
//! Caddy its sites.

mod contenders;
mod discover;
mod handle;
mod put;
mod recall;
mod records;
mod state;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::config::{Layer, SourceProblem, values};
use crate::domain::name::ServiceName;
use crate::domain::service::ServiceSpec;
use crate::domain::time::Timestamp;
use crate::domain::words::Origin;
use crate::store::{CommitError, StorageFault, Writing};

pub use handle::{CatalogHandle, Parts};

/// All services at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    pub entries: BTreeMap<ServiceName, Arc<Entry>>,
    /// Of containers that make no service, and of all services together.
    pub problems: Vec<SourceProblem>,
}

impl Catalog {
    /// How much of what the sources say cannot be used.
    #[must_use]
    pub fn count_problems(&self) -> usize {
        self.problems.len() + self.entries.values().map(|entry| entry.problems.len()).sum::<usize>()
    }
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: ServiceName,
    /// `None`: it is left out, and its problems say why.
    pub spec: Option<Arc<ServiceSpec>>,
    /// Who speaks about it: of file, API and label.
    pub sources: Vec<Origin>,
    pub problems: Vec<SourceProblem>,
    /// What was said by API or dashboard.
    pub api: Option<Arc<ApiLayer>>,
    /// The name of its container.
    pub container: String,
    /// Its container is away; its hosts are kept for it.
    pub removed: bool,
    /// Where the values come from that are not defaults.
    origins: Vec<(&'static str, Origin)>,
}

/// One option of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Valued {
    /// `idle.stop_after`
    pub key: &'static str,
    /// As in the file; null: not set.
    pub value: Json,
    pub origin: Origin,
}

impl Entry {
    /// Every option with its value and origin, in the order of the reference. Nothing where the
    /// service is left out.
    #[must_use]
    pub fn values(&self) -> Vec<Valued> {
        let Some(spec) = &self.spec else { return Vec::new() };
        values(spec).into_iter().map(|(key, value)| Valued { key, value, origin: self.origin(key) }).collect()
    }

    /// Where the value of an option comes from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        let found = self.origins.iter().find(|(said, _)| *said == key);
        found.map_or(Origin::Default, |(_, origin)| *origin)
    }
}

/// What API or dashboard said about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiLayer {
    pub keys: Layer,
    /// Grows with every change of whatever service, and is never given twice: its `ETag`.
    pub revision: u64,
    pub made_by: String,
    pub made_at: Timestamp,
    pub changed_by: String,
    pub changed_at: Timestamp,
    /// What this version of WakeDock cannot read any more.
    problems: Vec<SourceProblem>,
}

/// Who makes a change.
pub struct By {
    name: String,
    witness: Option<Box<Witness>>,
}

type Witness = dyn FnOnce(&Writing<'_>, Changed) -> Result<(), StorageFault> + Send;

/// What a change does to what the API says about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    pub service: ServiceName,
    /// Nested as in the file. `None`: the API said nothing.
    pub before: Option<Json>,
    /// `None`: the API says nothing any more.
    pub after: Option<Json>,
}

impl By {
    /// Somebody whose change is told to `witness` in its own commit: what that writes is there if,
    /// and only if, the change is.
    pub fn witnessed(
        name: impl Into<String>,
        witness: impl FnOnce(&Writing<'_>, Changed) -> Result<(), StorageFault> + Send + 'static,
    ) -> Self {
        Self { name: name.into(), witness: Some(Box::new(witness)) }
    }
}

/// Somebody of whom nothing else is written down.
impl From<&str> for By {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), witness: None }
    }
}

impl std::fmt::Debug for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("By").field(&self.name).finish()
    }
}

/// In which state a change expects what it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there.
    Any,
    /// Nothing was said by the API yet.
    Absent,
    /// Exactly this revision.
    Revision(u64),
}

/// What is wrong with one part of what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// Where it stands in the body (RFC 6901): `/idle/stop_after`.
    pub pointer: String,
    /// `idle.stop_after`
    pub key: String,
    /// What was written there, shortened.
    pub value: Option<String>,
    /// Completes the sentence that begins with the key.
    pub reason: String,
    pub mend: String,
}

/// Why a change was not made. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    #[error("{} of what was sent cannot be used", .0.len())]
    Invalid(Vec<FieldProblem>),
    #[error("somebody else changed it in the meantime")]
    Changed,
    #[error("there is nothing that the API said about this service")]
    Absent,
    #[error("the API says something about this service already")]
    Exists,
    #[error("the configuration file says {}", .keys.join(", "))]
    HeldByFile { keys: Vec<String> },
    #[error("{host} belongs to {by}")]
    HostTaken { host: String, by: String },
    #[error(transparent)]
    Store(#[from] CommitError),
}
