//! The lifecycle machine of one service.

use crate::domain::time::Moment;

/// The number of one waiting request, unique within its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DemandId(pub u64);

/// What the gate said when it was asked to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Leases are out.
    InUse,
    /// Nobody has used it since.
    Quiet { since: Moment },
}
