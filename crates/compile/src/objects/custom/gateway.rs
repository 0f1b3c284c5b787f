//! Gateways.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::{Deserialize, Serialize};

use super::{LocalRef, ObjectReference, Texts};

/// The spec of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewaySpec {
    /// Its GatewayClass.
    pub gateway_class_name: String,
    /// Its listeners.
    pub listeners: Vec<ListenerSpec>,
    /// Addresses that it must have.
    pub addresses: Vec<GatewayAddress>,
    /// Properties of objects that are made for it.
    pub infrastructure: Option<Infrastructure>,
    /// ListenerSets that may add listeners; default none.
    pub allowed_listeners: Option<AllowedListeners>,
    /// TLS of the whole Gateway.
    pub tls: Option<GatewayTls>,
}

/// A listener of a Gateway or ListenerSet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerSpec {
    /// Its name, unique in its object.
    pub name: String,
    /// The hostname that it serves; default all.
    pub hostname: Option<String>,
    /// The port, as clients see it.
    pub port: u16,
    /// `HTTP`, `HTTPS`, `TLS`, `TCP` or `UDP`.
    pub protocol: String,
    /// Its TLS.
    pub tls: Option<ListenerTls>,
    /// Routes that may be attached.
    pub allowed_routes: Option<AllowedRoutes>,
}

/// TLS of a listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerTls {
    /// `Terminate` (default) or `Passthrough`.
    pub mode: Option<String>,
    /// Secrets with certificates.
    pub certificate_refs: Vec<ObjectReference>,
    /// Options of the implementation.
    pub options: Texts,
}

/// Routes that may be attached to a listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllowedRoutes {
    /// Their namespaces; default the same.
    pub namespaces: Option<NamespaceSelection>,
    /// Their kinds; default those of the protocol.
    pub kinds: Vec<RouteKind>,
}

/// Namespaces of routes or ListenerSets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespaceSelection {
    /// `Same`, `All`, `Selector` or `None`.
    pub from: Option<String>,
    /// Labels of namespaces, for `Selector`.
    pub selector: Option<LabelSelector>,
}

/// A kind of routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteKind {
    /// Default that of the Gateway API.
    pub group: Option<String>,
    /// The kind.
    pub kind: String,
}

/// ListenerSets that may add listeners to a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllowedListeners {
    /// Their namespaces; default `None`.
    pub namespaces: Option<NamespaceSelection>,
}

/// An address that a Gateway must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayAddress {
    /// `IPAddress` (default), `Hostname` or a domain-prefixed type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The address; absent: one is assigned.
    pub value: Option<String>,
}

/// Properties of objects that are made for a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Infrastructure {
    /// Labels for them.
    pub labels: Texts,
    /// Annotations for them.
    pub annotations: Texts,
    /// An object with parameters.
    pub parameters_ref: Option<LocalRef>,
}

/// TLS of a whole Gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayTls {
    /// Towards clients.
    pub frontend: Option<FrontendTls>,
    /// Towards endpoints.
    pub backend: Option<BackendTls>,
}

impl GatewaySpec {
    /// The objects that it refers to.
    pub fn references(&self) -> impl Iterator<Item = &ObjectReference> {
        let tls = self.tls.iter();
        let of_tls = tls.flat_map(|tls| {
            let frontend = tls.frontend.iter().flat_map(|frontend| {
                let ports = frontend.per_port.iter().map(|port| &port.tls);
                std::iter::once(&frontend.default).chain(ports)
            });
            let validations = frontend.flat_map(|frontend| &frontend.validation);
            let authorities = validations.flat_map(|one| &one.ca_certificate_refs);
            let own = tls.backend.iter();
            authorities.chain(own.flat_map(|backend| &backend.client_certificate_ref))
        });
        let listeners = self.listeners.iter().flat_map(ListenerSpec::references);
        listeners.chain(of_tls)
    }
}

impl ListenerSpec {
    /// The objects that it refers to.
    pub fn references(&self) -> impl Iterator<Item = &ObjectReference> {
        self.tls.iter().flat_map(|tls| &tls.certificate_refs)
    }
}

/// The certificate that endpoints get.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendTls {
    /// The Secret with the certificate.
    pub client_certificate_ref: Option<ObjectReference>,
}

/// Validation of the certificates of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FrontendTls {
    /// For all ports without an entry of their own.
    pub default: FrontendValidation,
    /// By port.
    pub per_port: Vec<PortTls>,
}

impl FrontendTls {
    /// All authorities that it refers to.
    pub(crate) fn references(&self) -> impl Iterator<Item = &ObjectReference> {
        let ports = self.per_port.iter().map(|port| &port.tls);
        let validations = ports.chain([&self.default]).flat_map(|one| &one.validation);
        validations.flat_map(|validation| &validation.ca_certificate_refs)
    }
}

/// Validation of the certificates of clients on one port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortTls {
    /// The port of listeners.
    pub port: u16,
    /// Replaces the default.
    pub tls: FrontendValidation,
}

/// Whether and how certificates of clients are validated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrontendValidation {
    /// How; absent: clients are not asked for certificates.
    pub validation: Option<CertificateValidation>,
}

/// How certificates of clients are validated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateValidation {
    /// ConfigMaps with authorities, in `ca.crt`.
    pub ca_certificate_refs: Vec<ObjectReference>,
    /// `AllowValidOnly` (default) or `AllowInsecureFallback`.
    pub mode: Option<String>,
}
