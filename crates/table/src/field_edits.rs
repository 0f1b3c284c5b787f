//! Edits of header fields.

use http::{HeaderName, HeaderValue};

/// Edits of header fields, in the order in which they are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldEdits(pub Box<[FieldEdit]>);

/// An edit of header fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldEdit {
    /// Replaces all fields of its name.
    Set(HeaderName, HeaderValue),
    /// Is appended to the fields of its name.
    Add(HeaderName, HeaderValue),
    /// Removes all fields of this name.
    Remove(HeaderName),
}

impl FieldEdit {
    /// The name of the fields that it is about.
    pub fn name(&self) -> &HeaderName {
        match self {
            Self::Set(name, _) | Self::Add(name, _) | Self::Remove(name) => name,
        }
    }
}
