//! Canaries of a host's routes (behaviour.md 1.2): each is an alternative of the split of its route.

use headgate_table::{CATCH_ALL, PathKind, Rule, Unavailable};

use super::AttachedIngress;
use crate::build::{AlternativeDraft, BackendDraft, SplitDraft, Transport};
use crate::finding::{Finding, Severity};
use crate::ingress::family::canary::Canary;
use crate::ingress::parsed::Backend;

/// The paths of a host's canary Ingresses, those of the oldest first.
pub(super) struct Canaries<'a> {
    host: &'a str,
    candidates: Vec<Candidate<'a>>,
}

/// A canary of one route.
pub(super) struct RouteCanary<'a> {
    attached: &'a AttachedIngress,
    backend: &'a Backend,
    rules: &'a Canary,
}

struct Candidate<'a> {
    attached: &'a AttachedIngress,
    path: &'a str,
    kind: PathKind,
    backend: &'a Backend,
    /// A route has the same path and kind.
    matched: bool,
}

impl<'a> Canaries<'a> {
    pub(super) fn new(host: &'a str, attached: &[&'a AttachedIngress]) -> Self {
        let canaries = attached
            .iter()
            .copied()
            .filter(|attached| attached.ingress.is_canary());
        Self {
            host,
            candidates: canaries
                .flat_map(|attached| candidates(host, attached))
                .collect(),
        }
    }

    /// The canaries for the route of `path`: those of all canary Ingresses with the same path and kind, the oldest first.
    /// One with the Service port of the primary is skipped.
    pub(super) fn of(
        &mut self,
        path: &str,
        kind: PathKind,
        primary: &Backend,
        findings: &mut Vec<Finding>,
    ) -> Vec<RouteCanary<'a>> {
        let same = self
            .candidates
            .iter_mut()
            .filter(|candidate| candidate.path == path && candidate.kind == kind);
        let mut canaries = Vec::new();
        for candidate in same {
            candidate.matched = true;
            let ingress = &candidate.attached.ingress;
            if candidate.backend.id == primary.id {
                let message = format!(
                    "the canary and its primary send requests to the same {}; the canary is ignored",
                    primary.id
                );
                findings.push(ingress.finding(Severity::Warning, "spec.rules", message));
                continue;
            }
            if let Some(rules) = &ingress.annotations.canary {
                canaries.push(RouteCanary {
                    attached: candidate.attached,
                    backend: candidate.backend,
                    rules,
                });
            }
        }
        canaries
    }

    /// Findings for paths without a primary.
    pub(super) fn unmatched(self, findings: &mut Vec<Finding>) {
        let host = self.host;
        let unmatched = self
            .candidates
            .iter()
            .filter(|candidate| !candidate.matched);
        findings.extend(unmatched.map(|Candidate { attached, path, kind, .. }| {
            let message = format!(
                "no primary Ingress has {kind:?} {path} of host {host}; the canary is ignored there"
            );
            attached
                .ingress
                .finding(Severity::Warning, "spec.rules", message)
        }));
    }
}

/// The paths of a canary; for the catch-all, `spec.defaultBackend` without rules is its root.
fn candidates<'a>(host: &str, attached: &'a AttachedIngress) -> Vec<Candidate<'a>> {
    let ingress = &attached.ingress;
    let candidate = |path, kind, backend| Candidate {
        attached,
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

/// Adds the canaries of a route to its split, with `transport`. Header rules come before cookie rules, and these before
/// weights, across all canaries.
pub(super) fn add_canaries(
    canaries: &[RouteCanary<'_>],
    transport: &Transport,
    split: &mut SplitDraft,
    findings: &mut Vec<Finding>,
) {
    if canaries.is_empty() {
        return;
    }
    let (weights, total) = weights(canaries, findings);
    split.total = total;
    let alternatives = canaries.iter().zip(weights);
    split.alternatives = alternatives
        .map(
            |(
                RouteCanary {
                    attached, backend, ..
                },
                weight,
            )| {
                let port = backend.service_port(&attached.ingress.name.namespace);
                AlternativeDraft {
                    backend: BackendDraft::service(port, transport.clone()),
                    weight,
                    unavailable: Unavailable::UsePrimary,
                }
            },
        )
        .collect();
    let rules = canaries.iter().map(|canary| canary.rules).enumerate();
    let headers = rules.clone().map(|(at, rules)| (at, &rules.header));
    let cookies = rules.map(|(at, rules)| (at, &rules.cookie));
    for (alternative, test) in headers.chain(cookies) {
        let test = test.clone();
        split
            .rules
            .extend(test.map(|test| Rule { alternative, test }));
    }
}

/// The weights as shares of one total. If their sum exceeds it, older canaries come first and later ones get the rest.
fn weights(canaries: &[RouteCanary<'_>], findings: &mut Vec<Finding>) -> (Vec<u32>, u32) {
    let total = common_total(canaries);
    let mut left = total;
    let mut weights = Vec::with_capacity(canaries.len());
    for RouteCanary {
        attached, rules, ..
    } in canaries
    {
        let scaled =
            u64::from(rules.weight) * u64::from(total) / u64::from(rules.weight_total.max(1));
        let requested = u32::try_from(scaled).unwrap_or(u32::MAX);
        let weight = requested.min(left);
        if weight < requested {
            let message = format!(
                "the weights of the canaries of one path exceed their total of {total}: older ones leave {weight} of the {requested} for this one"
            );
            findings.push(attached.ingress.annotation_finding(
                Severity::Warning,
                "canary-weight",
                message,
            ));
        }
        left -= weight;
        weights.push(weight);
    }
    (weights, total)
}

/// The least common multiple of the canaries' totals, or the largest of them if that is out of range.
fn common_total(canaries: &[RouteCanary<'_>]) -> u32 {
    let totals = || {
        canaries
            .iter()
            .map(|canary| canary.rules.weight_total.max(1))
    };
    let multiple = totals().try_fold(1u32, |multiple, total| {
        (multiple / common_divisor(multiple, total)).checked_mul(total)
    });
    multiple.or_else(|| totals().max()).unwrap_or(1)
}

/// Euclid's algorithm.
fn common_divisor(one: u32, other: u32) -> u32 {
    if other == 0 {
        one
    } else {
        common_divisor(other, one % other)
    }
}
