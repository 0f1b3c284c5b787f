//! Ingresses whose Services may be about to arrive: related objects are often created together, in any order.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use headgate_compile::{EndpointSlice, Kind, Name, Object, ObjectRef, Snapshot, backend_services};

/// Ingresses of the pending changes that may lack a Service.
#[derive(Default)]
pub(super) struct Incomplete {
    ingresses: Vec<Name>,
}

impl Incomplete {
    pub(super) fn add(&mut self, ingress: Name) {
        self.ingresses.push(ingress);
    }

    pub(super) fn clear(&mut self) {
        self.ingresses.clear();
    }

    /// Whether one of them refers to a Service that is unknown or has no slice. A complete one is not checked again.
    pub(super) fn lacks_services(&mut self, snapshot: &Snapshot) -> bool {
        if self.ingresses.is_empty() {
            return false;
        }
        let slices = snapshot.pending_of(Kind::EndpointSlice);
        let pending: HashSet<ObjectRef, RandomState> = slices.filter_map(Object::part_of).collect();
        let has_slices = |service: &ObjectRef| {
            let mut slices = snapshot.parts_of::<EndpointSlice>(service);
            slices.next().is_some() || pending.contains(service)
        };
        while let Some(name) = self.ingresses.last() {
            if lacks_a_service(name, snapshot, has_slices) {
                return true;
            }
            self.ingresses.pop();
        }
        false
    }
}

fn lacks_a_service(
    name: &Name,
    snapshot: &Snapshot,
    has_slices: impl Fn(&ObjectRef) -> bool,
) -> bool {
    let ingress = snapshot.latest(&ObjectRef {
        kind: Kind::Ingress,
        name: name.clone(),
    });
    let Some(Object::Ingress(ingress)) = ingress else {
        return false;
    };
    backend_services(ingress).any(|service| {
        let service = ObjectRef {
            kind: Kind::Service,
            name: Name {
                namespace: name.namespace.clone(),
                name: service.into(),
            },
        };
        match snapshot.latest(&service) {
            Some(Object::Service(known)) => !known.is_external() && !has_slices(&service),
            _ => true,
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

    use k8s_openapi::api::core::v1;
    use k8s_openapi::api::discovery::v1 as discovery;
    use serde_json::{Value, json};

    use super::*;
    use k8s_openapi::api::networking::v1::Ingress;

    fn ingress(secret: &str) -> Object {
        let ingress: Ingress = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
                "tls": [{"secretName": secret}],
            },
        }))
        .unwrap();
        ingress.into()
    }

    fn service(spec: Value) -> Object {
        let service: v1::Service = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop"}, "spec": spec,
        }))
        .unwrap();
        service.into()
    }

    fn slice() -> Object {
        let slice: discovery::EndpointSlice = serde_json::from_value(json!({
            "metadata": {
                "name": "web-1", "namespace": "shop",
                "labels": {"kubernetes.io/service-name": "web"},
            },
            "addressType": "IPv4", "endpoints": [],
        }))
        .unwrap();
        slice.into()
    }

    #[test]
    fn an_ingress_lacks_its_service_until_that_has_a_slice() {
        for take in [false, true] {
            let mut snapshot = Snapshot::default();
            let mut incomplete = Incomplete::default();
            let apply = |snapshot: &mut Snapshot, object: Object| {
                snapshot.apply(object);
                if take {
                    snapshot.take_changes();
                }
            };
            apply(&mut snapshot, ingress("one"));
            incomplete.add(Name::new("shop", "web"));
            assert!(incomplete.lacks_services(&snapshot));
            apply(&mut snapshot, service(json!({})));
            assert!(incomplete.lacks_services(&snapshot));
            apply(&mut snapshot, slice());
            assert!(!incomplete.lacks_services(&snapshot));
            // Once complete, it does not wait again until it changes.
            snapshot.delete(&slice().reference());
            snapshot.take_changes();
            assert!(!incomplete.lacks_services(&snapshot));
            apply(&mut snapshot, ingress("two"));
            incomplete.add(Name::new("shop", "web"));
            assert!(incomplete.lacks_services(&snapshot));
            let external = json!({"type": "ExternalName", "externalName": "a.example"});
            apply(&mut snapshot, service(external));
            assert!(!incomplete.lacks_services(&snapshot));
        }
    }
}
