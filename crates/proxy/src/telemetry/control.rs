//! Metrics that the control plane reports: publications, findings, certificates.

use std::time::{Duration, SystemTime};

use super::count::{Histogram, Scale, Total};
use super::family::{Families, histogram, pairs, sample};
use super::names;
use super::reading::PublishCounts;
use crate::config::{Buckets, MetricLabels};

/// An Ingress that references a Service which cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Orphan {
    /// Namespace of the Ingress.
    pub namespace: String,
    /// Name of the Ingress.
    pub ingress: String,
    /// What is missing.
    pub kind: OrphanKind,
}

/// What an orphaned Ingress lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrphanKind {
    /// The Service does not exist.
    NoService,
    /// The Service has no ready endpoint.
    NoEndpoint,
}

impl OrphanKind {
    /// The value of the label `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoService => "no-service",
            Self::NoEndpoint => "no-endpoint",
        }
    }
}

/// The certificate of a host, as metrics show it (behaviour.md 7).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateFacts {
    /// The host; `_` for the default certificate.
    pub host: String,
    /// Namespace of the Secret; empty for a generated certificate.
    pub namespace: String,
    /// Name of the Secret.
    pub secret_name: String,
    /// Distinguishes this certificate from others of the same Secret: the serial number after a dash.
    pub identifier: String,
    /// Organization of the issuer; empty when it has none.
    pub issuer_organization: String,
    /// Common name of the issuer; empty when it has none.
    pub issuer_common_name: String,
    /// Serial number, as text.
    pub serial_number: String,
    /// Such as `RSA` or `ECDSA`.
    pub public_key_algorithm: String,
    /// Expiry, seconds since 1970.
    pub not_after: i64,
}

/// The last report of the control plane.
#[derive(Debug, Default)]
pub(super) struct Control {
    generation: u64,
    hash: u64,
    /// Seconds since 1970; 0 before the first publication.
    last_success: f64,
    successes: u64,
    publish: Latency,
    findings: Vec<(&'static str, u64)>,
    orphans: Vec<Orphan>,
    certificates: Vec<CertificateFacts>,
}

/// Times from the arrival of objects to their publication, with buckets that no flag changes.
#[derive(Debug)]
struct Latency {
    scale: Scale,
    times: Histogram,
    last: Option<Duration>,
}

impl Default for Latency {
    fn default() -> Self {
        let scale = Scale::seconds(&Buckets::default().time);
        Self {
            times: Histogram::new(&scale),
            scale,
            last: None,
        }
    }
}

impl Control {
    pub(super) fn published(&mut self, generation: u64, at: SystemTime) {
        self.generation = generation;
        self.last_success = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0.0, |time| time.as_secs() as f64);
        self.successes += 1;
    }

    pub(super) fn set_hash(&mut self, hash: u64) {
        self.hash = hash;
    }

    pub(super) fn latency(&mut self, time: Duration) {
        self.publish.last = Some(time);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.publish.times.observe(&self.publish.scale, nanos);
    }

    pub(super) fn set_findings(&mut self, mut findings: Vec<(&'static str, u64)>) {
        findings.sort_unstable();
        findings.dedup_by_key(|(severity, _)| *severity);
        self.findings = findings;
    }

    pub(super) fn set_orphans(&mut self, mut orphans: Vec<Orphan>) {
        orphans.sort_unstable();
        orphans.dedup();
        self.orphans = orphans;
    }

    /// One host, Secret and identifier are one series.
    pub(super) fn set_certificates(&mut self, mut certificates: Vec<CertificateFacts>) {
        certificates.sort_unstable();
        certificates.dedup_by(|b, a| {
            let same_secret = (&a.namespace, &a.secret_name) == (&b.namespace, &b.secret_name);
            same_secret && (&a.host, &a.identifier) == (&b.host, &b.identifier)
        });
        self.certificates = certificates;
    }

    pub(super) fn read(&self) -> PublishCounts {
        let mut times = Vec::new();
        self.publish.times.add_to(&mut times);
        PublishCounts {
            published_unix_seconds: (self.successes > 0).then_some(self.last_success as u64),
            last: self.publish.last,
            bounds: self.publish.scale.exposed().to_vec(),
            times,
        }
    }

    pub(super) fn collect(&self, families: &mut Families, labels: &MetricLabels) {
        families.single(&names::GENERATION, self.generation as f64);
        families.single(&names::CONFIG_HASH, self.hash as f64);
        families.single(
            &names::LAST_RELOAD_SUCCESSFUL,
            f64::from(u8::from(self.successes > 0)),
        );
        families.single(&names::LAST_RELOAD_TIME, self.last_success);
        families.single(&names::SUCCESS, self.successes as f64);
        // Dashboards read it. There is nothing to count: compilation is total, so every change leads to a table.
        families.single(&names::ERRORS, 0.0);
        let mut publish = Total::default();
        publish.add(&self.publish.times);
        let publish = histogram(families.labels(&[]), publish.exposed(&self.publish.scale));
        families.add(&names::PUBLISH_DURATION, vec![publish]);
        families.by(
            &names::FINDINGS,
            "severity",
            self.findings
                .iter()
                .map(|(severity, n)| (*severity, *n as f64)),
        );
        self.collect_orphans(families);
        self.collect_certificates(families, labels);
    }

    fn collect_orphans(&self, families: &mut Families) {
        let metric = |orphan: &Orphan| {
            let labels: [(&'static str, &str); 3] = [
                ("namespace", &orphan.namespace),
                ("ingress", &orphan.ingress),
                ("type", orphan.kind.as_str()),
            ];
            sample(&names::ORPHANS, families.labels(&labels), 1.0)
        };
        let metrics = self.orphans.iter().map(metric).collect();
        families.add(&names::ORPHANS, metrics);
    }

    fn collect_certificates(&self, families: &mut Families, labels: &MetricLabels) {
        let identity = |facts: &CertificateFacts| {
            pairs(&[
                ("class", &labels.class),
                ("host", &facts.host),
                ("identifier", &facts.identifier),
                ("namespace", &facts.namespace),
                ("secret_name", &facts.secret_name),
            ])
        };
        let expiry = |facts: &CertificateFacts| {
            sample(
                &names::CERTIFICATE_EXPIRY,
                identity(facts),
                facts.not_after as f64,
            )
        };
        let info = |facts: &CertificateFacts| {
            let mut all = identity(facts);
            all.extend(pairs(&[
                ("issuer_common_name", &facts.issuer_common_name),
                ("issuer_organization", &facts.issuer_organization),
                ("public_key_algorithm", &facts.public_key_algorithm),
                ("serial_number", &facts.serial_number),
            ]));
            all.sort_by(|a, b| a.name().cmp(b.name()));
            sample(&names::CERTIFICATE_INFO, all, 1.0)
        };
        families.add(
            &names::CERTIFICATE_EXPIRY,
            self.certificates.iter().map(expiry).collect(),
        );
        families.add(
            &names::CERTIFICATE_INFO,
            self.certificates.iter().map(info).collect(),
        );
    }
}
