//! The name under which the API server records what this program writes.

/// The field manager in `metadata.managedFields`.
pub(crate) const FIELD_MANAGER: &str = "headgate";
