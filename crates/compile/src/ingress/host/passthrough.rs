//! Whether the TLS connections of a host are passed through, and to which backend (behaviour.md 4.7).

use headgate_table::CATCH_ALL;
use http::StatusCode;

use super::AttachedIngress;
use super::routes::root;
use crate::build::{ArmDraft, BackendDraft};
use crate::finding::{Finding, Severity};
use crate::ingress::family::tls::SSL_PASSTHROUGH;
use crate::ingress::parsed::{PathRule, is_root};

/// The backend that gets the TLS connections of `host` undecrypted: that of its path `/`, if any of its primary Ingresses
/// switches this on. Without such a path the connections are closed: what must not be decrypted here is not.
pub(super) fn choose(
    host: &str,
    attached: &[&AttachedIngress],
    findings: &mut Vec<Finding>,
) -> Option<BackendDraft> {
    let primaries = attached.iter().copied();
    let primaries = primaries.filter(|attached| !attached.ingress.is_canary());
    let mut owners = primaries
        .clone()
        .filter(|attached| attached.ingress.annotations.passthrough);
    if host == CATCH_ALL || host.starts_with("*.") {
        findings.extend(owners.map(|owner| no_name(host, owner)));
        return None;
    }
    let owner = owners.next()?;
    let primaries: Vec<_> = primaries.collect();
    let root = root(host, &primaries);
    let report = Report { host, owner };
    findings.extend(attached.iter().filter_map(|one| report.unreached(one)));
    findings.extend(attached.iter().flat_map(|one| report.unprotected(one)));
    findings.extend(primaries.iter().filter_map(|one| report.aliases(one)));
    let Some((attached, rule)) = root else {
        findings.push(report.no_root());
        return Some(BackendDraft {
            arm: ArmDraft::Status(StatusCode::SERVICE_UNAVAILABLE),
            edits: None,
        });
    };
    let port = rule.backend.service_port(&attached.ingress.name.namespace);
    Some(BackendDraft::service(port, attached.transport.clone()))
}

fn no_name(host: &str, owner: &AttachedIngress) -> Finding {
    let rules = match host {
        CATCH_ALL => "rules without a host".to_owned(),
        wildcard => format!("host {wildcard}"),
    };
    let message = format!(
        "has no effect on {rules}: only full host names are passed through; TLS is terminated here: write each name as a \
         host of its own to pass it through"
    );
    about(
        owner,
        SSL_PASSTHROUGH.entry().name,
        Severity::Warning,
        message,
    )
}

fn about(
    attached: &AttachedIngress,
    annotation: &str,
    severity: Severity,
    message: String,
) -> Finding {
    let ingress = &attached.ingress;
    ingress.annotation_finding(severity, annotation, message)
}

/// Findings about a host that is passed through.
struct Report<'a> {
    host: &'a str,
    /// The oldest Ingress that switches it on.
    owner: &'a AttachedIngress,
}

impl Report<'_> {
    fn no_root(&self) -> Finding {
        let message = format!(
            "host {} has no path \"/\" with pathType Prefix, whose Service would get the TLS connections; they are closed: \
             add the path",
            self.host
        );
        let annotation = SSL_PASSTHROUGH.entry().name;
        about(self.owner, annotation, Severity::Error, message)
    }

    /// About the rules that TLS connections do not reach: all but the path `/`, and those of canaries.
    fn unreached(&self, attached: &AttachedIngress) -> Option<Finding> {
        let ingress = &attached.ingress;
        let passed = |rule: &&PathRule| is_root(rule) && !ingress.is_canary();
        let paths = &ingress.rules(self.host)?.paths;
        let mut unreached = paths.iter().filter(|rule| !passed(rule));
        let first = unreached.next()?;
        let more = match unreached.count() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let message = format!(
            "TLS connections for host {} are passed through ({} of {}), so path {}{more} serves plain HTTP only",
            self.host,
            SSL_PASSTHROUGH.entry().name,
            self.owner.ingress.name,
            first.path
        );
        Some(ingress.finding(Severity::Warning, "spec.rules", message))
    }

    /// About annotations that would protect the host if its TLS were terminated here.
    fn unprotected(&self, attached: &AttachedIngress) -> impl Iterator<Item = Finding> {
        let annotations = attached.ingress.annotations.protecting.iter();
        let own = |name: &&&str| **name != SSL_PASSTHROUGH.entry().name;
        annotations.filter(own).map(move |annotation| {
            let message = format!(
                "has no effect on TLS connections for host {}, which are passed through ({} of {}): the backend must protect \
                 itself",
                self.host,
                SSL_PASSTHROUGH.entry().name,
                self.owner.ingress.name
            );
            about(attached, annotation, Severity::Error, message)
        })
    }

    fn aliases(&self, attached: &AttachedIngress) -> Option<Finding> {
        attached
            .ingress
            .annotations
            .routing
            .server_aliases
            .as_ref()?;
        let message = format!(
            "aliases of host {} are not passed through; their TLS is terminated here: write each as a host of its own to pass \
             it through",
            self.host
        );
        Some(about(attached, "server-alias", Severity::Warning, message))
    }
}
