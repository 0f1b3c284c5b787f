//! HeadgatePolicies: what annotations of an Ingress say, for any target (GEP-713).
//!
//! A policy has a field for each annotation that has a meaning for its targets. Its values become the text of annotations, which
//! the readers of annotations read, so a policy and an annotation configure the same.

mod crd;
mod docs;
mod field;
mod index;
mod report;
mod review;
mod values;

pub use crd::definition;
pub use docs::fields_markdown;
pub(crate) use field::{field_name, json_of, meant};
pub(crate) use index::{Policies, Touched};
pub(crate) use report::{Inputs as ReportInputs, report};
pub(crate) use review::review;
pub(crate) use values::{NO_VALUES, TargetKind, Values};

#[cfg(test)]
mod tests;
