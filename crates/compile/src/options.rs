//! Options from flags: which objects are served and how.

mod selector;

use std::sync::Arc;

use crate::Name;
use crate::build::{EndpointOptions, HttpListeners};
use crate::ingress::annotations::DEFAULT_PREFIX;
use crate::objects::Address;

pub use selector::{LabelSelector, SelectorError};

/// Options from flags. Defaults are those of ingress-nginx (behaviour.md 6).
#[derive(Clone, Debug)]
pub struct Options {
    /// Listeners for HTTP and HTTPS.
    pub listeners: HttpListeners,
    /// Which Ingresses are served.
    pub class: ClassSelection,
    /// The namespaces whose Ingresses are served; default all.
    pub namespaces: Namespaces,
    /// `--annotations-prefix`, without a slash; default `nginx.ingress.kubernetes.io`.
    pub annotations_prefix: Arc<str>,
    /// `--enable-annotation-validation`; default true.
    pub validate_annotations: bool,
    /// Refuse Ingresses with fragments of nginx configuration or paths of secrets in hosts, paths or names
    /// (`--deep-inspect`); default true.
    pub deep_inspect: bool,
    /// The ConfigMap with the settings (`--configmap`).
    pub settings: Option<Name>,
    /// The Secret with the certificate for hosts without one (`--default-ssl-certificate`).
    pub default_certificate: Option<Name>,
    /// The ConfigMap that maps TCP ports to Service ports (`--tcp-services-configmap`).
    pub tcp_services: Option<Name>,
    /// The ConfigMap that maps UDP ports to Service ports (`--udp-services-configmap`).
    pub udp_services: Option<Name>,
    /// Ports that the process uses besides those of `listeners`, and what for; the ConfigMaps cannot have them.
    pub reserved_ports: Vec<(u16, &'static str)>,
    /// The Service for unknown hosts and paths (`--default-backend-service`).
    pub default_backend: Option<Name>,
    /// Ignore Ingresses that have `spec.defaultBackend` (`--disable-catch-all`); default false.
    pub disable_catch_all: bool,
    /// Which endpoints of a Service are used.
    pub endpoints: EndpointOptions,
    /// Whether the annotation `ssl-passthrough` has an effect (`--enable-ssl-passthrough`); default false.
    pub ssl_passthrough: bool,
    /// Add a finding for each Ingress that is not served because of its class or namespace; default false. In a cluster these
    /// are the Ingresses of other controllers.
    pub explain_unserved: bool,
    /// Which objects of the Gateway API are served; default none.
    pub gateway: Option<GatewayOptions>,
    /// Path on which the catch-all responds with 200 without a backend (`--health-check-path`); default `/healthz`.
    pub health_path: Arc<str>,
}

/// The namespaces whose Ingresses are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Namespaces {
    /// All namespaces.
    #[default]
    All,
    /// One namespace (`--watch-namespace`).
    One(Arc<str>),
    /// The Namespace objects of the snapshot with these labels (`--watch-namespace-selector`).
    Selected(LabelSelector),
}

/// Which Ingresses are served (behaviour.md 2.9).
#[derive(Clone, Debug)]
pub struct ClassSelection {
    /// Value of the annotation `kubernetes.io/ingress.class` and, with `by_name`, name of the IngressClass; default `nginx`.
    pub ingress_class: Arc<str>,
    /// `spec.controller` of the IngressClass; default `k8s.io/ingress-nginx`.
    pub controller_class: Arc<str>,
    /// Also serve Ingresses without a class; default false.
    pub without_class: bool,
    /// Also accept an IngressClass by its name; default false.
    pub by_name: bool,
}

/// Which objects of the Gateway API are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayOptions {
    /// `spec.controllerName` of the GatewayClasses whose Gateways are served; default `headgate.dev/gateway-controller`.
    pub controller: Arc<str>,
    /// The ConfigMap with the local ports of Gateways ([`PortRecord`](crate::gateway::PortRecord)), to which their Services
    /// lead. Default none: their listeners have sockets on their own ports.
    pub ports: Option<Name>,
    /// For reports, which open no sockets: a listener whose port is in use has another local port, as with a record. Default
    /// false.
    pub simulated: bool,
    /// Where clients reach sockets of this process that no Service of a Gateway leads to. Default the addresses that these are
    /// bound to.
    pub published: Option<PublishedAddresses>,
    /// The Gateway whose HTTP and HTTPS listeners share the sockets of Ingresses (`--gateway-on-ingress-ports`). Where one of
    /// its routes matches a request it serves, else the Ingresses do. Default none.
    pub on_ingress_ports: Option<Name>,
}

/// Where clients reach this controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishedAddresses {
    /// At the addresses of a Service (`--publish-service`).
    OfService(Name),
    /// At these addresses (`--publish-status-address`).
    Fixed(Vec<Address>),
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            controller: "headgate.dev/gateway-controller".into(),
            ports: None,
            simulated: false,
            published: None,
            on_ingress_ports: None,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listeners: HttpListeners::default(),
            class: ClassSelection::default(),
            namespaces: Namespaces::All,
            annotations_prefix: DEFAULT_PREFIX.into(),
            validate_annotations: true,
            deep_inspect: true,
            settings: None,
            tcp_services: None,
            udp_services: None,
            reserved_ports: Vec::new(),
            default_certificate: None,
            default_backend: None,
            disable_catch_all: false,
            endpoints: EndpointOptions::default(),
            ssl_passthrough: false,
            explain_unserved: false,
            gateway: None,
            health_path: "/healthz".into(),
        }
    }
}

impl Default for ClassSelection {
    fn default() -> Self {
        Self {
            ingress_class: "nginx".into(),
            controller_class: "k8s.io/ingress-nginx".into(),
            without_class: false,
            by_name: false,
        }
    }
}
