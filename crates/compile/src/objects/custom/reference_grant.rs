//! ReferenceGrants.

use serde::{Deserialize, Serialize};

/// The spec of a ReferenceGrant: objects of other namespaces that may refer to objects of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReferenceGrantSpec {
    /// The referring objects.
    pub from: Vec<GrantFrom>,
    /// The objects that they may refer to.
    pub to: Vec<GrantTo>,
}

/// Referring objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantFrom {
    /// Their group; empty for the core group.
    pub group: String,
    /// Their kind.
    pub kind: String,
    /// Their namespace.
    pub namespace: String,
}

/// Objects that may be referred to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantTo {
    /// Their group; empty for the core group.
    pub group: String,
    /// Their kind.
    pub kind: String,
    /// The name of one; absent: all.
    pub name: Option<String>,
}
