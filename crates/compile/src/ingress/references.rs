//! Which Secrets and ConfigMaps an object names, so that a source holds those and no others.
//!
//! This looks at text only and errs on the side of naming too much: whether an annotation is honoured, and whether its
//! Ingress is served at all, is decided by compiling.

use k8s_openapi::api::networking::v1::Ingress;

use crate::ingress::annotations::NameRef;
use crate::ingress::class::is_our_class;
use crate::objects::{ConfigMap, Object};
use crate::{Kind, Name, ObjectRef, Options};

/// Annotations whose value is a Secret's name, with or without its namespace.
const SECRETS: [&str; 3] = ["auth-secret", "auth-tls-secret", "proxy-ssl-secret"];
/// Annotations whose value is a ConfigMap's name, with or without its namespace.
const CONFIG_MAPS: [&str; 3] = [
    "auth-proxy-set-headers",
    "custom-headers",
    "fastcgi-params-configmap",
];
/// Keys of the settings whose value is a ConfigMap's name.
const SETTINGS_CONFIG_MAPS: [&str; 3] = [
    "add-headers",
    "global-auth-proxy-set-headers",
    "proxy-set-headers",
];
/// Keys of the settings whose value is a Secret's name.
const SETTINGS_SECRETS: [&str; 1] = ["ssl-dh-param"];

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
        Object::Service(_)
        | Object::EndpointSlice(_)
        | Object::Endpoints(_)
        | Object::Secret(_)
        | Object::Namespace(_) => Vec::new(),
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
        let kind = if SECRETS.contains(&key) {
            Kind::Secret
        } else if CONFIG_MAPS.contains(&key) {
            Kind::ConfigMap
        } else {
            continue;
        };
        all.extend(named(kind, value, namespace));
    }
    all
}

fn of_settings(map: &ConfigMap) -> Vec<ObjectRef> {
    let namespace = &map.name.namespace;
    let values = |kind, keys: &'static [&'static str]| {
        let values = keys.iter().filter_map(|key| map.data.get(*key));
        values.filter_map(move |value| named(kind, value, namespace))
    };
    values(Kind::ConfigMap, &SETTINGS_CONFIG_MAPS)
        .chain(values(Kind::Secret, &SETTINGS_SECRETS))
        .collect()
}

fn named(kind: Kind, value: &str, namespace: &str) -> Option<ObjectRef> {
    let named = NameRef::parse(value).ok()?;
    let name = Name::new(named.namespace_or(namespace), &named.name);
    Some(reference(kind, name))
}

fn reference(kind: Kind, name: Name) -> ObjectRef {
    ObjectRef { kind, name }
}
