//! The kinds of objects, with the properties that sources need, one row per kind.

use std::any::Any;

use k8s_openapi::api::{core::v1, discovery::v1 as discovery, networking::v1 as networking};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{Metadata, Resource};
use serde::de::DeserializeOwned;

use super::Object;
use super::custom::{
    BackendTlsPolicySpec, BackendTrafficPolicySpec, Delivered, GatewayClassSpec, GatewaySpec,
    GrpcRouteSpec, HeadgateParametersSpec, HeadgatePolicySpec, HttpRouteSpec, ListenerSetSpec,
    ReferenceGrantSpec, TcpRouteSpec, TlsRouteSpec, UdpRouteSpec,
};
use super::definition::DeliveredDefinition;

/// Kinds of objects that a table is compiled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named as in the Kubernetes API")]
pub enum Kind {
    Ingress,
    IngressClass,
    CustomResourceDefinition,
    GatewayClass,
    Gateway,
    ListenerSet,
    HttpRoute,
    GrpcRoute,
    TlsRoute,
    TcpRoute,
    UdpRoute,
    BackendTlsPolicy,
    BackendTrafficPolicy,
    HeadgatePolicy,
    ReferenceGrant,
    HeadgateParameters,
    Service,
    EndpointSlice,
    Endpoints,
    Secret,
    ConfigMap,
    Namespace,
}

/// The properties of a kind; the methods of [`Kind`] explain the columns.
#[derive(Debug)]
struct Row {
    name: &'static str,
    plural: &'static str,
    api_version: &'static str,
    versions: &'static [&'static str],
    former_group: Option<&'static str>,
    is_namespaced: bool,
    is_kept_by_name: bool,
    is_required: bool,
    is_watched: bool,
    refers: bool,
    is_custom: bool,
    is_confidential: bool,
    label_selector: Option<&'static str>,
    field_selector: Option<&'static str>,
}

/// Types of Secrets that no Ingress refers to: Helm's releases alone are often most of a cluster's Secrets.
const OTHER_SECRETS: &str = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token,\
                             type!=kubernetes.io/dockerconfigjson,type!=kubernetes.io/dockercfg,\
                             type!=kubernetes.io/ssh-auth,type!=bootstrap.kubernetes.io/token";

/// In the order of [`Kind`], with the defaults of [`row`].
static ROWS: [Row; Kind::ALL.len()] = [
    Row {
        former_group: Some("extensions"),
        is_required: true,
        refers: true,
        ..row("Ingress", "ingresses", "networking.k8s.io/v1")
    },
    Row {
        is_namespaced: false,
        refers: true,
        ..row("IngressClass", "ingressclasses", "networking.k8s.io/v1")
    },
    Row {
        is_namespaced: false,
        // Watched only for kinds of the Gateway API.
        is_watched: false,
        ..row(
            "CustomResourceDefinition",
            "customresourcedefinitions",
            "apiextensions.k8s.io/v1",
        )
    },
    // Fields that the older versions have are the same in v1, unless a version is left out here.
    Row {
        is_namespaced: false,
        ..custom("GatewayClass", "gatewayclasses", &["v1", "v1beta1"])
    },
    Row {
        refers: true,
        ..custom("Gateway", "gateways", &["v1", "v1beta1"])
    },
    Row {
        refers: true,
        ..custom("ListenerSet", "listenersets", &["v1"])
    },
    custom("HTTPRoute", "httproutes", &["v1", "v1beta1"]),
    custom("GRPCRoute", "grpcroutes", &["v1", "v1alpha2"]),
    custom("TLSRoute", "tlsroutes", &["v1", "v1alpha3", "v1alpha2"]),
    custom("TCPRoute", "tcproutes", &["v1", "v1alpha2"]),
    custom("UDPRoute", "udproutes", &["v1", "v1alpha2"]),
    Row {
        refers: true,
        // In v1alpha2 a policy has one target.
        ..custom(
            "BackendTLSPolicy",
            "backendtlspolicies",
            &["v1", "v1alpha3"],
        )
    },
    Row {
        api_version: "gateway.networking.x-k8s.io/v1alpha1",
        ..custom(
            "XBackendTrafficPolicy",
            "xbackendtrafficpolicies",
            &["v1alpha1"],
        )
    },
    Row {
        refers: true,
        is_watched: false,
        is_custom: true,
        versions: &["v1alpha1"],
        ..row(
            "HeadgatePolicy",
            "headgatepolicies",
            "headgate.dev/v1alpha1",
        )
    },
    custom(
        "ReferenceGrant",
        "referencegrants",
        &["v1", "v1beta1", "v1alpha2"],
    ),
    Row {
        api_version: "headgate.dev/v1alpha1",
        ..custom("HeadgateParameters", "headgateparameters", &["v1alpha1"])
    },
    Row {
        is_required: true,
        ..row("Service", "services", "v1")
    },
    Row {
        is_required: true,
        // Slices without it belong to no Service.
        label_selector: Some("kubernetes.io/service-name"),
        ..row("EndpointSlice", "endpointslices", "discovery.k8s.io/v1")
    },
    Row {
        // The API server mirrors them to slices.
        is_watched: false,
        ..row("Endpoints", "endpoints", "v1")
    },
    Row {
        is_kept_by_name: true,
        is_confidential: true,
        field_selector: Some(OTHER_SECRETS),
        ..row("Secret", "secrets", "v1")
    },
    Row {
        is_kept_by_name: true,
        // Helm 2's releases.
        label_selector: Some("OWNER!=TILLER"),
        ..row("ConfigMap", "configmaps", "v1")
    },
    Row {
        is_namespaced: false,
        // Watched only with a namespace selector, or for the Gateway API.
        is_watched: false,
        ..row("Namespace", "namespaces", "v1")
    },
];

/// A kind of the Gateway API, or one for it, whose objects are watched while its CRD is installed.
const fn custom(
    name: &'static str,
    plural: &'static str,
    versions: &'static [&'static str],
) -> Row {
    Row {
        versions,
        is_watched: false,
        is_custom: true,
        ..row(name, plural, "gateway.networking.k8s.io/v1")
    }
}

/// An optional namespaced kind, all objects of which are watched and kept.
const fn row(name: &'static str, plural: &'static str, api_version: &'static str) -> Row {
    Row {
        name,
        plural,
        api_version,
        versions: &[],
        former_group: None,
        is_namespaced: true,
        is_kept_by_name: false,
        is_required: false,
        is_watched: true,
        refers: false,
        is_custom: false,
        is_confidential: false,
        label_selector: None,
        field_selector: None,
    }
}

impl Kind {
    /// All kinds, in order. A kind comes before the kinds that its objects refer to.
    pub const ALL: [Self; 22] = [
        Self::Ingress,
        Self::IngressClass,
        Self::CustomResourceDefinition,
        Self::GatewayClass,
        Self::Gateway,
        Self::ListenerSet,
        Self::HttpRoute,
        Self::GrpcRoute,
        Self::TlsRoute,
        Self::TcpRoute,
        Self::UdpRoute,
        Self::BackendTlsPolicy,
        Self::BackendTrafficPolicy,
        Self::HeadgatePolicy,
        Self::ReferenceGrant,
        Self::HeadgateParameters,
        Self::Service,
        Self::EndpointSlice,
        Self::Endpoints,
        Self::Secret,
        Self::ConfigMap,
        Self::Namespace,
    ];

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// The `kind` of a manifest.
    pub fn as_str(self) -> &'static str {
        self.row().name
    }

    /// The resource name in paths of the API, e.g. `ingresses`.
    pub fn plural(self) -> &'static str {
        self.row().plural
    }

    /// The `apiVersion` of a manifest: group and version, or only the version for the core group.
    pub fn api_version(self) -> &'static str {
        self.row().api_version
    }

    /// The API group; `""` is the core group.
    pub fn group(self) -> &'static str {
        let split = self.api_version().split_once('/');
        split.map_or("", |(group, _)| group)
    }

    /// The versions in which custom resources of this kind can be read, the preferred one first; of other kinds none.
    pub fn versions(self) -> &'static [&'static str] {
        self.row().versions
    }

    /// The name of the CustomResourceDefinition of a kind that [is custom](Self::is_custom).
    pub fn definition(self) -> String {
        format!("{}.{}", self.plural(), self.group())
    }

    /// Whether Kubernetes serves or once served this kind in an API group; `""` is the core group.
    pub fn is_of_group(self, group: &str) -> bool {
        group == self.group() || self.row().former_group == Some(group)
    }

    /// Whether objects of this kind are namespaced.
    pub fn is_namespaced(self) -> bool {
        self.row().is_namespaced
    }

    /// Whether a source keeps only the objects that other objects or flags refer to.
    pub fn is_kept_by_name(self) -> bool {
        self.row().is_kept_by_name
    }

    /// Whether serving starts only after objects of this kind were listed once.
    pub fn is_required(self) -> bool {
        self.row().is_required
    }

    /// Whether objects of this kind are watched without a flag that enables it.
    pub fn is_watched(self) -> bool {
        self.row().is_watched
    }

    /// Whether objects of this kind refer to objects of kinds that are [kept by name](Self::is_kept_by_name).
    pub fn refers(self) -> bool {
        self.row().refers
    }

    /// Whether its objects are custom resources, so that a cluster may not have the kind.
    pub fn is_custom(self) -> bool {
        self.row().is_custom
    }

    /// Whether messages must not quote values of objects of this kind.
    pub fn is_confidential(self) -> bool {
        self.row().is_confidential
    }

    /// Label selector that excludes objects which are never used.
    pub fn label_selector(self) -> Option<&'static str> {
        self.row().label_selector
    }

    /// Field selector that excludes objects which are never used.
    pub fn field_selector(self) -> Option<&'static str> {
        self.row().field_selector
    }

    /// Calls `reader` with the Kubernetes type of this kind.
    pub fn read<R: KindReader>(self, reader: R) -> R::Output {
        match self {
            Self::Ingress => reader.read::<networking::Ingress>(),
            Self::IngressClass => reader.read::<networking::IngressClass>(),
            Self::CustomResourceDefinition => reader.read::<DeliveredDefinition>(),
            Self::GatewayClass => reader.read::<Delivered<GatewayClassSpec>>(),
            Self::Gateway => reader.read::<Delivered<GatewaySpec>>(),
            Self::ListenerSet => reader.read::<Delivered<ListenerSetSpec>>(),
            Self::HttpRoute => reader.read::<Delivered<HttpRouteSpec>>(),
            Self::GrpcRoute => reader.read::<Delivered<GrpcRouteSpec>>(),
            Self::TlsRoute => reader.read::<Delivered<TlsRouteSpec>>(),
            Self::TcpRoute => reader.read::<Delivered<TcpRouteSpec>>(),
            Self::UdpRoute => reader.read::<Delivered<UdpRouteSpec>>(),
            Self::BackendTlsPolicy => reader.read::<Delivered<BackendTlsPolicySpec>>(),
            Self::BackendTrafficPolicy => reader.read::<Delivered<BackendTrafficPolicySpec>>(),
            Self::HeadgatePolicy => reader.read::<Delivered<HeadgatePolicySpec>>(),
            Self::ReferenceGrant => reader.read::<Delivered<ReferenceGrantSpec>>(),
            Self::HeadgateParameters => reader.read::<Delivered<HeadgateParametersSpec>>(),
            Self::Service => reader.read::<v1::Service>(),
            Self::EndpointSlice => reader.read::<discovery::EndpointSlice>(),
            Self::Endpoints => reader.read::<v1::Endpoints>(),
            Self::Secret => reader.read::<v1::Secret>(),
            Self::ConfigMap => reader.read::<v1::ConfigMap>(),
            Self::Namespace => reader.read::<v1::Namespace>(),
        }
    }
}

/// A type of the Kubernetes API with metadata.
pub trait ApiObject:
    Resource + Metadata<Ty = ObjectMeta> + DeserializeOwned + Into<Object> + Any
{
}

impl<K> ApiObject for K where
    K: Resource + Metadata<Ty = ObjectMeta> + DeserializeOwned + Into<Object> + Any
{
}

/// Reads an object of a kind known at run time as the API's type; see [`Kind::read`].
pub trait KindReader {
    /// Result of reading.
    type Output;

    /// Reads an object of type `K`.
    fn read<K: ApiObject>(self) -> Self::Output;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_match_the_api() {
        /// Kind, plural and version.
        struct Declared;

        impl KindReader for Declared {
            type Output = [&'static str; 3];

            fn read<K: ApiObject>(self) -> Self::Output {
                [K::KIND, K::URL_PATH_SEGMENT, K::API_VERSION]
            }
        }

        for kind in Kind::ALL {
            let row = [kind.as_str(), kind.plural(), kind.api_version()];
            assert_eq!(row, kind.read(Declared));
        }
    }

    #[test]
    fn groups_are_those_of_kubernetes() {
        for group in ["networking.k8s.io", "extensions"] {
            assert!(Kind::Ingress.is_of_group(group), "{group}");
        }
        assert!(Kind::Service.is_of_group(""));
        assert!(!Kind::Service.is_of_group("serving.knative.dev"));
        assert!(!Kind::Ingress.is_of_group("config.openshift.io"));
    }
}
