//! The annotations of an Ingress: one registry of every name, and the typed result.
//!
//! It does not interpret values together with the ConfigMap, other Ingresses of the host, Secrets or Services.

mod annotation;
mod canary;
mod docs;
mod list;
mod load;
mod parsed;
mod prefix;
mod removed;
mod verdicts;

pub use super::registry::{Class, Difference, Entry, Kind, OnInvalid, Protection, Support, When};
pub(crate) use super::registry::{Validation, excerpt};
pub(crate) use annotation::annotation;
pub use annotation::{Annotation, Flag, Risk, Scope, Unread};
pub use docs::annotations_markdown;
pub(crate) use docs::{differences, support, table_cell};
pub use list::{all, find, meant_by};
pub(crate) use parsed::{IngressAnnotations, Rules};
pub use removed::{Removed, removed};
pub(crate) use verdicts::verdicts;

/// The default of `--annotations-prefix`.
pub const DEFAULT_PREFIX: &str = "nginx.ingress.kubernetes.io";

#[cfg(test)]
mod tests;
