//! What a source of objects gives out.

use std::time::Instant;

use crate::{Changes, Finding};

/// What changed in a source's snapshot since its last batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// When the first of these changes was seen.
    pub arrived: Instant,
    /// The changes, for [`compile`](crate::compile). None if only the findings are others.
    pub changes: Changes,
    /// Every object or document that cannot be read now, not only the new ones; sorted.
    pub findings: Vec<Finding>,
    /// Where the objects come from.
    pub origin: Origin,
}

/// Where objects come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From where they are kept: the API server, or files.
    Live,
    /// From the cache of an earlier run, because the API server has not been reached yet.
    Cached,
}
