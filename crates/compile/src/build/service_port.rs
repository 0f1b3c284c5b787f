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
    /// The port has exactly this number or name; otherwise it may also be the `targetPort`.
    pub exact: bool,
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
    pool: Option<Arc<str>>,
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
            pool: None,
        }
    }

    /// As an upstream of its own, apart from those of the same Service port that are in other pools: it is balanced by itself,
    /// and its connections are not shared.
    #[must_use]
    pub fn in_pool(self, pool: Arc<str>) -> Self {
        Self {
            pool: Some(pool),
            ..self
        }
    }

    /// The pool that it is in, if not the common one.
    pub fn pool(&self) -> Option<&Arc<str>> {
        self.pool.as_ref()
    }

    /// Bytes that are forwarded as they are, to a port of this protocol that has exactly this number or name.
    pub fn stream(protocol: Protocol) -> Self {
        Self {
            stream: Some(protocol),
            ..Self::default()
        }
    }

    /// The same over TLS, if there are settings for it.
    #[must_use]
    pub fn over(self, tls: Option<Arc<UpstreamTls>>) -> Self {
        Self { tls, ..self }
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
        Self::with_id(service, port, id)
    }

    /// The port that has exactly this number or name.
    #[must_use]
    pub fn exactly(self) -> Self {
        Self {
            exact: true,
            ..self
        }
    }

    /// With an id that exists already.
    pub(crate) fn with_id(service: Name, port: Arc<str>, id: ServicePortId) -> Self {
        Self {
            service,
            port,
            exact: false,
            id,
        }
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
        let protocol = match (transport.stream, transport.protocol) {
            (Some(Protocol::Tcp), _) => "tcp",
            (Some(Protocol::Udp), _) => "udp",
            (None, BackendProtocol::Http) => "",
            (None, BackendProtocol::Https) => "https",
            (None, BackendProtocol::AutoHttp) => "auto",
            (None, BackendProtocol::Grpc) => "grpc",
            (None, BackendProtocol::Grpcs) => "grpcs",
            (None, BackendProtocol::FastCgi) => "fcgi",
        };
        let tls = transport.tls.as_ref().map_or("", |tls| &tls.id);
        let pool = transport.pool.as_deref().unwrap_or_default();
        let differences = [protocol, tls, pool]
            .into_iter()
            .filter(|text| !text.is_empty());
        let differences: Vec<&str> = differences.collect();
        if differences.is_empty() {
            return UpstreamKey::new(self.0.clone());
        }
        UpstreamKey::new(format!("{} {}", self.0, differences.join(" ")))
    }
}

impl fmt::Display for ServicePortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
