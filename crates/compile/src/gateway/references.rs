//! Which Secrets and ConfigMaps objects of the Gateway API refer to, so that a source keeps no others. Whether a reference is
//! granted is decided by compilation.

use crate::objects::custom::{
    BackendTlsPolicySpec, CertificateValidation, Custom, GatewaySpec, ListenerSpec, ObjectReference,
};
use crate::{Kind, Name, Object, ObjectRef};

/// The Secrets and ConfigMaps that `object` refers to.
pub(crate) fn references(object: &Object) -> Vec<ObjectRef> {
    match object {
        Object::Gateway(gateway) => of_gateway(gateway),
        Object::ListenerSet(set) => {
            let namespace = &set.name.namespace;
            of_listeners(&set.spec.listeners, namespace).collect()
        }
        Object::BackendTlsPolicy(policy) => of_policy(policy),
        _ => Vec::new(),
    }
}

fn of_gateway(gateway: &Custom<GatewaySpec>) -> Vec<ObjectRef> {
    let own = &gateway.name.namespace;
    let mut all: Vec<ObjectRef> = of_listeners(&gateway.spec.listeners, own).collect();
    let Some(tls) = &gateway.spec.tls else {
        return all;
    };
    let client = tls.backend.as_ref();
    let client = client.and_then(|backend| backend.client_certificate_ref.as_ref());
    all.extend(client.and_then(|named| reference(named, "Secret", own)));
    if let Some(frontend) = &tls.frontend {
        let ports = frontend.per_port.iter().map(|port| &port.tls);
        let validations = ports.chain([&frontend.default]);
        let validations = validations.filter_map(|one| one.validation.as_ref());
        let authorities =
            validations.flat_map(|one: &CertificateValidation| &one.ca_certificate_refs);
        all.extend(authorities.filter_map(|named| reference(named, "ConfigMap", own)));
    }
    all
}

fn of_listeners<'a>(
    listeners: &'a [ListenerSpec],
    own: &'a str,
) -> impl Iterator<Item = ObjectRef> + 'a {
    let tls = listeners
        .iter()
        .filter_map(|listener| listener.tls.as_ref());
    let certificates = tls.flat_map(|tls| &tls.certificate_refs);
    certificates.filter_map(move |named| reference(named, "Secret", own))
}

fn of_policy(policy: &Custom<BackendTlsPolicySpec>) -> Vec<ObjectRef> {
    let authorities = policy.spec.validation.ca_certificate_refs.iter();
    let named = authorities.filter_map(|named| {
        kept(&named.group, &named.kind)
            .map(|kind| object(kind, &policy.name.namespace, &named.name))
    });
    named.collect()
}

fn reference(named: &ObjectReference, default: &str, own: &str) -> Option<ObjectRef> {
    let group = named.group.as_deref().unwrap_or_default();
    let kind = kept(group, named.kind.as_deref().unwrap_or(default))?;
    let namespace = named.namespace.as_deref().unwrap_or(own);
    Some(object(kind, namespace, &named.name))
}

fn kept(group: &str, kind: &str) -> Option<Kind> {
    match (group, kind) {
        ("", "Secret") => Some(Kind::Secret),
        ("", "ConfigMap") => Some(Kind::ConfigMap),
        _ => None,
    }
}

fn object(kind: Kind, namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        kind,
        name: Name::new(namespace, name),
    }
}
