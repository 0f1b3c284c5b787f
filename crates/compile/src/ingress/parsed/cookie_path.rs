//! The path of affinity cookies of paths that are regular expressions (behaviour.md 1.4).

use super::is_literal;
use crate::finding::{Finding, Severity};
use crate::ingress::family::affinity::AFFINITY;
use crate::ingress::subject::Subject;

/// The finding about a path that is an expression and the path of a cookie at the same time: clients compare it literally.
pub(super) fn finding(subject: Subject<'_>) -> Option<Finding> {
    let annotations = subject.annotations;
    let affinity = annotations.affinity.as_deref();
    if affinity.is_none_or(|affinity| affinity.path.is_some()) || annotations.canary.is_some() {
        return None;
    }
    let mut paths = subject.hosts.iter().flat_map(|rules| &rules.paths);
    let is_expression = |path: &str| !is_literal(path) && annotations.routing.is_regex(path);
    let rule = paths.find(|rule| is_expression(&rule.path))?;
    let message = format!(
        "the cookie gets the path as it is written, \"Path={}\", which clients compare with the path of requests as plain \
         text and so never send back; set session-cookie-path",
        rule.path.escape_debug()
    );
    let name = AFFINITY.entry().name;
    Some(subject.annotation_finding(Severity::Warning, name, message))
}
