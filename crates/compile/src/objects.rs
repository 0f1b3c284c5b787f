//! Kubernetes objects cut down to what a table is made from.
//!
//! Sources bring in whole objects; a cluster has hundreds of thousands of them, most of whose fields nobody here reads.
//! Converting at the border keeps memory small, and makes two versions of an object that differ only in what does not
//! matter equal. Values stay as their author wrote them: what they mean is decided by compiling.

mod class;
mod config_map;
mod endpoints;
mod ingress;
mod kind;
mod name;
mod namespace;
mod secret;
mod service;

use std::sync::Arc;

use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

pub use class::IngressClass;
pub use config_map::ConfigMap;
pub(crate) use endpoints::{EndpointPort, EndpointState, Zones};
pub use endpoints::{EndpointSlice, Endpoints};
pub use kind::Kind;
pub use name::{Name, ObjectRef};
pub use namespace::Namespace;
pub use secret::Secret;
pub use service::Service;
pub(crate) use service::{ServicePort, TargetPort};

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

/// `metadata.uid`, for Events about the object.
type Uid = Option<Box<str>>;

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

fn uid(metadata: &ObjectMeta) -> Uid {
    metadata.uid.as_deref().map(Into::into)
}
