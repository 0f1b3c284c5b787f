//! The fields of a Gateway's Service. Those that are not set here, such as `nodePort`, belong to others and stay.

use std::collections::{BTreeMap, BTreeSet};

use headgate_compile::gateway::GatewayService;
use headgate_compile::objects::custom::{GATEWAY_GROUP, ServiceParameters};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::GatewayServiceOptions;
use crate::field_manager::FIELD_MANAGER;

/// Label of everything that is made here.
pub(super) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Annotation with the controller that made a Service, so that another installation leaves it alone.
const CONTROLLER: &str = "headgate.dev/gateway-controller";

type Texts = BTreeMap<String, String>;

/// Whether `metadata` says that the object with this `uid` controls it.
pub(super) fn is_owned(metadata: &ObjectMeta, uid: &str) -> bool {
    owner(metadata) == Some(uid)
}

/// The `metadata.uid` of the object that controls this one.
pub(super) fn owner(metadata: &ObjectMeta) -> Option<&str> {
    let mut owners = metadata.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true));
    owner.map(|owner| &*owner.uid)
}

/// Whether this installation made the Service.
pub(super) fn is_made_here(service: &Service, options: &GatewayServiceOptions) -> bool {
    let annotations = service.metadata.annotations.as_ref();
    let controller = annotations.and_then(|annotations| annotations.get(CONTROLLER));
    controller.is_some_and(|controller| **controller == *options.controller)
}

/// The Service as it should be, on the basis of the present one.
pub(super) fn service(
    (desired, parameters): (&GatewayService, &ServiceParameters),
    current: Option<&Service>,
    options: &GatewayServiceOptions,
) -> Service {
    let mut service = current.cloned().unwrap_or_default();
    let metadata = &mut service.metadata;
    metadata.namespace = Some(desired.name.namespace.to_string());
    metadata.name = Some(desired.name.name.to_string());
    let managed = [(MANAGED_BY, FIELD_MANAGER.to_owned())];
    let labels = texts([&parameters.labels, &desired.labels], managed);
    set(
        &mut metadata.labels,
        labels,
        "f:labels",
        &metadata.managed_fields,
    );
    let controller = [(CONTROLLER, options.controller.to_string())];
    let annotations = texts([&parameters.annotations, &desired.annotations], controller);
    let managed_fields = &metadata.managed_fields;
    set(
        &mut metadata.annotations,
        annotations,
        "f:annotations",
        managed_fields,
    );
    metadata.owner_references = Some(vec![OwnerReference {
        api_version: format!("{GATEWAY_GROUP}/v1"),
        kind: "Gateway".to_owned(),
        name: desired.gateway.name.to_string(),
        uid: desired.uid.to_string(),
        controller: Some(true),
        block_owner_deletion: None,
    }]);
    let spec = service.spec.get_or_insert_default();
    set_spec(spec, desired, parameters);
    service
}

fn texts<const N: usize>(lists: [&Texts; 2], own: [(&str, String); N]) -> Texts {
    let mut all = Texts::new();
    lists.into_iter().for_each(|list| all.extend(list.clone()));
    all.extend(own.map(|(name, value)| (name.to_owned(), value)));
    all
}

/// Sets the entries of `desired`, and removes those that were set here before and are not desired now.
fn set(
    field: &mut Option<Texts>,
    desired: Texts,
    key: &str,
    managed: &Option<Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry>>,
) {
    let entries = managed.iter().flatten();
    let own = entries.filter(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER));
    let own = own.filter_map(|entry| {
        entry
            .fields_v1
            .as_ref()?
            .0
            .get("f:metadata")?
            .get(key)?
            .as_object()
    });
    let own: BTreeSet<&str> = own
        .flat_map(|fields| fields.keys().filter_map(|name| name.strip_prefix("f:")))
        .collect();
    let texts = field.get_or_insert_default();
    texts.retain(|name, _| desired.contains_key(name) || !own.contains(&**name));
    texts.extend(desired);
}

fn set_spec(spec: &mut ServiceSpec, desired: &GatewayService, parameters: &ServiceParameters) {
    let kind = parameters.kind.as_deref().unwrap_or("LoadBalancer");
    let is_balancer = kind == "LoadBalancer";
    let is_external = is_balancer || kind == "NodePort";
    spec.type_ = Some(kind.to_owned());
    spec.selector = None;
    spec.ports = Some(ports(
        desired,
        spec.ports.as_deref().unwrap_or_default(),
        is_external,
    ));
    let policy = |given: &Option<String>| given.clone().or_else(|| Some("Cluster".to_owned()));
    let external = policy(&parameters.external_traffic_policy);
    spec.external_traffic_policy = external.filter(|_| is_external);
    spec.internal_traffic_policy = policy(&parameters.internal_traffic_policy);
    if let Some(families) = &parameters.ip_families {
        spec.ip_families = Some(families.clone());
    }
    if let Some(policy) = &parameters.ip_family_policy {
        spec.ip_family_policy = Some(policy.clone());
    }
    let for_balancer = |given: Option<String>| given.filter(|_| is_balancer);
    spec.load_balancer_ip = for_balancer(desired.load_balancer_ip.map(|ip| ip.to_string()));
    if parameters.load_balancer_class.is_some() || !is_balancer {
        // Without one, that of the cluster stays.
        spec.load_balancer_class = for_balancer(parameters.load_balancer_class.clone());
    }
    let ranges = parameters.load_balancer_source_ranges.clone();
    spec.load_balancer_source_ranges = ranges.filter(|ranges| is_balancer && !ranges.is_empty());
    let allocate = parameters.allocate_load_balancer_node_ports.unwrap_or(true);
    spec.allocate_load_balancer_node_ports = is_balancer.then_some(allocate);
    if !(is_balancer && spec.external_traffic_policy.as_deref() == Some("Local")) {
        spec.health_check_node_port = None;
    }
}

/// The ports whose local ports are known. A port of the same number and protocol keeps what others gave it.
fn ports(desired: &GatewayService, current: &[ServicePort], is_external: bool) -> Vec<ServicePort> {
    let ports = desired
        .ports
        .iter()
        .filter_map(|((port, protocol), local)| {
            let number = i32::from(*port);
            let protocol = protocol.as_str();
            let mut current = current.iter();
            let known = current.find(|known| {
                known.port == number && known.protocol.as_deref().unwrap_or("TCP") == protocol
            });
            let known = known.cloned().unwrap_or_default();
            Some(ServicePort {
                name: Some(port_name(*port, protocol)),
                port: number,
                protocol: Some(protocol.to_owned()),
                target_port: Some(IntOrString::Int(i32::from((*local)?))),
                node_port: known.node_port.filter(|_| is_external),
                app_protocol: known.app_protocol,
            })
        });
    ports.collect()
}

/// The name of a port, in a Service and its slices.
pub(super) fn port_name(port: u16, protocol: &str) -> String {
    format!("{}-{port}", protocol.to_ascii_lowercase())
}
