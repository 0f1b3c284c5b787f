//! The path of affinity cookies of paths that are regular expressions (behaviour.md 1.4).

use super::{Findings, HostRules, is_literal};
use crate::finding::Severity;
use crate::ingress::annotations::IngressAnnotations;

/// Reports a path that is an expression and the path of a cookie at the same time: clients compare it literally.
pub(super) fn check(
    annotations: &IngressAnnotations,
    hosts: &[HostRules],
    prefix: &str,
    findings: &mut Findings,
) {
    let affinity = annotations.affinity.as_deref();
    if affinity.is_none_or(|affinity| affinity.path.is_some()) || annotations.canary.is_some() {
        return;
    }
    let mut paths = hosts.iter().flat_map(|rules| &rules.paths);
    let is_expression = |path: &str| !is_literal(path) && annotations.routing.is_regex(path);
    if let Some(rule) = paths.find(|rule| is_expression(&rule.path)) {
        let message = format!(
            "the cookie gets the path as it is written, \"Path={}\", which clients compare with the path of requests as plain \
             text and so never send back; set session-cookie-path",
            rule.path.escape_debug()
        );
        let field = format!("metadata.annotations[{prefix}/affinity]");
        findings.add(Severity::Warning, &field, message);
    }
}
