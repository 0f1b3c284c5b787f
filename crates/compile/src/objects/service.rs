//! Services.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};

use super::{Common, Kept, Kind, Name, Object, Uid, uid};

/// The kept fields of a Service.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub(crate) name: Name,
    /// The name of an `ExternalName` Service; `Some("")` when it lacks one.
    pub(crate) external_name: Option<String>,
    pub(crate) cluster_ip: Option<IpAddr>,
    pub(crate) ports: Box<[ServicePort]>,
    /// Timeout in seconds of `sessionAffinity: ClientIP`.
    pub(crate) client_ip_affinity: Option<u32>,
    /// Whether endpoints of the same zone are preferred.
    pub(crate) prefers_zone: bool,
    /// The `metadata.uid` of the object that controls it.
    #[serde(default)]
    pub(crate) owner: Uid,
    /// Where clients reach it from outside, or else, if another object controls it, from inside the cluster.
    #[serde(default)]
    pub(crate) addresses: Box<[Address]>,
    uid: Uid,
}

impl Address {
    /// `text` as an IP address if it is one, else as a host name.
    pub fn parse(text: &str) -> Self {
        let ip = text.parse().map(Self::Ip);
        ip.unwrap_or_else(|_| Self::Hostname(text.into()))
    }
}

/// Where clients reach a Service or Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Address {
    /// By IP address.
    Ip(IpAddr),
    /// By name.
    Hostname(Arc<str>),
}

impl Service {
    /// Its namespace and name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether it is of type `ExternalName`, and so has no endpoints.
    pub fn is_external(&self) -> bool {
        self.external_name.is_some()
    }

    /// Where clients reach it: from outside if it can be, else from inside the cluster.
    pub(crate) fn published_addresses(&self) -> Vec<Address> {
        if let (Some(name), true) = (&self.external_name, self.addresses.is_empty()) {
            return vec![Address::Hostname(name.as_str().into())];
        }
        if self.addresses.is_empty() {
            return self.cluster_ip.into_iter().map(Address::Ip).collect();
        }
        self.addresses.to_vec()
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
    #[serde(default)]
    pub(crate) protocol: Protocol,
    /// What it speaks, such as `kubernetes.io/h2c`.
    #[serde(default)]
    pub(crate) app_protocol: Option<Box<str>>,
}

/// The protocol of a port; those of SCTP are left out.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Protocol {
    /// TCP, also where nothing is said.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// `None` for a protocol that is not forwarded.
    pub(crate) fn of(field: Option<&str>) -> Option<Self> {
        match field {
            None | Some("TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some(_) => None,
        }
    }

    /// `TCP` or `UDP`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// `targetPort` of a Service's port.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TargetPort {
    Number(u16),
    Name(Box<str>),
}

impl Kept for Service {
    const KIND: Kind = Kind::Service;

    fn of(object: &Object) -> Option<&Arc<Self>> {
        match object {
            Object::Service(object) => Some(object),
            _ => None,
        }
    }
}

impl Common for Service {
    fn name(&self) -> Name {
        self.name.clone()
    }

    fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }
}

impl From<v1::Service> for Object {
    fn from(service: v1::Service) -> Self {
        let owner = controller(&service.metadata);
        let spec = service.spec.unwrap_or_default();
        let addresses = addresses(&spec, service.status.as_ref(), owner.is_some());
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
            owner,
            addresses,
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

fn controller(metadata: &ObjectMeta) -> Uid {
    let mut owners = metadata.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true))?;
    Some(owner.uid.as_str().into())
}

/// Those that a load balancer has and external ones. Cluster IPs are kept only if they are `used`: nearly all Services have
/// one.
fn addresses(
    spec: &v1::ServiceSpec,
    status: Option<&v1::ServiceStatus>,
    used: bool,
) -> Box<[Address]> {
    let parse = |text: &String| text.parse().ok().map(Address::Ip);
    let is = |kind: &str| spec.type_.as_deref() == Some(kind);
    let external = spec.external_ips.iter().flatten().filter_map(parse);
    let mut all: Vec<Address> = Vec::new();
    if is("LoadBalancer") {
        let balancer = status.and_then(|status| status.load_balancer.as_ref());
        let entries = balancer.and_then(|balancer| balancer.ingress.as_ref());
        for entry in entries.into_iter().flatten() {
            let name = entry.hostname.as_deref().filter(|name| !name.is_empty());
            let address = entry.ip.as_ref().and_then(parse);
            all.extend(address.or_else(|| name.map(|name| Address::Hostname(name.into()))));
        }
        all.extend(external);
    } else if is("NodePort") && spec.external_ips.iter().flatten().next().is_some() {
        all.extend(external);
    } else if used && !is("ExternalName") {
        let one = spec.cluster_ip.iter();
        let both = spec.cluster_ips.iter().flatten();
        all.extend(one.chain(both).filter_map(parse));
    }
    all.sort();
    all.dedup();
    all.into()
}

/// By annotation, including the older name, or by `spec.trafficDistribution`.
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

/// `None` for a number out of range, to which no connection is possible.
fn service_port(port: v1::ServicePort) -> Option<ServicePort> {
    Some(ServicePort {
        protocol: Protocol::of(port.protocol.as_deref())?,
        name: port.name.map(Into::into),
        app_protocol: port.app_protocol.map(Into::into),
        port: u16::try_from(port.port).ok()?,
        target: port.target_port.and_then(|target| match target {
            IntOrString::Int(number) => u16::try_from(number).ok().map(TargetPort::Number),
            IntOrString::String(name) => Some(TargetPort::Name(name.into())),
        }),
    })
}
