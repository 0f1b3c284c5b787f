//! Which Secrets and ConfigMaps an object refers to, so that a source keeps no others.
//!
//! It reads only text and may return too many: compilation decides whether an annotation is honoured and its Ingress served.

use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;

use crate::gateway;
use crate::ingress::annotations;
use crate::ingress::class::is_selected_class;
use crate::ingress::registry::{Entry, NameRef};
use crate::ingress::settings;
use crate::objects::custom::{Custom, HeadgatePolicySpec};
use crate::objects::{ConfigMap, Object};
use crate::policies::{TargetKind, Values};
use crate::{Kind, Name, ObjectRef, Options};

/// The Secrets and ConfigMaps that `object` refers to. A ConfigMap is read as settings.
pub fn references(object: &Object, options: &Options) -> Vec<ObjectRef> {
    match object {
        Object::Ingress(ingress) => of_ingress(ingress, &options.annotations_prefix),
        // Parameters of other controllers' classes are not read: this controller may lack the permission.
        Object::IngressClass(class) => {
            let map = class.parameters.iter();
            let map = map.filter(|_| is_selected_class(class, &options.class));
            map.map(|name| reference(Kind::ConfigMap, name.clone()))
                .collect()
        }
        Object::ConfigMap(map) => of_settings(map),
        Object::HeadgatePolicy(policy) => of_policy(policy),
        _ if options.gateway.is_some() => gateway::references(object),
        _ => Vec::new(),
    }
}

impl Options {
    /// The Secrets and ConfigMaps that flags refer to.
    pub fn references(&self) -> Vec<ObjectRef> {
        let secret = self.default_certificate.iter();
        let secret = secret.map(|name| reference(Kind::Secret, name.clone()));
        let maps = [&self.settings, &self.tcp_services, &self.udp_services];
        let record = self.gateway.iter().filter_map(|own| own.ports.as_ref());
        let map = maps.into_iter().flatten().chain(record);
        let map = map.map(|name| reference(Kind::ConfigMap, name.clone()));
        secret.chain(map).collect()
    }
}

fn of_ingress(ingress: &Ingress, prefix: &str) -> Vec<ObjectRef> {
    let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
    let tls = ingress.spec.iter().filter_map(|spec| spec.tls.as_ref());
    let secrets = tls
        .flatten()
        .filter_map(|entry| entry.secret_name.as_deref())
        .filter(|name| !name.is_empty())
        .map(|name| reference(Kind::Secret, Name::new(namespace, name)));
    let mut all: Vec<ObjectRef> = secrets.collect();
    for (key, value) in ingress.metadata.annotations.iter().flatten() {
        let Some(key) = annotations::short_name(key, prefix) else {
            continue;
        };
        let entry = annotations::find(key).map(|row| &row.entry);
        all.extend(entry.and_then(|entry| named(entry, value, namespace)));
    }
    all
}

/// Those of the values that an Ingress or a route would have by a policy.
fn of_policy(policy: &Arc<Custom<HeadgatePolicySpec>>) -> Vec<ObjectRef> {
    let values = Values::of([policy], TargetKind::Ingress);
    let named = values.all().filter_map(|value| {
        let text = value.text.as_deref().ok()?;
        named(&value.row.entry, text, &policy.name.namespace)
    });
    named.collect()
}

fn of_settings(map: &ConfigMap) -> Vec<ObjectRef> {
    let named =
        |entry: &settings::Setting| named(entry, map.data.get(entry.name)?, &map.name.namespace);
    settings::all().filter_map(named).collect()
}

/// The Secret or ConfigMap that the value of an entry refers to. Services are all watched.
fn named(entry: &Entry, value: &str, namespace: &str) -> Option<ObjectRef> {
    let kind = entry.names.filter(|kind| *kind != Kind::Service)?;
    let named = NameRef::parse(value).ok()?;
    let name = Name::new(named.namespace_or(namespace), &named.name);
    Some(reference(kind, name))
}

fn reference(kind: Kind, name: Name) -> ObjectRef {
    ObjectRef { kind, name }
}
