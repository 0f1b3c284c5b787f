//! The EndpointSlices of a Gateway's Service: copies of those of the controller's own Service, with the local ports.

use headgate_compile::gateway::GatewayService;
use headgate_compile::stable_hash;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::object::port_name;
use crate::field_manager::FIELD_MANAGER;

/// Label with the Service of a slice.
pub(super) const SERVICE: &str = "kubernetes.io/service-name";
/// Label with who manages a slice; kube-proxy reads all, and the controller of Kubernetes leaves those of others alone.
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

/// The slice of a Gateway's Service that is a copy of `source`, on the basis of the present one. `None`: the Service has no
/// identity yet.
pub(super) fn copy(
    source: &EndpointSlice,
    service: &Service,
    desired: &GatewayService,
    current: Option<&EndpointSlice>,
) -> Option<EndpointSlice> {
    let mut slice = current.cloned().unwrap_or_default();
    let metadata = &mut slice.metadata;
    metadata.namespace = Some(desired.name.namespace.to_string());
    metadata.name = Some(name(source, desired));
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(SERVICE.to_owned(), desired.name.name.to_string());
    labels.insert(MANAGED_BY.to_owned(), FIELD_MANAGER.to_owned());
    metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Service".to_owned(),
        name: desired.name.name.to_string(),
        uid: service.metadata.uid.clone()?,
        controller: Some(true),
        block_owner_deletion: None,
    }]);
    // Hints are computed for the load of the own Service.
    let endpoints = source.endpoints.iter().flatten().map(|endpoint| Endpoint {
        hints: None,
        ..endpoint.clone()
    });
    Some(EndpointSlice {
        metadata: std::mem::take(metadata),
        address_type: source.address_type.clone(),
        endpoints: Some(endpoints.collect()),
        ports: Some(ports(desired)),
    })
}

fn ports(desired: &GatewayService) -> Vec<EndpointPort> {
    let ports = desired.ports.iter();
    let ports = ports.filter_map(|((port, protocol), local)| {
        Some(EndpointPort {
            name: Some(port_name(*port, protocol.as_str())),
            port: Some(i32::from((*local)?)),
            protocol: Some(protocol.as_str().to_owned()),
            app_protocol: None,
        })
    });
    ports.collect()
}

/// `<service>-<hash of the name of the source>`, also of its type of addresses, which cannot be changed.
pub(super) fn name(source: &EndpointSlice, desired: &GatewayService) -> String {
    let ObjectMeta { name, .. } = &source.metadata;
    let text = [name.as_deref().unwrap_or_default(), &source.address_type];
    let bytes = text.iter().flat_map(|part| part.bytes().chain([0xff]));
    format!("{}-{:08x}", desired.name.name, stable_hash(bytes))
}
