//! Laws of the registry, special rules of single annotations, and hostile values.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod canary;
mod defaults;
mod hostile;
mod ingress;
mod registry;
mod verdicts;

use std::collections::BTreeMap;

use super::{DEFAULT_PREFIX, IngressAnnotations, Rules, full_name};

/// Annotations under the default prefix.
fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, text)| (full_name(DEFAULT_PREFIX, name), (*text).to_owned()))
        .collect()
}

/// The parsed annotations under the default rules.
fn parse(pairs: &[(&str, &str)]) -> IngressAnnotations {
    IngressAnnotations::parse(&Rules::default(), &annotations(pairs))
}

/// Whether there is a problem with this annotation whose message contains `text`.
fn has_problem(parsed: &IngressAnnotations, name: &str, text: &str) -> bool {
    parsed.problems.iter().any(|problem| {
        problem.field == full_name(DEFAULT_PREFIX, name) && problem.message.contains(text)
    })
}
