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
pub use annotation::{Annotation, Flag, PolicyUse, Risk, Scope, Unread};
pub use docs::annotations_markdown;
pub(crate) use docs::{differences, support, table_cell};
pub use list::{all, find, meant_by};
pub(crate) use parsed::{IngressAnnotations, Rules};
pub use removed::{Removed, removed};
pub(crate) use verdicts::verdicts;

/// The default of `--annotations-prefix`.
pub const DEFAULT_PREFIX: &str = "nginx.ingress.kubernetes.io";

/// The prefix of annotations that ingress-nginx does not have, with its slash. It is part of their names in the registry, and
/// `--annotations-prefix` does not change it.
pub(crate) const OWN_PREFIX: &str = "headgate.dev/";

/// The name in the registry of the annotation `key` of an object whose other annotations have this `prefix`. `None`: it is not
/// for this controller.
pub(crate) fn short_name<'k>(key: &'k str, prefix: &str) -> Option<&'k str> {
    let under = key
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('/'));
    let is_own = key.starts_with(OWN_PREFIX) && (under.is_none() || find(key).is_some());
    if is_own { Some(key) } else { under }
}

/// The annotation as it is written on an object whose other annotations have this `prefix`.
pub(crate) fn full_name(prefix: &str, name: &str) -> String {
    if name.starts_with(OWN_PREFIX) {
        name.to_owned()
    } else {
        format!("{prefix}/{name}")
    }
}

#[cfg(test)]
mod tests;
