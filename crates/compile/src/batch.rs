//! The output of a source of objects.

use std::time::Instant;

use crate::{Changes, Finding};

/// What changed in a source's snapshot since its last batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// When the first of these changes was observed.
    pub arrived: Instant,
    /// The changes, for [`compile`](crate::compile). Empty if only the findings changed.
    pub changes: Changes,
    /// Findings about all unreadable objects and documents, not only the new ones; sorted.
    pub findings: Vec<Finding>,
    /// Whether the objects are current or cached.
    pub origin: Origin,
}

/// Whether objects are current or cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the API server, or from files.
    Live,
    /// From the object cache of an earlier run, because the API server has not been reached yet.
    Cached,
}
