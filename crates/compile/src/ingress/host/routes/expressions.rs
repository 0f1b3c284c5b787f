//! Regular expressions of paths: which requests they match in regex mode, and how they are rewritten (behaviour.md 2.4).

use std::sync::Arc;

use headgate_table::{PathKind, Pattern, PatternError, Rewrite};
use smallvec::SmallVec;

use super::Drafter;
use crate::build::PathDraft;
use crate::finding::Severity;
use crate::ingress::host::AttachedIngress;

impl Drafter<'_, '_> {
    pub(super) fn rewrite(
        &mut self,
        attached: &AttachedIngress,
        path: &str,
    ) -> Option<Arc<Rewrite>> {
        let target = attached.ingress.annotations.routing.changed(path)?;
        if !self.regex {
            return None;
        }
        // A path that is not a valid expression has no route either, which is a separate finding.
        let pattern = self.pattern(path).ok()?;
        if let Some(name) = target.unknown_name(&pattern) {
            let message = format!(
                "${name} is neither a variable nor a group of path {path}; the path is not rewritten"
            );
            let ingress = &attached.ingress;
            // The root that a host gets from its oldest Ingress is no path of that Ingress.
            let mut declared = ingress.hosts.iter().flat_map(|rules| &rules.paths);
            if declared.any(|rule| *rule.path == *path) {
                self.findings.push(ingress.annotation_finding(
                    Severity::Error,
                    "rewrite-target",
                    message,
                ));
            }
            return None;
        }
        target.rewrite(pattern).map(Arc::new)
    }

    /// Case-insensitive, and interned because thousands of hosts share expressions such as `/api(/|$)(.*)`.
    fn pattern(&mut self, source: &str) -> Result<Arc<Pattern>, PatternError> {
        let make = || Pattern::case_insensitive(source);
        self.inputs.patterns.get(source, make)
    }

    /// The expressions of a route in regex mode, each with the path, which determines the order. A path that is not a valid
    /// expression is not served.
    pub(super) fn expressions(
        &mut self,
        attached: &AttachedIngress,
        path: &PathDraft,
        rewrites: bool,
    ) -> SmallVec<[(Arc<str>, Arc<Pattern>); 1]> {
        let mut expressions = SmallVec::new();
        if &*path.path == "/" && (path.kind == PathKind::Prefix || self.has_declared_root) {
            if path.kind == PathKind::Exact {
                let message = format!(
                    "Exact path / of host {}: the Prefix / comes before it, because the host is in regex mode; not served",
                    self.host
                );
                let ingress = &attached.ingress;
                self.findings
                    .push(ingress.finding(Severity::Warning, "spec.rules", message));
            }
            return expressions; // the root matches the rest
        }
        for text in regex_texts(path, attached, rewrites, &self.exact) {
            match self.pattern(&format!("^{text}")) {
                Ok(pattern) => expressions.push((path.path.clone(), pattern)),
                Err(error) => {
                    let message = format!(
                        "path {} of host {} is not a regular expression: {error}; not served",
                        path.path, self.host
                    );
                    let ingress = &attached.ingress;
                    self.findings
                        .push(ingress.finding(Severity::Error, "spec.rules", message));
                    break;
                }
            }
        }
        expressions
    }
}

/// The texts that a route matches in regex mode: for a plain prefix, with a final slash and, unless it is also an exact path,
/// without; `/` alone for the exact `/`; anything else as written (behaviour.md 2.4).
fn regex_texts(
    path: &PathDraft,
    attached: &AttachedIngress,
    rewrites: bool,
    exact: &[Arc<str>],
) -> Vec<Arc<str>> {
    let verbatim = path.kind == PathKind::Exact
        || attached.ingress.annotations.routing.use_regex == Some(true)
        || rewrites;
    let is_exact_root = path.kind == PathKind::Exact && &*path.path == "/";
    let path = &path.path;
    if is_exact_root {
        return vec!["/$".into()];
    }
    if verbatim {
        return vec![path.clone()];
    }
    let with_slash: Arc<str> = if path.ends_with('/') {
        path.clone()
    } else {
        format!("{path}/").into()
    };
    if exact.contains(path) || with_slash == *path {
        return vec![with_slash];
    }
    vec![with_slash, path.clone()]
}
