//! What is wrong with one annotation or ConfigMap key, in words for the owner of the object.

use crate::Severity;
use crate::ingress::annotations::Bad;

/// One problem with one annotation or ConfigMap key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The full annotation name with its prefix, or the ConfigMap key.
    pub field: String,
    /// How much it matters.
    pub severity: Severity,
    /// The class of the invalid value; `None` when the value itself is fine.
    pub class: Option<Bad>,
    /// What is wrong and what happens because of it.
    pub message: String,
}
