//! Observed statuses of Ingresses and of the published Service, for the status writer. Trimmed objects lack them.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_compile::Name;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::status::{Address, Observations, Observed, PublishService, ServiceKind, owns_status};

/// The last observed statuses, shared with the status writer.
#[derive(Default)]
pub struct Statuses {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    ingresses: HashMap<Name, Observed, RandomState>,
    service: Option<PublishService>,
    /// Recent address lists: most Ingresses have the same one.
    interned: Vec<Arc<[Address]>>,
}

/// Most address lists kept for sharing.
const MAX_INTERNED: usize = 16;

impl Observations for Statuses {
    fn observed(&self, ingress: &Name) -> Option<Observed> {
        self.state.lock().ingresses.get(ingress).cloned()
    }

    fn publish_service(&self) -> Option<PublishService> {
        self.state.lock().service.clone()
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Statuses {
    pub(crate) fn observe(&self, name: &Name, status: Status) {
        let mut state = self.state.lock();
        let observed = Observed {
            uid: status.uid,
            entries: state.intern(status.entries),
            managed: status.managed,
        };
        let is_changed = match state.ingresses.get_mut(name) {
            Some(known) if *known == observed => false,
            Some(known) => {
                *known = observed;
                true
            }
            None => {
                state.ingresses.insert(name.clone(), observed);
                true
            }
        };
        drop(state);
        if is_changed {
            self.changed.notify_one();
        }
    }

    pub(crate) fn forget(&self, name: &Name) {
        let known = self.state.lock().ingresses.remove(name).is_some();
        if known {
            self.changed.notify_one();
        }
    }

    /// Sets the published Service; `None` if it does not exist.
    pub(crate) fn publish(&self, service: Option<PublishService>) {
        let mut state = self.state.lock();
        let is_changed = state.service != service;
        state.service = service;
        drop(state);
        if is_changed {
            self.changed.notify_one();
        }
    }
}

impl State {
    fn intern(&mut self, entries: Vec<Address>) -> Arc<[Address]> {
        if let Some(known) = self.interned.iter().find(|known| ***known == *entries) {
            return known.clone();
        }
        if self.interned.len() >= MAX_INTERNED {
            self.interned.remove(0);
        }
        let entries: Arc<[Address]> = entries.into();
        self.interned.push(entries.clone());
        entries
    }
}

/// The part of an Ingress that [`Statuses`] keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) uid: Arc<str>,
    pub(crate) entries: Vec<Address>,
    pub(crate) managed: bool,
}

impl Status {
    pub(crate) fn of(ingress: &Ingress) -> Self {
        let status = ingress.status.as_ref();
        let balancer = status.and_then(|status| status.load_balancer.as_ref());
        let entries = balancer.and_then(|balancer| balancer.ingress.as_ref());
        let entries = entries.into_iter().flatten();
        let entries =
            entries.map(|entry| Address::new(entry.ip.as_deref(), entry.hostname.as_deref()));
        Self {
            uid: ingress.metadata.uid.as_deref().unwrap_or_default().into(),
            entries: entries.collect(),
            managed: owns_status(&ingress.metadata),
        }
    }
}

impl PublishService {
    pub(crate) fn of(service: &Service) -> Self {
        let status = service.status.as_ref();
        let balancer = status.and_then(|status| status.load_balancer.as_ref());
        let entries = balancer.and_then(|balancer| balancer.ingress.as_ref());
        let entries = entries.into_iter().flatten();
        let entries =
            entries.map(|entry| Address::new(entry.ip.as_deref(), entry.hostname.as_deref()));
        let spec = service.spec.as_ref();
        let text = |field: Option<&String>| {
            let given = field.filter(|text| !text.is_empty());
            given.map(|text| Arc::from(text.as_str()))
        };
        let external = spec.and_then(|spec| spec.external_ips.as_ref());
        let external = external.into_iter().flatten();
        let address = spec.and_then(|spec| spec.cluster_ip.as_ref());
        Self {
            kind: ServiceKind::of(spec.and_then(|spec| spec.type_.as_deref())),
            load_balancer: entries.collect(),
            external_ips: external.map(|address| address.as_str().into()).collect(),
            cluster_ip: text(address.filter(|address| *address != "None")),
            external_name: text(spec.and_then(|spec| spec.external_name.as_ref())),
        }
    }
}

impl ServiceKind {
    fn of(text: Option<&str>) -> Self {
        match text {
            Some("NodePort") => Self::NodePort,
            Some("LoadBalancer") => Self::LoadBalancer,
            Some("ExternalName") => Self::ExternalName,
            _ => Self::ClusterIp,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

    use serde_json::json;

    use super::*;

    fn ingress(manager: &str, subresource: &str) -> Ingress {
        serde_json::from_value(json!({
            "metadata": {
                "name": "web", "namespace": "shop",
                "managedFields": [{
                    "manager": manager, "operation": "Apply", "subresource": subresource,
                    "apiVersion": "networking.k8s.io/v1", "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:status": {"f:loadBalancer": {"f:ingress": {}}}},
                }],
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.9"}, {"hostname": "lb.example"}]}},
        }))
        .unwrap()
    }

    #[test]
    fn ownership_is_read_from_managed_fields() {
        assert!(Status::of(&ingress("headgate", "status")).managed);
        assert!(!Status::of(&ingress("nginx-ingress-controller", "status")).managed);
        assert_eq!(Status::of(&ingress("x", "status")).entries.len(), 2);
    }

    #[tokio::test]
    async fn a_change_notifies_and_an_equal_status_does_not() {
        let statuses = Statuses::default();
        let name = Name::new("shop", "web");
        let status = Status::of(&ingress("headgate", "status"));
        statuses.observe(&name, status.clone());
        statuses.changed().await;
        statuses.observe(&name, status.clone());
        let waiting = tokio::time::timeout(std::time::Duration::ZERO, statuses.changed());
        assert!(waiting.await.is_err());
        assert!(statuses.observed(&name).unwrap().managed);
        statuses.forget(&name);
        statuses.changed().await;
        assert_eq!(statuses.observed(&name), None);
    }

    #[test]
    fn equal_address_lists_are_shared() {
        let statuses = Statuses::default();
        let (one, two) = (Name::new("shop", "one"), Name::new("shop", "two"));
        let status = Status::of(&ingress("headgate", "status"));
        statuses.observe(&one, status.clone());
        statuses.observe(&two, status);
        let entries = |name| statuses.observed(name).unwrap().entries;
        assert!(Arc::ptr_eq(&entries(&one), &entries(&two)));
    }

    #[test]
    fn the_published_service_is_read() {
        let service = serde_json::from_value(json!({
            "spec": {"type": "LoadBalancer", "clusterIP": "None", "externalIPs": ["127.0.0.7"]},
            "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example"}]}},
        }));
        let service = PublishService::of(&service.unwrap());
        assert_eq!(service.kind, ServiceKind::LoadBalancer);
        assert_eq!(service.external_ips, ["127.0.0.7".into()]);
        assert_eq!(service.cluster_ip, None);
        assert_eq!(
            service.load_balancer,
            [Address::new(None, Some("lb.example"))]
        );
    }
}
