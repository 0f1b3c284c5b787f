//! The published addresses, by source (behaviour.md 2.10).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use headgate_compile::Name;
use kube::api::ListParams;
use kube::{Api, Client};

use super::{Address, PublishService, ServiceKind, WriteError};
use crate::pods::{Node, Pod};

/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Labels that differ between revisions of a workload, and so between replicas of this controller.
const REVISION_LABELS: [&str; 3] = [
    "controller-revision-hash",
    "pod-template-generation",
    "pod-template-hash",
];

/// Sorted, each once.
pub(super) fn sorted(addresses: impl IntoIterator<Item = Address>) -> Arc<[Address]> {
    let addresses: BTreeSet<Address> = addresses.into_iter().collect();
    addresses.into_iter().collect()
}

/// The addresses of the Service of `--publish-service`.
pub(super) fn of_service(service: &PublishService) -> Arc<[Address]> {
    let external = service.external_ips.iter().map(|ip| Address::parse(ip));
    let cluster = service.cluster_ip.iter().map(|ip| Address::parse(ip));
    match service.kind {
        ServiceKind::LoadBalancer => {
            let given = service.load_balancer.iter().cloned();
            // An external IP that the load balancer has as well is sorted once.
            let has =
                |ip: &Option<Arc<str>>| service.load_balancer.iter().any(|entry| entry.ip == *ip);
            sorted(given.chain(external.filter(|address| !has(&address.ip))))
        }
        ServiceKind::NodePort if !service.external_ips.is_empty() => sorted(external),
        ServiceKind::NodePort | ServiceKind::ClusterIp => sorted(cluster),
        ServiceKind::ExternalName => {
            let name = service.external_name.iter();
            sorted(name.map(|name| Address::new(None, Some(name))))
        }
    }
}

/// The replicas of this controller, found by the labels of this replica's pod.
#[derive(Clone)]
pub(super) struct Replicas {
    client: Client,
    pod: Name,
}

impl Replicas {
    pub(super) fn new(client: Client, pod: Name) -> Self {
        Self { client, pod }
    }

    /// Addresses of the nodes that run ready replicas.
    pub(super) async fn addresses(&self, internal: bool) -> Result<Arc<[Address]>, WriteError> {
        let pods = self.pods().await?;
        let ready = pods.iter().filter(|pod| pod.is_ready());
        let nodes: BTreeSet<&str> = ready.filter_map(Pod::node).collect();
        let api: Api<Node> = Api::all(self.client.clone());
        let mut addresses = Vec::new();
        for name in nodes {
            let node = bounded("reading", "Node", &Name::new("", name), api.get(name)).await?;
            addresses.extend(of_node(&node, internal));
        }
        if addresses.is_empty() {
            return Err(WriteError::NoAddress);
        }
        Ok(sorted(addresses))
    }

    /// Whether another replica runs and is not being deleted.
    pub(super) async fn others_run(&self) -> Result<bool, WriteError> {
        let pods = self.pods().await?;
        let others = pods
            .iter()
            .filter(|pod| pod.metadata.name.as_deref() != Some(&*self.pod.name));
        let mut running = others.filter(|pod| pod.is_running());
        Ok(running.next().is_some())
    }

    async fn pods(&self) -> Result<Vec<Pod>, WriteError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.pod.namespace);
        let own = bounded("reading", "Pod", &self.pod, api.get(&self.pod.name)).await?;
        let selector = own.metadata.labels.as_ref().map(selector);
        let Some(selector) = selector.filter(|selector| !selector.is_empty()) else {
            // An empty selector would select every pod of the namespace.
            return Ok(vec![own]);
        };
        let params = ListParams::default().labels(&selector);
        let pods = bounded("listing", "Pods like", &self.pod, api.list(&params)).await?;
        Ok(pods.items)
    }
}

fn selector(labels: &BTreeMap<String, String>) -> String {
    let lasting = labels
        .iter()
        .filter(|(key, _)| !REVISION_LABELS.contains(&key.as_str()));
    let terms: Vec<String> = lasting
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    terms.join(",")
}

/// The external addresses of a node; the internal ones if it has none or if `internal` is set.
fn of_node(node: &Node, internal: bool) -> Vec<Address> {
    let of_type =
        |type_: &str| -> Vec<Address> { node.addresses(type_).map(Address::parse).collect() };
    let external = if internal {
        Vec::new()
    } else {
        of_type("ExternalIP")
    };
    if external.is_empty() {
        of_type("InternalIP")
    } else {
        external
    }
}

/// A request with a timeout, and a name for its failure.
pub(crate) async fn bounded<T>(
    action: &'static str,
    kind: &'static str,
    name: &Name,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, WriteError> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(source)) => Err(WriteError::Api {
            action,
            kind,
            name: name.clone(),
            source: Box::new(source),
        }),
        Err(_) => Err(WriteError::Timeout {
            action,
            kind,
            name: name.clone(),
            timeout: TIMEOUT,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(kind: ServiceKind) -> PublishService {
        PublishService {
            kind,
            load_balancer: vec![
                Address::new(None, Some("lb.example")),
                Address::new(Some("192.0.2.9"), None),
                Address::new(Some("192.0.2.1"), None),
            ],
            external_ips: vec!["192.0.2.1".into(), "192.0.2.5".into()],
            cluster_ip: Some("10.0.0.1".into()),
            external_name: Some("gate.example".into()),
        }
    }

    fn texts(addresses: &[Address]) -> Vec<&str> {
        let texts = addresses
            .iter()
            .map(|address| address.ip.as_deref().or(address.hostname.as_deref()));
        texts.flatten().collect()
    }

    #[test]
    fn addresses_of_a_service_depend_on_its_type() {
        let of = |kind| of_service(&service(kind));
        assert_eq!(
            texts(&of(ServiceKind::LoadBalancer)),
            ["lb.example", "192.0.2.1", "192.0.2.5", "192.0.2.9"]
        );
        assert_eq!(
            texts(&of(ServiceKind::NodePort)),
            ["192.0.2.1", "192.0.2.5"]
        );
        assert_eq!(texts(&of(ServiceKind::ClusterIp)), ["10.0.0.1"]);
        assert_eq!(texts(&of(ServiceKind::ExternalName)), ["gate.example"]);
        let bare = PublishService {
            external_ips: Vec::new(),
            ..service(ServiceKind::NodePort)
        };
        assert_eq!(texts(&of_service(&bare)), ["10.0.0.1"]);
    }

    #[test]
    fn replicas_of_all_revisions_are_selected() {
        let labels = [
            ("app", "headgate"),
            ("pod-template-hash", "abc"),
            ("part", "controller"),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(selector(&labels.into()), "app=headgate,part=controller");
    }
}
