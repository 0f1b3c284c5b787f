//! Custom resources: the objects of the Gateway API (gateway-api.md 1.1) and HeadgatePolicies, as they are written.
//!
//! The types have only the fields that are read, and enumerations stay text: their versions come and go with the CRDs of a
//! cluster, and a value of a later version must be refused where it is used, not make the whole object unreadable.

mod gateway;
mod gateway_class;
mod grpc_route;
mod headgate_policy;
mod http_route;
mod listener_set;
mod parameters;
mod policy;
mod reference;
mod reference_grant;
mod stream_route;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, Metadata, NamespaceResourceScope, Resource};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Common, Kept, Kind, Name, Object, Uid, uid};

pub use gateway::{
    AllowedListeners, AllowedRoutes, CertificateValidation, FrontendTls, FrontendValidation,
    GatewayAddress, GatewaySpec, GatewayTls, Infrastructure, ListenerSpec, ListenerTls,
    NamespaceSelection, PortTls, RouteKind,
};
pub use gateway_class::GatewayClassSpec;
pub use grpc_route::{
    GrpcBackendRef, GrpcFilter, GrpcMatch, GrpcMethodMatch, GrpcRouteSpec, GrpcRule,
};
pub use headgate_policy::HeadgatePolicySpec;
pub use http_route::{
    CorsFilter, ExternalAuthFilter, ExternalAuthGrpc, ExternalAuthHttp, ForwardBody, Fraction,
    HeaderFilter, HeaderValue, HttpBackendRef, HttpFilter, HttpMatch, HttpPathMatch, HttpRouteSpec,
    HttpRule, MirrorFilter, PathModifier, RedirectFilter, RetrySpec, RewriteFilter,
    SessionPersistence, Timeouts, ValueMatch,
};
pub use listener_set::ListenerSetSpec;
pub use parameters::{HeadgateParametersSpec, ServiceParameters};
pub use policy::{
    BackendTlsPolicySpec, BackendTrafficPolicySpec, PolicyTargetRef, RequestRate, RetryBudget,
    RetryConstraint, SubjectAltName, TlsValidation,
};
pub use reference::{BackendRef, LocalRef, NamespacedRef, ObjectReference, ParentRef};
pub use reference_grant::{GrantFrom, GrantTo, ReferenceGrantSpec};
pub use stream_route::{StreamRouteSpec, StreamRule, TlsRouteSpec};

/// A custom resource: metadata that is read, and the spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Custom<S> {
    /// Namespace and name.
    pub name: Name,
    pub(crate) uid: Uid,
    /// `metadata.generation`; statuses say which one they are about.
    pub generation: i64,
    /// `metadata.creationTimestamp`, which decides conflicts.
    pub created: Option<Timestamp>,
    /// The spec.
    pub spec: S,
}

/// The spec of a kind of custom resource.
pub trait Spec: DeserializeOwned + Default {
    /// The kind.
    const KIND: Kind;
    /// The `kind` of a manifest.
    const NAME: &'static str;
    /// The API group, its version, and both as in `apiVersion`.
    const API: Api;
    /// The resource name in paths of the API.
    const PLURAL: &'static str;
    /// Whether objects are namespaced.
    type Scope: k8s_openapi::ResourceScope;

    /// The object with this spec.
    fn object(custom: Arc<Custom<Self>>) -> Object;

    /// The custom resource, if `object` is of this kind.
    fn of(object: &Object) -> Option<&Arc<Custom<Self>>>;
}

/// A custom resource as the API server delivers it.
#[derive(Debug, Deserialize)]
pub struct Delivered<S> {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default = "S::default", bound(deserialize = "S: Spec"))]
    spec: S,
}

/// The group of the Gateway API.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

/// The group of Headgate's own kinds.
pub const OWN_GROUP: &str = "headgate.dev";

/// A version of an API group.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    /// The group.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
    /// `group/version`.
    pub text: &'static str,
}

/// The Gateway API.
const GATEWAY: Api = Api {
    group: GATEWAY_GROUP,
    version: "v1",
    text: "gateway.networking.k8s.io/v1",
};

/// Kinds of the Gateway API that are experimental as a whole.
const EXPERIMENTAL: Api = Api {
    group: "gateway.networking.x-k8s.io",
    version: "v1alpha1",
    text: "gateway.networking.x-k8s.io/v1alpha1",
};

/// Headgate's own kinds.
const OWN: Api = Api {
    group: OWN_GROUP,
    version: "v1alpha1",
    text: "headgate.dev/v1alpha1",
};

impl<S: Spec> Resource for Delivered<S> {
    const API_VERSION: &'static str = S::API.text;
    const GROUP: &'static str = S::API.group;
    const KIND: &'static str = S::NAME;
    const VERSION: &'static str = S::API.version;
    const URL_PATH_SEGMENT: &'static str = S::PLURAL;
    type Scope = S::Scope;
}

impl<S: Spec> Metadata for Delivered<S> {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<S: Spec> From<Delivered<S>> for Object {
    fn from(delivered: Delivered<S>) -> Self {
        let Delivered { metadata, spec } = delivered;
        S::object(Arc::new(Custom {
            name: Name::of(&metadata),
            uid: uid(&metadata),
            generation: metadata.generation.unwrap_or_default(),
            created: metadata.creation_timestamp.map(|time| time.0),
            spec,
        }))
    }
}

impl<S> Common for Custom<S> {
    fn name(&self) -> Name {
        self.name.clone()
    }

    fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }
}

impl<S: Spec> Kept for Custom<S> {
    const KIND: Kind = S::KIND;

    fn of(object: &Object) -> Option<&Arc<Self>> {
        S::of(object)
    }
}

/// Declares the kinds of custom resources: API, spec, kind, name, plural and scope.
macro_rules! kinds {
    ($($api:ident $spec:ident $kind:ident $name:literal $plural:literal $scope:ident;)*) => {$(
        impl Spec for $spec {
            const KIND: Kind = Kind::$kind;
            const NAME: &'static str = $name;
            const API: Api = $api;
            const PLURAL: &'static str = $plural;
            type Scope = $scope;

            fn object(custom: Arc<Custom<Self>>) -> Object {
                Object::$kind(custom)
            }

            fn of(object: &Object) -> Option<&Arc<Custom<Self>>> {
                match object {
                    Object::$kind(custom) => Some(custom),
                    _ => None,
                }
            }
        }
    )*};
}

kinds! {
    GATEWAY GatewayClassSpec GatewayClass "GatewayClass" "gatewayclasses" ClusterResourceScope;
    GATEWAY GatewaySpec Gateway "Gateway" "gateways" NamespaceResourceScope;
    GATEWAY ListenerSetSpec ListenerSet "ListenerSet" "listenersets" NamespaceResourceScope;
    GATEWAY HttpRouteSpec HttpRoute "HTTPRoute" "httproutes" NamespaceResourceScope;
    GATEWAY GrpcRouteSpec GrpcRoute "GRPCRoute" "grpcroutes" NamespaceResourceScope;
    GATEWAY TlsRouteSpec TlsRoute "TLSRoute" "tlsroutes" NamespaceResourceScope;
    GATEWAY TcpRouteSpec TcpRoute "TCPRoute" "tcproutes" NamespaceResourceScope;
    GATEWAY UdpRouteSpec UdpRoute "UDPRoute" "udproutes" NamespaceResourceScope;
    GATEWAY ReferenceGrantSpec ReferenceGrant "ReferenceGrant" "referencegrants" NamespaceResourceScope;
    GATEWAY BackendTlsPolicySpec BackendTlsPolicy "BackendTLSPolicy" "backendtlspolicies" NamespaceResourceScope;
    EXPERIMENTAL BackendTrafficPolicySpec BackendTrafficPolicy "XBackendTrafficPolicy" "xbackendtrafficpolicies" NamespaceResourceScope;
    OWN HeadgateParametersSpec HeadgateParameters "HeadgateParameters" "headgateparameters" NamespaceResourceScope;
    OWN HeadgatePolicySpec HeadgatePolicy "HeadgatePolicy" "headgatepolicies" NamespaceResourceScope;
}

/// The spec of a TCPRoute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TcpRouteSpec(
    /// The same as of a UDPRoute.
    pub StreamRouteSpec,
);

/// The spec of a UDPRoute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UdpRouteSpec(
    /// The same as of a TCPRoute.
    pub StreamRouteSpec,
);

/// Texts by name, such as labels.
pub(crate) type Texts = BTreeMap<String, String>;
