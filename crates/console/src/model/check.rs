//! The report of `headgate check`: its JSON, with a part of the Ingresses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FindingRow, Page};

/// What happens to every Ingress, annotation, ConfigMap key and flag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CheckPage {
    /// Version of this form.
    pub version: u32,
    /// The result in one line.
    pub headline: String,
    /// Numbers.
    pub summary: CheckSummary,
    /// Where the objects are from.
    pub source: String,
    /// The running ingress-nginx, if one was found.
    pub controller: Option<String>,
    /// The ConfigMap with the settings.
    pub config_map: Option<String>,
    /// Why every route responds with 503.
    pub closed: Option<String>,
    /// What could not be checked, and why.
    pub notes: Vec<String>,
    /// Names with their verdicts: `annotations`, `settings`, `classSettings`, `flags`, `values`, `gatewayApi`.
    pub names: BTreeMap<String, CheckNames>,
    /// The Ingresses that are served or refused and that the search finds, the gravest first.
    pub ingresses: Page<CheckedIngress>,
    /// Ingresses of other classes or namespaces.
    pub other_class: Vec<FindingRow>,
    /// Findings about other objects and documents.
    pub findings: Vec<FindingRow>,
}

/// Numbers of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CheckSummary {
    /// Ingresses of this class.
    pub ingresses: usize,
    /// Of these, those that behave as in ingress-nginx.
    pub same: usize,
    /// Of these, those that behave differently.
    pub different: usize,
    /// Of these, those with something that is not supported.
    pub unsupported: usize,
    /// Ingresses of other classes.
    pub other_class: usize,
    /// Findings that are errors.
    pub errors: usize,
    /// Findings that are warnings.
    pub warnings: usize,
}

/// Names of one kind with their verdicts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckNames {
    /// How many names have each verdict.
    pub totals: BTreeMap<String, usize>,
    /// The gravest first.
    pub verdicts: Vec<CheckVerdict>,
}

/// A name with a verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckVerdict {
    /// The annotation, key, flag or value.
    pub name: String,
    /// Such as `honoured`, `differs` or `notSupported`.
    pub verdict: String,
    /// What differs, or why; empty: nothing.
    pub reason: String,
    /// Number of Ingresses that have it, where there can be several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingresses: Option<usize>,
}

/// An Ingress with everything to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckedIngress {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Behaves as in ingress-nginx.
    pub same: bool,
    /// Its current version is not served.
    pub refused: bool,
    /// A verdict about each annotation, the gravest first.
    pub annotations: Vec<CheckVerdict>,
    /// The findings about it.
    pub findings: Vec<FindingRow>,
}
