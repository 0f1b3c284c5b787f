//! Certificates in service, the first to expire first.

use std::sync::Arc;

use headgate_console::model::{CertificateRow, CertificatesPage, Page, Search};

use super::Console;
use super::index::{Index, IndexedCertificate, lacks_certificate};
use super::sampler::unix_now;
use super::search::Words;

/// Hosts of a certificate that are named.
const NAMED: usize = 100;

pub(super) fn certificates(console: &Console, search: &Search) -> CertificatesPage {
    let Some((_, index)) = console.index() else {
        return CertificatesPage::default();
    };
    let words = Words::of(&search.q);
    let found = index.certificates().iter().filter(|one| {
        let names = one.certificate.names.iter().map(|name| &**name);
        let hosts = one.hosts.iter().map(|host| &**host);
        let issue = &one.certificate.issue;
        let issuer = [
            &*one.certificate.source,
            &*issue.organization,
            &*issue.common_name,
        ];
        words.are_in(issuer.into_iter().chain(names).chain(hosts))
    });
    let lacking = index
        .hosts()
        .iter()
        .filter(|one| lacks_certificate(&one.host));
    let mut lacking: Vec<String> = lacking.map(|one| one.host.name.to_string()).collect();
    lacking.dedup();
    CertificatesPage {
        certificates: Page::of(found.collect(), search).map(row),
        default_host_count: lacking.len(),
        default_hosts: lacking.into_iter().take(NAMED).collect(),
    }
}

/// The certificates that expire next.
pub(super) fn next(index: &Index, count: usize) -> Vec<CertificateRow> {
    index.certificates().iter().take(count).map(row).collect()
}

fn row(one: &IndexedCertificate) -> CertificateRow {
    let certificate = &one.certificate;
    let now = i64::try_from(unix_now().as_secs()).unwrap_or(i64::MAX);
    let uncovered = one.hosts.iter().filter(|host| !certificate.covers(host));
    CertificateRow {
        source: certificate.source.to_string(),
        names: certificate.names.iter().map(ToString::to_string).collect(),
        issuer_organization: certificate.issue.organization.clone(),
        issuer_common_name: certificate.issue.common_name.clone(),
        serial_number: certificate.issue.serial.clone(),
        algorithm: certificate.issue.algorithm.clone(),
        fingerprint: certificate.fingerprint.to_string(),
        expires_unix_seconds: certificate.not_after,
        expires_in_seconds: certificate.not_after.saturating_sub(now),
        hosts: named(one.hosts.iter()),
        host_count: one.hosts.len(),
        uncovered_hosts: named(uncovered),
        is_default: one.is_default,
    }
}

fn named<'h>(hosts: impl Iterator<Item = &'h Arc<str>>) -> Vec<String> {
    hosts.take(NAMED).map(ToString::to_string).collect()
}
