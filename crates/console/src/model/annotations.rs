//! Annotations as the documentation has them.

use serde::{Deserialize, Serialize};

/// An annotation: its row in the documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AnnotationPage {
    /// Its name, without prefix.
    pub name: String,
    /// Other names, read only when the main one is absent or empty.
    pub aliases: Vec<String>,
    /// Which values are valid, in words.
    pub value: String,
    /// The value without it; empty: none.
    pub default: String,
    /// The ConfigMap key that gives the default; `null`: none.
    pub config_map_key: Option<String>,
    /// `Low`, `Medium`, `High` or `Critical`.
    pub risk: String,
    /// What happens with an invalid value.
    pub invalid_value: String,
    /// How far it is supported, in words.
    pub support: String,
    /// What it does.
    pub description: String,
    /// What differs from ingress-nginx; empty: nothing.
    pub difference: String,
}
