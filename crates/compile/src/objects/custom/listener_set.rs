//! ListenerSets.

use serde::{Deserialize, Serialize};

use super::{ListenerSpec, ObjectReference};

/// The spec of a ListenerSet: listeners that are added to a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerSetSpec {
    /// The Gateway.
    pub parent_ref: ObjectReference,
    /// The listeners.
    pub listeners: Vec<ListenerSpec>,
}
