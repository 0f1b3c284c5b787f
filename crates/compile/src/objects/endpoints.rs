//! EndpointSlices, and the older Endpoints objects.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1;
use k8s_openapi::api::discovery::v1 as discovery;
use serde::{Deserialize, Serialize};

use super::{Common, Kept, Kind, Name, Object, ObjectRef, Protocol};

/// The kept fields of an EndpointSlice.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSlice {
    pub(crate) name: Name,
    /// The Service that it belongs to, by its label.
    pub(crate) service: Option<Name>,
    pub(crate) ports: Box<[EndpointPort]>,
    pub(crate) endpoints: Box<[Endpoint]>,
    /// The zones of each endpoint's hints; empty if no endpoint has a hint.
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

/// The kept fields of an Endpoints object.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    pub(crate) name: Name,
    pub(crate) subsets: Box<[Subset]>,
}

/// Addresses and their common ports.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subset {
    pub(crate) ports: Box<[EndpointPort]>,
    pub(crate) addresses: Box<[IpAddr]>,
}

/// A port of endpoints.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndpointPort {
    pub(crate) name: Box<str>,
    pub(crate) port: u16,
    #[serde(default)]
    pub(crate) protocol: Protocol,
}

/// An address of a slice with its conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) address: IpAddr,
    pub(crate) state: EndpointState,
}

/// Whether requests may be sent to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EndpointState {
    /// Ready; also if the condition is not set.
    Ready,
    /// Terminating and still serving.
    Terminating,
    /// Not ready.
    Down,
}

impl Kept for EndpointSlice {
    const KIND: Kind = Kind::EndpointSlice;

    fn of(object: &Object) -> Option<&Arc<Self>> {
        match object {
            Object::EndpointSlice(object) => Some(object),
            _ => None,
        }
    }
}

impl Common for EndpointSlice {
    fn name(&self) -> Name {
        self.name.clone()
    }

    fn part_of(&self) -> Option<ObjectRef> {
        self.service.clone().map(|name| ObjectRef {
            kind: Kind::Service,
            name,
        })
    }
}

impl From<discovery::EndpointSlice> for Object {
    fn from(slice: discovery::EndpointSlice) -> Self {
        let name = Name::of(&slice.metadata);
        let labels = slice.metadata.labels.as_ref();
        let service = labels.and_then(|labels| labels.get("kubernetes.io/service-name"));
        let service = service.map(|service| Name {
            namespace: name.namespace.clone(),
            name: service.as_str().into(),
        });
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
    let protocol = Protocol::of(protocol.as_deref())?;
    let port = u16::try_from(port?).ok()?;
    Some(EndpointPort {
        protocol,
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

impl Kept for Endpoints {
    const KIND: Kind = Kind::Endpoints;

    fn of(object: &Object) -> Option<&Arc<Self>> {
        match object {
            Object::Endpoints(object) => Some(object),
            _ => None,
        }
    }
}

impl Common for Endpoints {
    fn name(&self) -> Name {
        self.name.clone()
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
