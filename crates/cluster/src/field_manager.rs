//! The field manager of everything that this program writes.

/// As in `metadata.managedFields`.
pub(crate) const FIELD_MANAGER: &str = "headgate";
