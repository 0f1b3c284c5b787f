//! BackendTLSPolicies: TLS towards the endpoints of Services (gateway-api.md 5.1).
//!
//! A policy that cannot be used still applies: connections fail, rather than being made without TLS or unverified.

use std::sync::Arc;

use headgate_table::{AlternativeName, Authorities, Certificate, Slot, UpstreamTls};
use rustls_pki_types::DnsName;

use super::bundle::Bundle;
use super::condition::Problem;
use super::seniority::Seniority;
use crate::build::certificate::fingerprint;
use crate::objects::Service;
use crate::objects::custom::{BackendTlsPolicySpec, Custom, LocalRef, SubjectAltName};
use crate::{Name, Snapshot};

/// A policy with its references resolved.
#[derive(Debug)]
pub(crate) struct Policy {
    /// Its name.
    pub(super) name: Name,
    pub(super) generation: i64,
    /// Of several policies with the same target, the least applies.
    pub(super) seniority: Seniority,
    /// What it applies to.
    pub(super) targets: Vec<Target>,
    /// The ConfigMaps that it refers to, whether or not they exist.
    pub(super) config_maps: Vec<Name>,
    /// Why no connection can be made by it.
    pub(super) refused: Option<Problem>,
    /// The first reference that cannot be resolved.
    pub(super) unresolved: Option<Problem>,
    /// TLS without a client certificate.
    settings: UpstreamTls,
}

/// A Service, or one of its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) service: Name,
    /// The name of the port; `None`: all ports without a policy of their own.
    pub(super) port: Option<Arc<str>>,
}

impl Policy {
    /// The policy that `object` describes.
    pub(super) fn read(object: &Custom<BackendTlsPolicySpec>, snapshot: &Snapshot) -> Self {
        let (name, spec) = (&object.name, &object.spec);
        let services = spec.target_refs.iter();
        let services =
            services.filter(|target| target.group.is_empty() && target.kind == "Service");
        let targets = services.map(|target| Target {
            service: Name::new(&name.namespace, &target.name),
            port: target.section_name.as_deref().map(Into::into),
        });
        let references = &spec.validation.ca_certificate_refs;
        let config_maps = references.iter().filter(|one| is_config_map(one));
        let mut unresolved = None;
        let settings = settings(object, snapshot, &mut unresolved);
        let refused = settings.as_ref().err().cloned();
        Self {
            name: name.clone(),
            generation: object.generation,
            seniority: Seniority::of(object),
            targets: targets.collect(),
            config_maps: config_maps
                .map(|one| Name::new(&name.namespace, &one.name))
                .collect(),
            settings: settings.unwrap_or_else(|_| unusable(name)),
            refused,
            unresolved,
        }
    }

    /// TLS by this policy, with the certificate of a Gateway.
    pub(super) fn tls(&self, client: Option<&Arc<Certificate>>) -> Arc<UpstreamTls> {
        let id = client.map(|client| format!("{} {}", self.settings.id, client.fingerprint));
        Arc::new(UpstreamTls {
            id: id.map_or_else(|| self.settings.id.clone(), Into::into),
            client: client.cloned(),
            slot: Slot::default(),
            ..self.settings.clone()
        })
    }
}

impl Target {
    /// Why there is nothing that it could apply to.
    pub(super) fn missing(&self, snapshot: &Snapshot) -> Option<Problem> {
        let absent = |message| Some(Problem::new("TargetNotFound", message));
        let name = &self.service;
        let Some(service) = snapshot.get::<Service>(name) else {
            return absent(format!("there is no Service {name}"));
        };
        let port = self.port.as_deref()?;
        let mut names = service.port_names();
        if names.any(|known| known == Some(port)) {
            return None;
        }
        absent(format!(
            "Service {name} has no port with the name {}",
            port.escape_debug()
        ))
    }
}

/// TLS that no endpoint can satisfy.
fn unusable(name: &Name) -> UpstreamTls {
    UpstreamTls {
        id: format!("policy {name}").into(),
        client: None,
        authorities: Authorities::default(),
        verify: true,
        alternatives: Arc::default(),
        verify_depth: u8::MAX,
        server_name: true,
        name: None,
        tls12: true,
        tls13: true,
        ciphers: Arc::default(),
        slot: Slot::default(),
    }
}

/// TLS as `object` demands it. The first reference that cannot be resolved becomes `unresolved`.
///
/// # Errors
/// Why there can be no connection.
fn settings(
    object: &Custom<BackendTlsPolicySpec>,
    snapshot: &Snapshot,
    unresolved: &mut Option<Problem>,
) -> Result<UpstreamTls, Problem> {
    let validation = &object.spec.validation;
    let hostname = &*validation.hostname;
    if DnsName::try_from(hostname).is_err() {
        return Err(invalid("hostname", hostname));
    }
    let alternatives = validation.subject_alt_names.iter().map(alternative);
    let alternatives: Vec<AlternativeName> = alternatives.collect::<Result<_, _>>()?;
    let references = &validation.ca_certificate_refs;
    let well_known = validation.well_known_ca_certificates.as_deref();
    let (authorities, trust) = match (well_known, references.is_empty()) {
        (Some("System"), true) => (Authorities::System, "system".to_owned()),
        (Some("System"), false) => {
            let message = "validation has both caCertificateRefs and wellKnownCACertificates, of which only one can apply";
            return Err(Problem::new("Invalid", message));
        }
        (Some(other), _) => return Err(invalid("wellKnownCACertificates", other)),
        (None, true) => {
            let message = "validation names no authorities: caCertificateRefs and wellKnownCACertificates are empty";
            return Err(Problem::new("Invalid", message));
        }
        (None, false) => {
            let bundle = bundle(references, &object.name, snapshot, unresolved)?;
            (
                Authorities::Listed(bundle.authorities.into()),
                bundle.digest,
            )
        }
    };
    let content = format!("{trust} {hostname} {alternatives:?}");
    let digest = fingerprint(content.as_bytes());
    Ok(UpstreamTls {
        id: format!("policy {} {digest}", object.name).into(),
        authorities,
        alternatives: alternatives.into(),
        name: Some(hostname.into()),
        ..unusable(&object.name)
    })
}

/// The authorities of all references that can be resolved.
fn bundle(
    references: &[LocalRef],
    policy: &Name,
    snapshot: &Snapshot,
    unresolved: &mut Option<Problem>,
) -> Result<Bundle, Problem> {
    let mut bundle = Bundle::default();
    for reference in references {
        let added = if is_config_map(reference) {
            let name = Name::new(&policy.namespace, &reference.name);
            let added = bundle.add(&name, snapshot);
            added.map_err(|reason| Problem::new("InvalidCACertificateRef", reason))
        } else {
            Err(Problem::new(
                "InvalidKind",
                format!(
                    "authorities are in ConfigMaps, not in {} of group {:?}",
                    reference.kind.escape_debug(),
                    reference.group
                ),
            ))
        };
        if let Err(problem) = added {
            unresolved.get_or_insert(problem);
        }
    }
    if bundle.authorities.is_empty() {
        let message =
            "no reference of validation.caCertificateRefs has certificates of authorities";
        return Err(Problem::new("NoValidCACertificate", message));
    }
    Ok(bundle)
}

fn is_config_map(reference: &LocalRef) -> bool {
    reference.group.is_empty() && reference.kind == "ConfigMap"
}

fn alternative(name: &SubjectAltName) -> Result<AlternativeName, Problem> {
    let text = |field: &Option<String>| {
        field
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(Arc::from)
    };
    let alternative = match &*name.kind {
        "Hostname" => text(&name.hostname).map(AlternativeName::Dns),
        "URI" => text(&name.uri).map(AlternativeName::Uri),
        other => return Err(invalid("subjectAltNames.type", other)),
    };
    alternative.ok_or_else(|| {
        let message = format!(
            "an entry of subjectAltNames of type {} lacks its name",
            name.kind
        );
        Problem::new("Invalid", message)
    })
}

fn invalid(field: &str, value: &str) -> Problem {
    let message = format!("validation.{field} {value:?} is not supported");
    Problem::new("Invalid", message)
}
