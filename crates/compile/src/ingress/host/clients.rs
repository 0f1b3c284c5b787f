//! Which clients a host serves, judged by their certificates (behaviour.md 1.8).

use headgate_table::HostClients;

use super::AttachedIngress;
use crate::finding::{Finding, Severity};
use crate::ingress::family::client_certificates::AUTH_TLS_SECRET;

/// Rules that cannot be honoured refuse the clients of the whole host, whichever Ingress has them. Otherwise the rules of the
/// first Ingress with any apply to every path, and different ones of later Ingresses are findings.
pub(super) fn choose(
    host: &str,
    primaries: &[&AttachedIngress],
    findings: &mut Vec<Finding>,
) -> HostClients {
    let refused =
        |attached: &&&AttachedIngress| matches!(attached.clients, HostClients::Refused(_));
    if let Some(owner) = primaries.iter().find(refused) {
        let others = primaries.iter().filter(|attached| !refused(attached));
        findings.extend(others.map(|attached| {
            let message = format!(
                "the client certificates of {} cannot be verified; every request for {host} gets 403",
                owner.ingress.name
            );
            attached.ingress.finding(Severity::Error, "spec.rules", message)
        }));
        return owner.clients.clone();
    }
    let mut ruled = primaries
        .iter()
        .filter(|attached| attached.clients != HostClients::Any);
    let Some(first) = ruled.next() else {
        return HostClients::Any;
    };
    let late = ruled.filter(|late| late.clients != first.clients);
    findings.extend(late.map(|late| {
        let message = format!(
            "host {host} has the client certificates of {}, which is older; ignored here",
            first.ingress.name
        );
        late.ingress
            .annotation_finding(Severity::Warning, AUTH_TLS_SECRET.entry().name, message)
    }));
    first.clients.clone()
}
