//! Kubernetes objects cut down to what a table is made from.
//!
//! Sources bring in whole objects; a cluster has hundreds of thousands of them, most of whose fields nobody here reads.
//! Converting at the border keeps memory small, and makes two versions of an object that differ only in what does not
//! matter equal. Values stay as their author wrote them: what they mean is decided by compiling.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use headgate_table::PrivateBytes;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1;
use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Kind, Name, ObjectRef};

/// Keys of a Secret that are read: a certificate with its key, and authorities.
const SECRET_KEYS: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// The copy of the whole object that `kubectl apply` leaves in an annotation.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object of one of the kinds that a table is made from. Made with `Object::from` of the Kubernetes type; cheap to clone.
/// Serialised it is what was kept of it, private keys included: see to where that goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the Kubernetes API")]
pub enum Object {
    Ingress(Arc<networking::Ingress>),
    IngressClass(Arc<IngressClass>),
    Service(Arc<Service>),
    EndpointSlice(Arc<EndpointSlice>),
    Endpoints(Arc<Endpoints>),
    Secret(Arc<Secret>),
    ConfigMap(Arc<ConfigMap>),
    Namespace(Arc<Namespace>),
}

/// What is read of an IngressClass.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngressClass {
    pub(crate) name: Name,
    pub(crate) controller: Option<String>,
    /// The ConfigMap that `spec.parameters` points to.
    pub(crate) parameters: Option<Name>,
}

/// A namespace whose Ingresses are watched (`--watch-namespace-selector`); its labels were looked at by the source.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    pub(crate) name: Name,
}

/// What is read of a Service.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub(crate) name: Name,
    /// The name of an `ExternalName` Service; `Some("")` when it lacks one.
    pub(crate) external_name: Option<String>,
    pub(crate) cluster_ip: Option<IpAddr>,
    pub(crate) ports: Box<[ServicePort]>,
    /// Timeout in seconds of `sessionAffinity: ClientIP`.
    pub(crate) client_ip_affinity: Option<u32>,
    /// Whether endpoints of the zone that a request comes from are preferred.
    pub(crate) prefers_zone: bool,
    uid: Uid,
}

/// `metadata.uid`, for Events about the object.
type Uid = Option<Box<str>>;

impl Service {
    /// Its namespace and name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether it stands for a DNS name, and so has no endpoints.
    pub fn is_external(&self) -> bool {
        self.external_name.is_some()
    }

    /// Names of its ports; a single port may have none.
    pub fn port_names(&self) -> impl Iterator<Item = Option<&str>> {
        self.ports.iter().map(|port| port.name.as_deref())
    }
}

/// A port of a Service.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServicePort {
    pub(crate) name: Option<Box<str>>,
    pub(crate) port: u16,
    pub(crate) target: Option<TargetPort>,
}

/// `targetPort` of a Service's port.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TargetPort {
    Number(u16),
    Name(Box<str>),
}

/// What is read of an EndpointSlice.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSlice {
    pub(crate) name: Name,
    /// The Service that it belongs to, by its label.
    pub(crate) service: Option<Name>,
    pub(crate) ports: Box<[EndpointPort]>,
    pub(crate) endpoints: Box<[Endpoint]>,
    /// For each endpoint the zones that it is meant for; empty when no endpoint has a hint.
    pub(crate) hints: Box<[Zones]>,
}

/// Names of zones.
pub(crate) type Zones = Box<[Box<str>]>;

impl EndpointSlice {
    /// Its namespace and name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The Service that it belongs to.
    pub fn service(&self) -> Option<&Name> {
        self.service.as_ref()
    }
}

/// What is read of an Endpoints object: each subset as a slice has it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    pub(crate) name: Name,
    pub(crate) subsets: Box<[Subset]>,
}

/// Addresses with the ports that they all have.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subset {
    pub(crate) ports: Box<[EndpointPort]>,
    pub(crate) addresses: Box<[IpAddr]>,
}

/// A TCP port of endpoints.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndpointPort {
    pub(crate) name: Box<str>,
    pub(crate) port: u16,
}

/// An address of a slice with its conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) address: IpAddr,
    pub(crate) state: EndpointState,
}

/// Whether an endpoint may get requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EndpointState {
    /// It may; also when the condition is not said.
    Ready,
    /// It is being stopped and still serves.
    Terminating,
    /// It may not.
    Down,
}

/// What is read of a Secret.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub(crate) name: Name,
    #[serde(serialize_with = "write_secret", deserialize_with = "read_secret")]
    data: SecretData,
    uid: Uid,
}

/// Values by key, of the keys that are read.
type SecretData = Box<[(&'static str, PrivateBytes)]>;

impl Secret {
    /// The value of `tls.crt`, `tls.key` or `ca.crt`, unless it is absent or empty. No other key is kept.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let found = self.data.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| value.0.as_slice())
    }
}

/// What is read of a ConfigMap.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigMap {
    pub(crate) name: Name,
    pub(crate) data: BTreeMap<String, String>,
    uid: Uid,
}

impl ConfigMap {
    /// Its values by key.
    pub fn data(&self) -> &BTreeMap<String, String> {
        &self.data
    }
}

impl Object {
    /// Its kind and name.
    pub fn reference(&self) -> ObjectRef {
        let (kind, name) = match self {
            Self::Ingress(object) => (Kind::Ingress, Name::of(&object.metadata)),
            Self::IngressClass(object) => (Kind::IngressClass, object.name.clone()),
            Self::Service(object) => (Kind::Service, object.name.clone()),
            Self::EndpointSlice(object) => (Kind::EndpointSlice, object.name.clone()),
            Self::Endpoints(object) => (Kind::Endpoints, object.name.clone()),
            Self::Secret(object) => (Kind::Secret, object.name.clone()),
            Self::ConfigMap(object) => (Kind::ConfigMap, object.name.clone()),
            Self::Namespace(object) => (Kind::Namespace, object.name.clone()),
        };
        ObjectRef { kind, name }
    }
}

impl Object {
    /// Its `metadata.uid`, where it is kept: of Ingresses, Services, Secrets and ConfigMaps.
    pub fn uid(&self) -> Option<&str> {
        match self {
            Self::Ingress(object) => object.metadata.uid.as_deref(),
            Self::Service(object) => object.uid.as_deref(),
            Self::Secret(object) => object.uid.as_deref(),
            Self::ConfigMap(object) => object.uid.as_deref(),
            Self::IngressClass(_)
            | Self::EndpointSlice(_)
            | Self::Endpoints(_)
            | Self::Namespace(_) => None,
        }
    }
}

impl From<v1::Namespace> for Object {
    fn from(namespace: v1::Namespace) -> Self {
        Self::Namespace(Arc::new(Namespace {
            name: Name::of(&namespace.metadata),
        }))
    }
}

impl From<networking::Ingress> for Object {
    fn from(mut ingress: networking::Ingress) -> Self {
        ingress.status = None;
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
            annotations,
            ..ObjectMeta::default()
        };
        Self::Ingress(Arc::new(ingress))
    }
}

impl From<networking::IngressClass> for Object {
    fn from(class: networking::IngressClass) -> Self {
        let spec = class.spec.unwrap_or_default();
        Self::IngressClass(Arc::new(IngressClass {
            name: Name::of(&class.metadata),
            controller: spec.controller,
            parameters: spec.parameters.and_then(parameters_map),
        }))
    }
}

/// A ConfigMap of a namespace is the one kind of parameters that there is a use for.
fn parameters_map(parameters: networking::IngressClassParametersReference) -> Option<Name> {
    let is_core = parameters.api_group.as_deref().unwrap_or_default() == "";
    let namespace = parameters.namespace?;
    (is_core && parameters.kind == "ConfigMap").then(|| Name::new(&namespace, &parameters.name))
}

impl From<v1::Service> for Object {
    fn from(service: v1::Service) -> Self {
        let spec = service.spec.unwrap_or_default();
        let is = |field: &Option<String>, value: &str| field.as_deref() == Some(value);
        let prefers_zone = prefers_zone(&service.metadata, &spec);
        let client_ip = is(&spec.session_affinity, "ClientIP").then(|| {
            /// The API's default: three hours.
            const DEFAULT: i32 = 10_800;
            let config = spec
                .session_affinity_config
                .and_then(|config| config.client_ip);
            let seconds = config.and_then(|client_ip| client_ip.timeout_seconds);
            u32::try_from(seconds.unwrap_or(DEFAULT)).unwrap_or(0)
        });
        Self::Service(Arc::new(Service {
            prefers_zone,
            name: Name::of(&service.metadata),
            uid: uid(&service.metadata),
            external_name: is(&spec.type_, "ExternalName")
                .then(|| spec.external_name.unwrap_or_default()),
            cluster_ip: spec.cluster_ip.and_then(|address| address.parse().ok()),
            ports: spec
                .ports
                .into_iter()
                .flatten()
                .filter_map(service_port)
                .collect(),
            client_ip_affinity: client_ip,
        }))
    }
}

fn uid(metadata: &ObjectMeta) -> Uid {
    metadata.uid.as_deref().map(Into::into)
}

/// By annotation, of the older name too, or by `spec.trafficDistribution`.
fn prefers_zone(metadata: &ObjectMeta, spec: &v1::ServiceSpec) -> bool {
    let annotation = |name: &str| {
        let annotations = metadata.annotations.as_ref()?;
        annotations.get(name)
    };
    let mode = annotation("service.kubernetes.io/topology-mode")
        .or_else(|| annotation("service.kubernetes.io/topology-aware-hints"));
    mode.is_some_and(|mode| mode.eq_ignore_ascii_case("auto"))
        || matches!(
            spec.traffic_distribution.as_deref(),
            Some("PreferClose" | "PreferSameZone" | "PreferSameNode")
        )
}

/// A port that is out of range could never be connected to.
fn service_port(port: v1::ServicePort) -> Option<ServicePort> {
    Some(ServicePort {
        name: port.name.map(Into::into),
        port: u16::try_from(port.port).ok()?,
        target: port.target_port.and_then(|target| match target {
            IntOrString::Int(number) => u16::try_from(number).ok().map(TargetPort::Number),
            IntOrString::String(name) => Some(TargetPort::Name(name.into())),
        }),
    })
}

impl From<discovery::EndpointSlice> for Object {
    fn from(slice: discovery::EndpointSlice) -> Self {
        let name = Name::of(&slice.metadata);
        let labels = slice.metadata.labels.as_ref();
        let service = labels.and_then(|labels| labels.get("kubernetes.io/service-name"));
        let service = service.map(|service| Name::new(&name.namespace, service));
        let ports = slice.ports.into_iter().flatten();
        let ports = ports.filter_map(|port| endpoint_port(port.name, port.port, port.protocol));
        let mut endpoints = Vec::new();
        let mut hints: Vec<Zones> = Vec::new();
        for endpoint in slice.endpoints.into_iter().flatten() {
            let state = endpoint_state(endpoint.conditions.as_ref());
            let zones = endpoint.hints.and_then(|hints| hints.for_zones);
            let zones = zones.into_iter().flatten();
            let zones: Zones = zones.map(|zone| zone.name.into()).collect();
            for address in endpoint
                .addresses
                .iter()
                .filter_map(|text| text.parse().ok())
            {
                endpoints.push(Endpoint { address, state });
                hints.push(zones.clone());
            }
        }
        if hints.iter().all(|zones| zones.is_empty()) {
            hints = Vec::new();
        }
        Self::EndpointSlice(Arc::new(EndpointSlice {
            service,
            ports: ports.collect(),
            endpoints: endpoints.into(),
            hints: hints.into(),
            name,
        }))
    }
}

fn endpoint_port(
    name: Option<String>,
    port: Option<i32>,
    protocol: Option<String>,
) -> Option<EndpointPort> {
    let tcp = protocol.is_none_or(|protocol| protocol == "TCP");
    let port = port
        .filter(|_| tcp)
        .and_then(|port| u16::try_from(port).ok())?;
    Some(EndpointPort {
        name: name.unwrap_or_default().into(),
        port,
    })
}

fn endpoint_state(conditions: Option<&discovery::EndpointConditions>) -> EndpointState {
    let Some(conditions) = conditions else {
        return EndpointState::Ready;
    };
    if conditions.ready != Some(false) {
        EndpointState::Ready
    } else if conditions.terminating == Some(true) && conditions.serving == Some(true) {
        EndpointState::Terminating
    } else {
        EndpointState::Down
    }
}

impl From<v1::Endpoints> for Object {
    fn from(endpoints: v1::Endpoints) -> Self {
        let subsets = endpoints.subsets.into_iter().flatten().map(|subset| {
            let ports = subset.ports.into_iter().flatten();
            let ports =
                ports.filter_map(|port| endpoint_port(port.name, Some(port.port), port.protocol));
            let addresses = subset.addresses.into_iter().flatten();
            let addresses = addresses.filter_map(|address| address.ip.parse().ok());
            Subset {
                ports: ports.collect(),
                addresses: addresses.collect(),
            }
        });
        Self::Endpoints(Arc::new(Endpoints {
            subsets: subsets.collect(),
            name: Name::of(&endpoints.metadata),
        }))
    }
}

impl From<v1::Secret> for Object {
    fn from(secret: v1::Secret) -> Self {
        let name = Name::of(&secret.metadata);
        let uid = uid(&secret.metadata);
        let mut data = secret.data.unwrap_or_default();
        let read = SECRET_KEYS.into_iter().filter_map(|key| {
            let value = data.remove(key).filter(|value| !value.0.is_empty())?;
            Some((key, PrivateBytes(value.0)))
        });
        Self::Secret(Arc::new(Secret {
            data: read.collect(),
            name,
            uid,
        }))
    }
}

fn write_secret<S: Serializer>(
    data: &[(&'static str, PrivateBytes)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        data.iter()
            .map(|(key, value)| (key, ByteString(value.0.clone()))),
    )
}

fn read_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretData, D::Error> {
    let mut data = BTreeMap::<String, ByteString>::deserialize(deserializer)?;
    let read = SECRET_KEYS
        .into_iter()
        .filter_map(|key| Some((key, PrivateBytes(data.remove(key)?.0))));
    Ok(read.collect())
}

impl From<v1::ConfigMap> for Object {
    fn from(map: v1::ConfigMap) -> Self {
        Self::ConfigMap(Arc::new(ConfigMap {
            name: Name::of(&map.metadata),
            uid: uid(&map.metadata),
            data: map.data.unwrap_or_default(),
        }))
    }
}
