//! How fast responses are sent.

use std::num::NonZeroU64;

/// The rate at which one response is sent (behaviour.md 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseRate {
    /// Bytes per second.
    pub bytes: NonZeroU64,
    /// Bytes that are sent before the rate applies.
    pub after: u64,
}
