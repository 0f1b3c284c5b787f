//! Annotations under another prefix than the configured one, of which some are mistakes.

use std::collections::BTreeMap;

use super::{DEFAULT_PREFIX, Rules, find, short_name};
use crate::Severity;
use crate::ingress::registry::Reader;

/// The prefix of the first releases of ingress-nginx. Other controllers have used it too.
const FIRST_PREFIX: &str = "ingress.kubernetes.io";
/// Most edits between a prefix and a misspelt one; a transposition is one edit.
const MAX_EDITS: usize = 2;

/// Reports known annotations under a prefix that this controller does not read.
pub(super) fn report(
    reader: &mut Reader,
    rules: &Rules<'_>,
    annotations: &BTreeMap<String, String>,
) {
    for key in annotations.keys() {
        let Some((prefix, name)) = key.split_once('/') else {
            continue;
        };
        if short_name(key, rules.prefix).is_some() {
            continue;
        }
        if let Some((severity, message)) = problem(rules, annotations, (prefix, name)) {
            reader.report_full(key, severity, message);
        }
    }
}

fn problem(
    rules: &Rules<'_>,
    annotations: &BTreeMap<String, String>,
    (prefix, name): (&str, &str),
) -> Option<(Severity, String)> {
    let read = format!("{}/{name}", rules.prefix);
    if prefix == DEFAULT_PREFIX {
        // With another prefix, these are for another controller, or a mistake.
        let message = format!(
            "ignored: this controller reads annotations that begin with {}/",
            rules.prefix
        );
        return find(name).map(|_| (Severity::Warning, message));
    }
    let is_near = is_misspelt(prefix, rules.prefix);
    let row = find(name).filter(|_| is_near || prefix == FIRST_PREFIX)?;
    if annotations.contains_key(&read) {
        return None;
    }
    if !is_near {
        let message = format!("ignored: ingress-nginx reads {read} instead since its release 0.9");
        return Some((Severity::Info, message));
    }
    let consequence = if row.protects() {
        ", so it protects nothing"
    } else {
        ""
    };
    let severity = if row.protects() {
        Severity::Error
    } else {
        Severity::Warning
    };
    let message = format!("unknown prefix; ignored{consequence}: did you mean {read}?");
    Some((severity, message))
}

fn is_misspelt(prefix: &str, right: &str) -> bool {
    // The length bounds the cost of the comparison before it is made.
    prefix.len().abs_diff(right.len()) <= MAX_EDITS
        && strsim::osa_distance(prefix, right) <= MAX_EDITS
}
