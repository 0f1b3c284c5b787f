//! Kubernetes objects reduced to the fields that a table is compiled from.
//!
//! Sources deliver whole objects; a cluster has hundreds of thousands of them, most of whose fields are never read. Converting
//! them on arrival keeps memory small, and makes two versions of an object equal if they differ only in unused fields. Values
//! stay as written: compilation interprets them.

mod backends;
mod class;
mod config_map;
pub mod custom;
mod definition;
mod endpoints;
mod ingress;
mod kind;
mod name;
mod namespace;
mod secret;
mod service;
mod shared;

use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use self::custom::{
    BackendTlsPolicySpec, BackendTrafficPolicySpec, Custom, GatewayClassSpec, GatewaySpec,
    GrpcRouteSpec, HeadgateParametersSpec, HeadgatePolicySpec, HttpRouteSpec, ListenerSetSpec,
    ReferenceGrantSpec, TcpRouteSpec, TlsRouteSpec, UdpRouteSpec,
};
pub(crate) use backends::backend_services;
pub use class::IngressClass;
pub use config_map::ConfigMap;
pub use definition::{Definition, DeliveredDefinition};
pub(crate) use endpoints::{EndpointPort, EndpointState, Zones};
pub use endpoints::{EndpointSlice, Endpoints};
pub use kind::{ApiObject, Kind, KindReader};
pub use name::{Name, ObjectRef};
pub use namespace::Namespace;
pub use secret::Secret;
use secret::SecretEntry;
pub use service::{Address, Protocol, Service};
pub(crate) use service::{ServicePort, TargetPort};
pub use shared::SharedData;

/// An object of one of the kinds that a table is compiled from. Convert a Kubernetes type with `Object::from`; cheap to clone.
/// Serialising writes all kept fields, private keys included, so store the result accordingly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the Kubernetes API")]
pub enum Object {
    Ingress(Arc<Ingress>),
    IngressClass(Arc<IngressClass>),
    CustomResourceDefinition(Arc<Definition>),
    GatewayClass(Arc<Custom<GatewayClassSpec>>),
    Gateway(Arc<Custom<GatewaySpec>>),
    ListenerSet(Arc<Custom<ListenerSetSpec>>),
    HttpRoute(Arc<Custom<HttpRouteSpec>>),
    GrpcRoute(Arc<Custom<GrpcRouteSpec>>),
    TlsRoute(Arc<Custom<TlsRouteSpec>>),
    TcpRoute(Arc<Custom<TcpRouteSpec>>),
    UdpRoute(Arc<Custom<UdpRouteSpec>>),
    BackendTlsPolicy(Arc<Custom<BackendTlsPolicySpec>>),
    BackendTrafficPolicy(Arc<Custom<BackendTrafficPolicySpec>>),
    HeadgatePolicy(Arc<Custom<HeadgatePolicySpec>>),
    ReferenceGrant(Arc<Custom<ReferenceGrantSpec>>),
    HeadgateParameters(Arc<Custom<HeadgateParametersSpec>>),
    Service(Arc<Service>),
    EndpointSlice(Arc<EndpointSlice>),
    Endpoints(Arc<Endpoints>),
    Secret(Arc<Secret>),
    ConfigMap(Arc<ConfigMap>),
    Namespace(Arc<Namespace>),
}

/// The kept fields of the objects of one kind.
pub trait Kept {
    /// Their kind.
    const KIND: Kind;

    /// The object, if it is of this kind.
    fn of(object: &Object) -> Option<&Arc<Self>>;
}

/// Metadata of all kinds.
trait Common {
    /// Namespace and name.
    fn name(&self) -> Name;

    /// `metadata.uid`, where it is kept.
    fn uid(&self) -> Option<&str> {
        None
    }

    /// The object that this one is a part of: dependents of that object also depend on this one.
    fn part_of(&self) -> Option<ObjectRef> {
        None
    }
}

impl Object {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Ingress(_) => Kind::Ingress,
            Self::IngressClass(_) => Kind::IngressClass,
            Self::CustomResourceDefinition(_) => Kind::CustomResourceDefinition,
            Self::GatewayClass(_) => Kind::GatewayClass,
            Self::Gateway(_) => Kind::Gateway,
            Self::ListenerSet(_) => Kind::ListenerSet,
            Self::HttpRoute(_) => Kind::HttpRoute,
            Self::GrpcRoute(_) => Kind::GrpcRoute,
            Self::TlsRoute(_) => Kind::TlsRoute,
            Self::TcpRoute(_) => Kind::TcpRoute,
            Self::UdpRoute(_) => Kind::UdpRoute,
            Self::BackendTlsPolicy(_) => Kind::BackendTlsPolicy,
            Self::BackendTrafficPolicy(_) => Kind::BackendTrafficPolicy,
            Self::HeadgatePolicy(_) => Kind::HeadgatePolicy,
            Self::ReferenceGrant(_) => Kind::ReferenceGrant,
            Self::HeadgateParameters(_) => Kind::HeadgateParameters,
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Endpoints(_) => Kind::Endpoints,
            Self::Secret(_) => Kind::Secret,
            Self::ConfigMap(_) => Kind::ConfigMap,
            Self::Namespace(_) => Kind::Namespace,
        }
    }

    /// Its kind and name.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef {
            kind: self.kind(),
            name: self.name(),
        }
    }

    /// Its namespace and name.
    pub fn name(&self) -> Name {
        self.common().name()
    }

    /// Its `metadata.uid`, which is kept for Ingresses, Services, Secrets, ConfigMaps and custom resources.
    pub fn uid(&self) -> Option<&str> {
        self.common().uid()
    }

    /// The object that it is a part of: the Service of an EndpointSlice.
    pub fn part_of(&self) -> Option<ObjectRef> {
        self.common().part_of()
    }

    fn common(&self) -> &dyn Common {
        match self {
            Self::Ingress(object) => &**object,
            Self::IngressClass(object) => &**object,
            Self::CustomResourceDefinition(object) => &**object,
            Self::GatewayClass(object) => &**object,
            Self::Gateway(object) => &**object,
            Self::ListenerSet(object) => &**object,
            Self::HttpRoute(object) => &**object,
            Self::GrpcRoute(object) => &**object,
            Self::TlsRoute(object) => &**object,
            Self::TcpRoute(object) => &**object,
            Self::UdpRoute(object) => &**object,
            Self::BackendTlsPolicy(object) => &**object,
            Self::BackendTrafficPolicy(object) => &**object,
            Self::HeadgatePolicy(object) => &**object,
            Self::ReferenceGrant(object) => &**object,
            Self::HeadgateParameters(object) => &**object,
            Self::Service(object) => &**object,
            Self::EndpointSlice(object) => &**object,
            Self::Endpoints(object) => &**object,
            Self::Secret(object) => &**object,
            Self::ConfigMap(object) => &**object,
            Self::Namespace(object) => &**object,
        }
    }
}

/// `metadata.uid`, for Events about the object.
type Uid = Option<Box<str>>;

fn uid(metadata: &ObjectMeta) -> Uid {
    metadata.uid.as_deref().map(Into::into)
}
