//! Kubernetes objects cut down to what a table is made from.
//!
//! Sources bring in whole objects; a cluster has hundreds of thousands of them, most of whose fields nobody here reads.
//! Converting at the border keeps memory small, and makes two versions of an object that differ only in what does not
//! matter equal. Values stay as their author wrote them: what they mean is decided by compiling.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use headgate_table::PrivateBytes;
use k8s_openapi::api::core::v1;
use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::{Kind, Name, ObjectRef};

/// Keys of a Secret that are read: a certificate with its key, and authorities.
const SECRET_KEYS: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// The copy of the whole object that `kubectl apply` leaves in an annotation.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object of one of the kinds that a table is made from. Made with `Object::from` of the Kubernetes type; cheap to clone.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "named as in the Kubernetes API")]
pub enum Object {
    Ingress(Arc<networking::Ingress>),
    IngressClass(Arc<IngressClass>),
    Service(Arc<Service>),
    EndpointSlice(Arc<EndpointSlice>),
    Endpoints(Arc<Endpoints>),
    Secret(Arc<Secret>),
    ConfigMap(Arc<ConfigMap>),
}

/// What is read of an IngressClass.
#[derive(Debug, PartialEq, Eq)]
pub struct IngressClass {
    pub(crate) name: Name,
    pub(crate) controller: Option<String>,
}

/// What is read of a Service.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    pub(crate) name: Name,
    /// The name of an `ExternalName` Service; `Some("")` when it lacks one.
    pub(crate) external_name: Option<String>,
    pub(crate) cluster_ip: Option<IpAddr>,
    pub(crate) ports: Box<[ServicePort]>,
    /// Timeout in seconds of `sessionAffinity: ClientIP`.
    pub(crate) client_ip_affinity: Option<u32>,
}

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
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServicePort {
    pub(crate) name: Option<Box<str>>,
    pub(crate) port: u16,
    pub(crate) target: Option<TargetPort>,
}

/// `targetPort` of a Service's port.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TargetPort {
    Number(u16),
    Name(Box<str>),
}

/// What is read of an EndpointSlice.
#[derive(Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    pub(crate) name: Name,
    /// The Service that it belongs to, by its label.
    pub(crate) service: Option<Name>,
    pub(crate) ports: Box<[EndpointPort]>,
    pub(crate) endpoints: Box<[Endpoint]>,
}

/// What is read of an Endpoints object: each subset as a slice has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoints {
    pub(crate) name: Name,
    pub(crate) subsets: Box<[Subset]>,
}

/// Addresses with the ports that they all have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Subset {
    pub(crate) ports: Box<[EndpointPort]>,
    pub(crate) addresses: Box<[IpAddr]>,
}

/// A TCP port of endpoints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EndpointPort {
    pub(crate) name: Box<str>,
    pub(crate) port: u16,
}

/// An address of a slice with its conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: IpAddr,
    pub(crate) state: EndpointState,
}

/// Whether an endpoint may get requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndpointState {
    /// It may; also when the condition is not said.
    Ready,
    /// It is being stopped and still serves.
    Terminating,
    /// It may not.
    Down,
}

/// What is read of a Secret.
#[derive(Debug, PartialEq, Eq)]
pub struct Secret {
    pub(crate) name: Name,
    data: Box<[(&'static str, PrivateBytes)]>,
}

impl Secret {
    /// The value of `tls.crt`, `tls.key` or `ca.crt`, unless it is absent or empty. No other key is kept.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let found = self.data.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| value.0.as_slice())
    }
}

/// What is read of a ConfigMap.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigMap {
    pub(crate) name: Name,
    pub(crate) data: BTreeMap<String, String>,
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
        };
        ObjectRef { kind, name }
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
        Self::IngressClass(Arc::new(IngressClass {
            name: Name::of(&class.metadata),
            controller: class.spec.and_then(|spec| spec.controller),
        }))
    }
}

impl From<v1::Service> for Object {
    fn from(service: v1::Service) -> Self {
        let spec = service.spec.unwrap_or_default();
        let is = |field: &Option<String>, value: &str| field.as_deref() == Some(value);
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
            name: Name::of(&service.metadata),
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
        let endpoints = slice.endpoints.into_iter().flatten();
        let endpoints = endpoints.flat_map(|endpoint| {
            let state = endpoint_state(endpoint.conditions.as_ref());
            let addresses = endpoint
                .addresses
                .into_iter()
                .filter_map(|text| text.parse().ok());
            addresses.map(move |address| Endpoint { address, state })
        });
        Self::EndpointSlice(Arc::new(EndpointSlice {
            service,
            ports: ports.collect(),
            endpoints: endpoints.collect(),
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
        let mut data = secret.data.unwrap_or_default();
        let read = SECRET_KEYS.into_iter().filter_map(|key| {
            let value = data.remove(key).filter(|value| !value.0.is_empty())?;
            Some((key, PrivateBytes(value.0)))
        });
        Self::Secret(Arc::new(Secret {
            data: read.collect(),
            name,
        }))
    }
}

impl From<v1::ConfigMap> for Object {
    fn from(map: v1::ConfigMap) -> Self {
        Self::ConfigMap(Arc::new(ConfigMap {
            name: Name::of(&map.metadata),
            data: map.data.unwrap_or_default(),
        }))
    }
}
