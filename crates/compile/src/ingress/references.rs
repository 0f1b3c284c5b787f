//! Which Secrets and ConfigMaps an object names, so that a source holds those and no others.
//!
//! This looks at text only and errs on the side of naming too much: whether an annotation is honoured, and whether its
//! Ingress is served at all, is decided by compiling.

use k8s_openapi::api::networking::v1::Ingress;

use crate::ingress::annotations;
use crate::ingress::class::is_our_class;
use crate::ingress::registry::{Entry, NameRef};
use crate::ingress::settings;
use crate::objects::{ConfigMap, Object};
use crate::{Kind, Name, ObjectRef, Options};

/// The Secrets and ConfigMaps that `object` names. Of ConfigMaps only those with settings name any.
pub fn references(object: &Object, options: &Options) -> Vec<ObjectRef> {
    match object {
        Object::Ingress(ingress) => of_ingress(ingress, &options.annotations_prefix),
        // What classes of others point to is none of our business, and we may have no right to it.
        Object::IngressClass(class) => {
            let map = class.parameters.iter();
            let map = map.filter(|_| is_our_class(class, &options.class));
            map.map(|name| reference(Kind::ConfigMap, name.clone()))
                .collect()
        }
        Object::ConfigMap(map) => of_settings(map),
        _ => Vec::new(),
    }
}

impl Options {
    /// The Secrets and ConfigMaps that flags name.
    pub fn references(&self) -> Vec<ObjectRef> {
        let secret = self.default_certificate.iter();
        let secret = secret.map(|name| reference(Kind::Secret, name.clone()));
        let map = self.settings.iter();
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
        let Some(key) = key
            .strip_prefix(prefix)
            .and_then(|key| key.strip_prefix('/'))
        else {
            continue;
        };
        let entry = annotations::find(key).map(|row| &row.entry);
        all.extend(entry.and_then(|entry| named(entry, value, namespace)));
    }
    all
}

fn of_settings(map: &ConfigMap) -> Vec<ObjectRef> {
    let named =
        |entry: &settings::Setting| named(entry, map.data.get(entry.name)?, &map.name.namespace);
    settings::all().filter_map(named).collect()
}

/// The Secret or ConfigMap that the value of an entry names. Services are all watched.
fn named(entry: &Entry, value: &str, namespace: &str) -> Option<ObjectRef> {
    let kind = entry.names.filter(|kind| *kind != Kind::Service)?;
    let named = NameRef::parse(value).ok()?;
    let name = Name::new(named.namespace_or(namespace), &named.name);
    Some(reference(kind, name))
}

fn reference(kind: Kind, name: Name) -> ObjectRef {
    ObjectRef { kind, name }
}
