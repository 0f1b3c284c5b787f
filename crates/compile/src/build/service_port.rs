//! A Service port as in a route, and the protocol and TLS settings of its endpoints.

use std::fmt;
use std::sync::Arc;

use headgate_table::{BackendProtocol, UpstreamKey, UpstreamTls};

use crate::{Name, Protocol};

/// Means the first port of a Service.
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

/// `namespace/service/port`. The parts cannot contain slashes, so the id is unique.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ServicePortId(Arc<str>);

/// The protocol and TLS settings of the endpoints of an upstream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transport {
    protocol: BackendProtocol,
    tls: Option<Arc<UpstreamTls>>,
    stream: Option<Protocol>,
}

impl Transport {
    /// `tls` is ignored unless `protocol` can be over TLS; `None`: no verification and no SNI. The default is HTTP/1.1 in plain
    /// text.
    pub fn new(protocol: BackendProtocol, tls: Option<Arc<UpstreamTls>>) -> Self {
        let tls = tls.filter(|_| protocol.tls(true));
        Self {
            protocol,
            tls,
            stream: None,
        }
    }

    /// Bytes that are forwarded as they are, to a port of this protocol that has exactly this number or name.
    pub fn stream(protocol: Protocol) -> Self {
        Self {
            stream: Some(protocol),
            ..Self::default()
        }
    }

    /// The protocol of the port, if bytes are forwarded as they are.
    pub fn stream_protocol(&self) -> Option<Protocol> {
        self.stream
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

    /// With an id that exists already.
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

    /// The key of the upstream for this port and `transport`. It contains everything by which connections differ.
    pub(crate) fn upstream(&self, transport: &Transport) -> UpstreamKey {
        if let Some(protocol) = transport.stream {
            let protocol = protocol.as_str().to_ascii_lowercase();
            return UpstreamKey::new(format!("{} {protocol}", self.0));
        }
        let protocol = match transport.protocol {
            BackendProtocol::Http => return UpstreamKey::new(self.0.clone()),
            BackendProtocol::Https => "https",
            BackendProtocol::AutoHttp => "auto",
            BackendProtocol::Grpc => "grpc",
            BackendProtocol::Grpcs => "grpcs",
            BackendProtocol::FastCgi => "fcgi",
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
