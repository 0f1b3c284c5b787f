//! Which certificate a host serves (behaviour.md 4.2).

use headgate_table::{CATCH_ALL, HostTls};

use super::{AttachedIngress, Inputs};
use crate::Name;
use crate::finding::{Finding, Severity};

/// The first Ingress of the host with any `tls` entry decides, even if its Secret is invalid: then the host has the default
/// certificate and still counts as one with TLS.
pub(super) fn choose(
    host: &str,
    primaries: &[&AttachedIngress],
    inputs: &mut Inputs<'_>,
    findings: &mut Vec<Finding>,
) -> HostTls {
    let Some(attached) = primaries
        .iter()
        .find(|attached| !attached.ingress.tls.is_empty())
    else {
        return HostTls::None;
    };
    if host == CATCH_ALL {
        return HostTls::Default;
    }
    let mut report = |severity, message: String| {
        findings.push(attached.ingress.finding(severity, "spec.tls", message))
    };
    let entries = &attached.ingress.tls;
    let listed = entries
        .iter()
        .find(|entry| entry.hosts.iter().any(|name| name == host));
    let secret = match listed {
        Some(entry) => entry.secret.clone(),
        None => entries
            .iter()
            .filter_map(|entry| entry.secret.as_ref())
            .find(|name| covers(name, host, inputs))
            .cloned(),
    };
    let Some(secret) = secret else {
        if listed.is_some() && !default_covers(host, inputs) {
            report(
                Severity::Info,
                format!(
                    "the entry of {host} names no Secret; the default certificate serves, which is not for this name"
                ),
            );
        }
        if listed.is_none() {
            report(
                Severity::Info,
                format!(
                    "no entry lists {host} or has a certificate for it; the default certificate serves"
                ),
            );
        }
        return HostTls::Default;
    };
    let (certificate, problem) = inputs.certificates.serving(&secret, inputs.snapshot);
    if let Some(problem) = problem {
        let consequence = if certificate.is_some() {
            "the last valid one serves"
        } else {
            "the default certificate serves"
        };
        report(
            Severity::Error,
            format!("{problem}; for {host} {consequence}"),
        );
    }
    match certificate {
        Some(certificate) if certificate.covers(host) => HostTls::Own(certificate),
        Some(certificate) => {
            let names = certificate.names.join(", ");
            report(
                Severity::Error,
                format!(
                    "the certificate in Secret {secret} is for {names}, not for {host}; the default certificate serves"
                ),
            );
            HostTls::Default
        }
        None => HostTls::Default,
    }
}

/// Whether the configured default certificate is valid for `host`; the generated one is for none.
fn default_covers(host: &str, inputs: &mut Inputs<'_>) -> bool {
    let default = inputs.options.default_certificate.clone();
    default.is_some_and(|default| covers(&default, host, inputs))
}

fn covers(secret: &Name, host: &str, inputs: &mut Inputs<'_>) -> bool {
    let (certificate, _) = inputs.certificates.serving(secret, inputs.snapshot);
    certificate.is_some_and(|certificate| certificate.covers(host))
}
