//! Canaries of a host's routes (ingress-nginx reference 1.2).

use std::sync::Arc;

use headgate_table::{Canary, CanaryHeader, HeaderTest, PathKind, Pattern, UpstreamId};

use super::Member;
use crate::annotations;
use crate::finding::{Finding, Severity};
use crate::ingress::Backend;

/// The canary Ingresses of a host, oldest first, each with whether a route of its was found.
pub(super) struct Canaries<'a> {
    host: &'a str,
    members: Vec<(&'a Member, bool)>,
}

impl<'a> Canaries<'a> {
    pub(super) fn new(host: &'a str, members: &[&'a Member]) -> Self {
        let members = members
            .iter()
            .copied()
            .filter(|member| member.ingress.is_canary());
        Self {
            host,
            members: members.map(|member| (member, false)).collect(),
        }
    }

    /// The canary for the route of `path`: of the oldest canary Ingress with the same path and kind. One that names the
    /// primary's own upstream splits nothing.
    pub(super) fn of_path(
        &mut self,
        path: &str,
        kind: PathKind,
        primary: &UpstreamId,
        findings: &mut Vec<Finding>,
    ) -> Option<Arc<Canary>> {
        let host = self.host;
        self.first(primary, findings, |member| {
            let rules = member.ingress.rules(host)?;
            rules
                .paths
                .iter()
                .find(|rule| *rule.path == *path && rule.kind == kind)
                .map(|rule| &rule.backend)
        })
    }

    /// The canary for the catch-all's root: of a canary Ingress that has only a default backend.
    pub(super) fn of_catch_all(
        &mut self,
        primary: &UpstreamId,
        findings: &mut Vec<Finding>,
    ) -> Option<Arc<Canary>> {
        self.first(primary, findings, |member| {
            if member.ingress.is_catch_all() {
                member.ingress.default_backend.as_ref()
            } else {
                None
            }
        })
    }

    /// Findings for canaries that found no route.
    pub(super) fn unmatched(self, findings: &mut Vec<Finding>) {
        for (member, _) in self.members.iter().filter(|(_, matched)| !matched) {
            let message = format!(
                "no Ingress has a path of this canary for host {}; it is ignored there",
                self.host
            );
            findings.push(
                member
                    .ingress
                    .finding(Severity::Warning, "spec.rules", message),
            );
        }
    }

    fn first<'m>(
        &'m mut self,
        primary: &UpstreamId,
        findings: &mut Vec<Finding>,
        backend: impl Fn(&'m Member) -> Option<&'m Backend>,
    ) -> Option<Arc<Canary>> {
        let mut chosen = None;
        for (member, matched) in &mut self.members {
            let Some(backend) = backend(member) else {
                continue;
            };
            *matched = true;
            if chosen.is_some() {
                let message =
                    "an older canary has the same host and path; this one is ignored there"
                        .to_owned();
                findings.push(
                    member
                        .ingress
                        .finding(Severity::Warning, "spec.rules", message),
                );
                continue;
            }
            chosen = Some((*member, member.ingress.upstream(backend)));
        }
        let (member, upstream) = chosen?;
        if upstream == *primary {
            let message = format!(
                "the canary and the Ingress it stands beside send requests to the same {upstream}; nothing is split"
            );
            findings.push(
                member
                    .ingress
                    .finding(Severity::Warning, "spec.rules", message),
            );
            return None;
        }
        let rules = member.ingress.annotations.canary.as_ref()?;
        Some(Arc::new(Canary {
            upstream,
            header: rules
                .header
                .as_ref()
                .map(|rule| header(rule, member, findings)),
            cookie: rules.cookie.as_deref().map(Arc::from),
            weight: rules.weight,
            total: rules.weight_total,
        }))
    }
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
                    let field = "metadata.annotations[canary-by-header-pattern]";
                    findings.push(member.ingress.finding(Severity::Error, field, message));
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
