//! What is wrong with one annotation or ConfigMap key, in words for the owner of the object.

use crate::Severity;

/// One problem with one annotation or ConfigMap key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The full annotation name with its prefix, or the ConfigMap key.
    pub(crate) field: String,
    /// How much it matters.
    pub(crate) severity: Severity,
    /// What is wrong and what happens because of it.
    pub(crate) message: String,
}
