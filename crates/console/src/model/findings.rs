//! Findings about objects.

use serde::{Deserialize, Serialize};

use super::{Page, Search};

/// A finding: what is wrong with an object, what happens now, and what would be right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FindingRow {
    /// `error`, `warning` or `info`.
    pub severity: String,
    /// The object, such as `Ingress shop/web`, or the file with document and line.
    pub object: String,
    /// The field, annotation or key; empty: the whole object.
    pub field: String,
    /// What is wrong, with the value unless it is secret, what happens now, and what would be right.
    pub message: String,
    /// The annotation that the field is, without prefix, for a link to its page; `null`: none.
    #[serde(default)]
    pub annotation: Option<String>,
}

/// Numbers of findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Something does not work as configured.
    pub errors: usize,
    /// Served, but not all of its configuration takes effect.
    pub warnings: usize,
    /// Worth knowing.
    pub infos: usize,
}

/// Which findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingsFilter {
    /// Words in object, field or message; which part of the list.
    pub search: Search,
    /// `error`, `warning` or `info`; `None`: all.
    pub severity: Option<String>,
}

/// Findings, the gravest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FindingsPage {
    /// Of all findings.
    pub counts: Counts,
    /// Those that the filter selects.
    pub findings: Page<FindingRow>,
}
