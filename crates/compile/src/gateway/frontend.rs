//! Certificates of clients: what a Gateway demands of them, port by port (gateway-api.md 2.10).
//!
//! By port, not by hostname: a client may send requests for one host on a connection that it opened for another.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_table::{ClientTrust, ListenerClients, Slot};

use super::bundle::Bundle;
use super::condition::Problem;
use super::grants::{Grants, Reference};
use super::listener::Inputs;
use crate::objects::custom::{CertificateValidation, Custom, GatewaySpec, ObjectReference};
use crate::{Kind, Name, Snapshot};

/// What a Gateway demands of clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frontend {
    default: Option<PortClients>,
    /// For ports with an entry of their own.
    ports: BTreeMap<u16, Option<PortClients>>,
}

/// What listeners of one port that terminate TLS demand of clients.
#[derive(Clone, Debug)]
pub(crate) struct PortClients {
    /// `None`: it cannot be served.
    pub(crate) clients: Option<Arc<ListenerClients>>,
    /// Why it cannot be served.
    pub(crate) refused: Option<Problem>,
    /// The first reference that cannot be resolved.
    pub(crate) unresolved: Option<Problem>,
}

impl Frontend {
    /// That of a Gateway. What `former` has in common with it stays the same, with its TLS sessions.
    pub(crate) fn read(
        gateway: &Custom<GatewaySpec>,
        former: Option<&Self>,
        inputs: &Inputs<'_>,
    ) -> Self {
        let Some(spec) = gateway
            .spec
            .tls
            .as_ref()
            .and_then(|tls| tls.frontend.as_ref())
        else {
            return Self::default();
        };
        let read = |validation: Option<&CertificateValidation>, former: Option<&PortClients>| {
            Some(PortClients::read(
                validation?,
                &gateway.name,
                former,
                inputs,
            ))
        };
        let former_default = former.and_then(|former| former.default.as_ref());
        let ports = spec.per_port.iter().map(|entry| {
            let former = former.and_then(|former| former.ports.get(&entry.port)?.as_ref());
            (entry.port, read(entry.tls.validation.as_ref(), former))
        });
        Self {
            default: read(spec.default.validation.as_ref(), former_default),
            ports: ports.collect(),
        }
    }

    /// What listeners of a port demand; `None`: no certificate is requested.
    pub(crate) fn of_port(&self, port: u16) -> Option<&PortClients> {
        let own = self.ports.get(&port);
        own.map_or(self.default.as_ref(), Option::as_ref)
    }

    /// Whether some clients are served without a valid certificate although they are asked for one.
    pub(crate) fn falls_back(&self) -> bool {
        let all = self.ports.values().flatten().chain(&self.default);
        let mut clients = all.filter_map(|one| one.clients.as_ref());
        clients.any(|clients| !clients.required)
    }
}

fn config_map(reference: &ObjectReference, gateway: &Name) -> Name {
    let namespace = reference.namespace.as_deref();
    Name::new(namespace.unwrap_or(&gateway.namespace), &reference.name)
}

impl PortClients {
    fn read(
        validation: &CertificateValidation,
        gateway: &Name,
        former: Option<&Self>,
        inputs: &Inputs<'_>,
    ) -> Self {
        let mut unresolved = None;
        let mut bundle = Bundle::default();
        for reference in &validation.ca_certificate_refs {
            let added = add(
                reference,
                gateway,
                &mut bundle,
                (inputs.snapshot, inputs.grants),
            );
            if let Err(problem) = added {
                unresolved.get_or_insert(problem);
            }
        }
        let refuse = |problem| Self {
            clients: None,
            refused: Some(problem),
            unresolved: unresolved.clone(),
        };
        let required = match validation.mode.as_deref() {
            None | Some("AllowValidOnly") => true,
            Some("AllowInsecureFallback") => false,
            Some(other) => {
                let message = format!(
                    "tls.frontend has mode {other:?}, which must be AllowValidOnly or AllowInsecureFallback"
                );
                return refuse(Problem::new("UnsupportedValue", message));
            }
        };
        if bundle.authorities.is_empty() {
            let message =
                "no reference of tls.frontend has certificates of authorities for clients";
            return refuse(Problem::new("NoValidCACertificate", message));
        }
        // Sessions begun without a certificate must not be resumed where one is required.
        let mode = if required { "required" } else { "requested" };
        let id = format!("gateway {mode} {}", bundle.digest);
        let known = former.and_then(|former| former.clients.as_ref());
        let known = known.filter(|known| *known.trust.id == *id).cloned();
        let new = || {
            Arc::new(ListenerClients {
                trust: ClientTrust {
                    id: id.into(),
                    authorities: bundle.authorities.into(),
                    revocations: Arc::default(),
                    depth: u32::MAX,
                },
                required,
                slot: Slot::default(),
            })
        };
        Self {
            clients: Some(known.unwrap_or_else(new)),
            refused: None,
            unresolved,
        }
    }
}

/// Adds the authorities that a Gateway refers to.
fn add(
    reference: &ObjectReference,
    gateway: &Name,
    bundle: &mut Bundle,
    (snapshot, grants): (&Snapshot, &Grants),
) -> Result<(), Problem> {
    let group = reference.group.as_deref().unwrap_or_default();
    let kind = reference.kind.as_deref().unwrap_or("ConfigMap");
    if !group.is_empty() || kind != "ConfigMap" {
        let message = format!(
            "authorities are in ConfigMaps, not in {} of group {group:?}",
            kind.escape_debug()
        );
        return Err(Problem::new("InvalidCACertificateKind", message));
    }
    let name = config_map(reference, gateway);
    let allowed = grants.allow(&Reference {
        from: Kind::Gateway,
        from_namespace: &gateway.namespace,
        to_group: "",
        to_kind: "ConfigMap",
        to_namespace: &name.namespace,
        to_name: &name.name,
    });
    if !allowed {
        let message = format!(
            "no ReferenceGrant in namespace {} allows Gateways of namespace {} to refer to ConfigMap {name}",
            name.namespace, gateway.namespace
        );
        return Err(Problem::new("RefNotPermitted", message));
    }
    let added = bundle.add(&name, snapshot);
    added.map_err(|reason| Problem::new("InvalidCACertificateRef", reason))
}
