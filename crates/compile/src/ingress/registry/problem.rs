//! A problem with one annotation or ConfigMap key, as a message for the author of the object.

use crate::Severity;

/// One problem with one annotation or ConfigMap key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The full annotation name with its prefix, or the ConfigMap key.
    pub(crate) field: String,
    pub(crate) severity: Severity,
    /// The problem and its consequence.
    pub(crate) message: String,
}
