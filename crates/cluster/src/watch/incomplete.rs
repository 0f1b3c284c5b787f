//! Changes of which more may be about to arrive: an Ingress or route, its Services and their endpoints are often created together, in
//! any order.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use headgate_compile::{EndpointSlice, Kind, Object, ObjectRef, Snapshot};

/// What the pending changes may lack.
#[derive(Default)]
pub(super) struct Incomplete {
    /// Ingresses and routes that may lack a Service.
    objects: Vec<ObjectRef>,
    /// There is a new Service or slice, to which hardly anything refers yet.
    has_new_backends: bool,
    /// There is something else.
    has_others: bool,
}

impl Incomplete {
    /// `object` is among the pending changes; it was unknown before, or not.
    pub(super) fn changed(&mut self, object: &ObjectRef, is_new: bool) {
        match object.kind {
            Kind::Service | Kind::EndpointSlice if is_new => self.has_new_backends = true,
            _ => self.has_others = true,
        }
        let has_backends = matches!(
            object.kind,
            Kind::Ingress
                | Kind::HttpRoute
                | Kind::GrpcRoute
                | Kind::TlsRoute
                | Kind::TcpRoute
                | Kind::UdpRoute
        );
        if has_backends {
            self.objects.push(object.clone());
        }
    }

    pub(super) fn clear(&mut self) {
        self.objects.clear();
        (self.has_new_backends, self.has_others) = (false, false);
    }

    /// Whether there are only new Services and slices, or one of the others refers to a Service that is unknown or has no slice.
    pub(super) fn is_likely(&mut self, snapshot: &Snapshot) -> bool {
        let has_backends_alone = self.has_new_backends && !self.has_others;
        has_backends_alone || self.lacks_services(snapshot)
    }

    /// Whether an Ingress or route lacks a Service. A complete one is not checked again.
    fn lacks_services(&mut self, snapshot: &Snapshot) -> bool {
        if self.objects.is_empty() {
            return false;
        }
        let slices = snapshot.pending_of(Kind::EndpointSlice);
        let pending: HashSet<ObjectRef, RandomState> = slices.filter_map(Object::part_of).collect();
        let has_slices = |service: &ObjectRef| {
            let mut slices = snapshot.parts_of::<EndpointSlice>(service);
            slices.next().is_some() || pending.contains(service)
        };
        while let Some(object) = self.objects.last() {
            if lacks_a_service(object, snapshot, has_slices) {
                return true;
            }
            self.objects.pop();
        }
        false
    }
}

fn lacks_a_service(
    object: &ObjectRef,
    snapshot: &Snapshot,
    has_slices: impl Fn(&ObjectRef) -> bool,
) -> bool {
    let Some(object) = snapshot.latest(object) else {
        return false;
    };
    let mut services = object.backend_services();
    services.dedup(); // the rules of a route often lead to one
    services.into_iter().any(|name| {
        let service = ObjectRef {
            kind: Kind::Service,
            name,
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

    use headgate_compile::objects::custom::{Delivered, HttpRouteSpec};
    use k8s_openapi::api::core::v1;
    use k8s_openapi::api::discovery::v1 as discovery;
    use serde_json::{Value, json};

    use super::*;
    use k8s_openapi::api::networking::v1::Ingress;

    fn route(host: &str) -> Object {
        let route = json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "1"},
            "spec": {
                "parentRefs": [{"name": "gateway"}],
                "hostnames": [host],
                "rules": [{"backendRefs": [{"name": "web", "port": 80}, {"group": "other", "kind": "Pool", "name": "a"}]}],
            },
        });
        let route: Delivered<HttpRouteSpec> = serde_json::from_value(route).unwrap();
        route.into()
    }

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
    fn an_object_lacks_its_service_until_that_has_a_slice() {
        let objects: [fn(&str) -> Object; 2] = [ingress, route];
        for (object, take) in objects
            .into_iter()
            .flat_map(|one| [(one, false), (one, true)])
        {
            let mut snapshot = Snapshot::default();
            let mut incomplete = Incomplete::default();
            let apply = |snapshot: &mut Snapshot, object: Object| {
                snapshot.apply(object);
                if take {
                    snapshot.take_changes();
                }
            };
            let name = object("one").reference();
            apply(&mut snapshot, object("one"));
            incomplete.changed(&name, false);
            assert!(incomplete.lacks_services(&snapshot));
            apply(&mut snapshot, service(json!({})));
            assert!(incomplete.lacks_services(&snapshot));
            apply(&mut snapshot, slice());
            assert!(!incomplete.lacks_services(&snapshot));
            // Once complete, it does not wait again until it changes.
            snapshot.delete(&slice().reference());
            snapshot.take_changes();
            assert!(!incomplete.lacks_services(&snapshot));
            apply(&mut snapshot, object("two"));
            incomplete.changed(&name, false);
            assert!(incomplete.lacks_services(&snapshot));
            let external = json!({"type": "ExternalName", "externalName": "a.example"});
            apply(&mut snapshot, service(external));
            assert!(!incomplete.lacks_services(&snapshot));
        }
    }

    #[test]
    fn new_services_and_slices_alone_wait_for_what_refers_to_them() {
        let snapshot = Snapshot::default();
        let mut incomplete = Incomplete::default();
        assert!(!incomplete.is_likely(&snapshot));
        incomplete.changed(&service(json!({})).reference(), true);
        incomplete.changed(&slice().reference(), true);
        assert!(incomplete.is_likely(&snapshot));
        // One that was known is in use.
        incomplete.changed(&slice().reference(), false);
        assert!(!incomplete.is_likely(&snapshot));
        incomplete.clear();
        incomplete.changed(&service(json!({})).reference(), true);
        assert!(incomplete.is_likely(&snapshot));
        incomplete.changed(
            &ObjectRef {
                kind: Kind::ConfigMap,
                name: headgate_compile::Name::new("shop", "settings"),
            },
            true,
        );
        assert!(!incomplete.is_likely(&snapshot));
    }
}
