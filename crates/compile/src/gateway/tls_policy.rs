//! BackendTLSPolicies: TLS towards the endpoints of Services (gateway-api.md 5.1).
//!
//! A policy that cannot be used still applies: connections fail, rather than being made without TLS or unverified.

use std::sync::Arc;

use headgate_table::{AlternativeName, Authorities, Certificate, Slot, UpstreamTls};
use rustls_pki_types::DnsName;

use super::bundle::Bundle;
use super::condition::{Condition, ConditionKind, Problem};
use super::policies::{Attachment, ServicePolicy};
use crate::build::certificate::fingerprint;
use crate::objects::custom::{BackendTlsPolicySpec, Custom, LocalRef, SubjectAltName};
use crate::{Name, Snapshot};

/// A policy with its references resolved.
#[derive(Debug)]
pub(crate) struct TlsPolicy {
    /// Refused: no connection can be made by it.
    attachment: Attachment,
    config_maps: Vec<Name>,
    /// The first reference that cannot be resolved.
    unresolved: Option<Problem>,
    /// TLS without a client certificate.
    settings: UpstreamTls,
}

impl ServicePolicy for TlsPolicy {
    type Spec = BackendTlsPolicySpec;

    fn read(object: &Custom<BackendTlsPolicySpec>, snapshot: &Snapshot) -> Self {
        let (name, spec) = (&object.name, &object.spec);
        let references = &spec.validation.ca_certificate_refs;
        let config_maps = references.iter().filter(|one| is_config_map(one));
        let mut unresolved = None;
        let settings = settings(object, snapshot, &mut unresolved);
        let refused = settings.as_ref().err().cloned();
        Self {
            attachment: Attachment::of(object, &spec.target_refs, refused),
            config_maps: config_maps
                .map(|one| Name::new(&name.namespace, &one.name))
                .collect(),
            settings: settings.unwrap_or_else(|_| unusable(name)),
            unresolved,
        }
    }

    fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    fn config_maps(&self) -> &[Name] {
        &self.config_maps
    }

    fn condition(&self) -> Option<Condition> {
        let unresolved = self.unresolved.as_ref();
        Some(Condition::unless(ConditionKind::ResolvedRefs, unresolved))
    }
}

impl TlsPolicy {
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
