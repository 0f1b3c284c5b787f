//! A Service port as a route names it, and how its endpoints are spoken to.

use std::fmt;
use std::sync::Arc;

use headgate_table::{BackendProtocol, UpstreamKey, UpstreamTls};

use crate::Name;

/// Port of an upstream that stands for the first port of its Service.
pub(crate) const FIRST_PORT: &str = "";

/// A port, number or name, of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// The Service.
    pub service: Name,
    /// Number or name; empty: its first port.
    pub port: Arc<str>,
    id: ServicePortId,
}

/// `namespace/service/port`. Slashes cannot occur in the parts, so no two Service ports share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ServicePortId(Arc<str>);

/// How the endpoints of an upstream are spoken to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transport {
    protocol: BackendProtocol,
    tls: Option<Arc<UpstreamTls>>,
}

impl Transport {
    /// By `protocol` and, where that is over TLS, with `tls`; `None`: no verification and no SNI. The default is HTTP/1.1 in
    /// plain text.
    pub fn new(protocol: BackendProtocol, tls: Option<Arc<UpstreamTls>>) -> Self {
        let tls = tls.filter(|_| protocol.tls(true));
        Self { protocol, tls }
    }

    /// The protocol.
    pub fn protocol(&self) -> BackendProtocol {
        self.protocol
    }

    /// TLS towards the endpoints.
    pub fn tls(&self) -> Option<&Arc<UpstreamTls>> {
        self.tls.as_ref()
    }
}

impl ServicePort {
    /// `port` (number or name; empty for the first one) of `service`.
    pub fn new(service: Name, port: Arc<str>) -> Self {
        let id = ServicePortId::new(&service.namespace, &service.name, &port);
        Self { service, port, id }
    }

    /// With its id, made before.
    pub(crate) fn with_id(service: Name, port: Arc<str>, id: ServicePortId) -> Self {
        Self { service, port, id }
    }

    /// Its id.
    pub(crate) fn id(&self) -> &ServicePortId {
        &self.id
    }
}

impl ServicePortId {
    pub(crate) fn new(namespace: &str, service: &str, port: &str) -> Self {
        Self(format!("{namespace}/{service}/{port}").into())
    }

    pub(crate) fn text(&self) -> Arc<str> {
        self.0.clone()
    }

    /// The key of the upstream that speaks to this port by `transport`. Everything that makes one connection different
    /// from another is in it.
    pub(crate) fn upstream(&self, transport: &Transport) -> UpstreamKey {
        let protocol = match transport.protocol {
            BackendProtocol::Http => return UpstreamKey::new(self.0.clone()),
            BackendProtocol::Https => "https",
            BackendProtocol::AutoHttp => "auto",
            BackendProtocol::Grpc => "grpc",
            BackendProtocol::Grpcs => "grpcs",
        };
        let tls = transport.tls.as_ref().map_or("", |tls| &tls.id);
        UpstreamKey::new(format!("{} {protocol} {tls}", self.0).trim_end())
    }
}

impl fmt::Display for ServicePortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
