//! Canaries of a host's routes (ingress-nginx reference 1.2).

use std::sync::Arc;

use headgate_table::{CATCH_ALL, Canary, CanaryHeader, HeaderTest, PathKind, Pattern, UpstreamId};

use super::Member;
use crate::finding::{Finding, Severity};
use crate::ingress::annotations;
use crate::ingress::parsed::Backend;

/// The paths of a host's canary Ingresses, those of the oldest first.
pub(super) struct Canaries<'a> {
    host: &'a str,
    candidates: Vec<Candidate<'a>>,
}

struct Candidate<'a> {
    member: &'a Member,
    path: &'a str,
    kind: PathKind,
    backend: &'a Backend,
    /// A route has the same path and kind.
    matched: bool,
}

impl<'a> Canaries<'a> {
    pub(super) fn new(host: &'a str, members: &[&'a Member]) -> Self {
        let canaries = members
            .iter()
            .copied()
            .filter(|member| member.ingress.is_canary());
        Self {
            host,
            candidates: canaries
                .flat_map(|member| candidates(host, member))
                .collect(),
        }
    }

    /// The canary for the route of `path`: of the oldest canary Ingress with the same path and kind. One that names the
    /// primary's own upstream splits nothing.
    pub(super) fn of(
        &mut self,
        path: &str,
        kind: PathKind,
        primary: &UpstreamId,
        findings: &mut Vec<Finding>,
    ) -> Option<Arc<Canary>> {
        let mut same = self
            .candidates
            .iter_mut()
            .filter(|candidate| candidate.path == path && candidate.kind == kind);
        let chosen = same.next()?;
        chosen.matched = true;
        for late in same {
            late.matched = true;
            let message = format!(
                "an older canary has {kind:?} {path} of host {}; this one is ignored there",
                self.host
            );
            findings.push(
                late.member
                    .ingress
                    .finding(Severity::Warning, "spec.rules", message),
            );
        }
        let ingress = &chosen.member.ingress;
        let upstream = chosen.backend.upstream.clone();
        if upstream == *primary {
            let message = format!(
                "the canary and the Ingress it stands beside send requests to the same {upstream}; nothing is split"
            );
            findings.push(ingress.finding(Severity::Warning, "spec.rules", message));
            return None;
        }
        let rules = ingress.annotations.canary.as_ref()?;
        Some(Arc::new(Canary {
            upstream,
            header: rules
                .header
                .as_ref()
                .map(|rule| header(rule, chosen.member, findings)),
            cookie: rules.cookie.as_deref().map(Arc::from),
            weight: rules.weight,
            total: rules.weight_total,
        }))
    }

    /// Findings for paths that no route has.
    pub(super) fn unmatched(self, findings: &mut Vec<Finding>) {
        let host = self.host;
        let unmatched = self
            .candidates
            .iter()
            .filter(|candidate| !candidate.matched);
        findings.extend(unmatched.map(|Candidate { member, path, kind, .. }| {
            let message = format!(
                "no Ingress has {kind:?} {path} of host {host} for this canary to stand beside; it is ignored there"
            );
            member
                .ingress
                .finding(Severity::Warning, "spec.rules", message)
        }));
    }
}

/// The paths of a canary; for the catch-all, a default backend alone is its root.
fn candidates<'a>(host: &str, member: &'a Member) -> Vec<Candidate<'a>> {
    let ingress = &member.ingress;
    let candidate = |path, kind, backend| Candidate {
        member,
        path,
        kind,
        backend,
        matched: false,
    };
    let rules = ingress.rules(host).into_iter();
    let paths = rules.flat_map(|rules| &rules.paths);
    let root = ingress
        .default_backend
        .as_ref()
        .filter(|_| host == CATCH_ALL && ingress.is_catch_all());
    paths
        .map(|rule| candidate(&*rule.path, rule.kind, &rule.backend))
        .chain(root.map(|backend| candidate("/", PathKind::Prefix, backend)))
        .collect()
}

fn header(
    rule: &annotations::CanaryHeader,
    member: &Member,
    findings: &mut Vec<Finding>,
) -> CanaryHeader {
    match rule {
        annotations::CanaryHeader::AlwaysNever(name) => CanaryHeader {
            name: name.clone(),
            test: HeaderTest::AlwaysNever,
        },
        annotations::CanaryHeader::Value(name, value) => CanaryHeader {
            name: name.clone(),
            test: HeaderTest::Value(value.as_str().into()),
        },
        annotations::CanaryHeader::Pattern(name, source) => {
            let test = Pattern::new(source).map_or_else(
                |error| {
                    let message = format!("\"{source}\" is not a regular expression: {error}; requests go to the primary");
                    findings.push(member.ingress.annotation_finding(
                        Severity::Error,
                        "canary-by-header-pattern",
                        message,
                    ));
                    HeaderTest::Broken
                },
                HeaderTest::Pattern,
            );
            CanaryHeader {
                name: name.clone(),
                test,
            }
        }
    }
}
