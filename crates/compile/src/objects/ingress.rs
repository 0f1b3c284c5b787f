//! Ingresses, of which nearly all fields are kept.

use std::sync::Arc;

use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Common, Kept, Kind, Name, Object};

/// The copy of the whole object that `kubectl apply` leaves in an annotation.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Kept for networking::Ingress {
    const KIND: Kind = Kind::Ingress;

    fn of(object: &Object) -> Option<&Arc<Self>> {
        match object {
            Object::Ingress(object) => Some(object),
            _ => None,
        }
    }
}

impl Common for networking::Ingress {
    fn name(&self) -> Name {
        Name::of(&self.metadata)
    }

    fn uid(&self) -> Option<&str> {
        self.metadata.uid.as_deref()
    }
}

impl From<networking::Ingress> for Object {
    fn from(mut ingress: networking::Ingress) -> Self {
        ingress.status = None;
        ingress.spec.iter_mut().for_each(shrink);
        let metadata = ingress.metadata;
        let mut annotations = metadata.annotations;
        if let Some(annotations) = &mut annotations {
            annotations.remove(LAST_APPLIED);
        }
        ingress.metadata = ObjectMeta {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            creation_timestamp: metadata.creation_timestamp,
            annotations: annotations.filter(|annotations| !annotations.is_empty()),
            ..ObjectMeta::default()
        };
        Self::Ingress(Arc::new(ingress))
    }
}

/// Gives back the room for more elements that lists have after decoding: a third of the memory of a small Ingress.
fn shrink(spec: &mut networking::IngressSpec) {
    if let Some(rules) = &mut spec.rules {
        rules.shrink_to_fit();
        for http in rules.iter_mut().filter_map(|rule| rule.http.as_mut()) {
            http.paths.shrink_to_fit();
        }
    }
    if let Some(entries) = &mut spec.tls {
        entries.shrink_to_fit();
        let hosts = entries.iter_mut().filter_map(|entry| entry.hosts.as_mut());
        hosts.for_each(Vec::shrink_to_fit);
    }
}
