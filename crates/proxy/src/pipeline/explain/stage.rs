//! What stands for a connection: a worker for this request alone, and the head of the request.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use headgate_table::{CATCH_ALL, Listener, RoutingTable, Split, TlsRoute, publisher};
use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderValue, Request, Uri};
use http_body::{Body, Frame, SizeHint};

use crate::TracingEnvironment;
use crate::auth_cache::AuthCache;
use crate::config::{AccessLog, Buckets, Config, LocationFiles, MetricLabels};
use crate::downstream::{Downstream, TlsFacts};
use crate::explanation::{ChosenHost, ExplainRequest};
use crate::geo::Locations;
use crate::open_listener::OpenListener;
use crate::passwords::Passwords;
use crate::request::Authority;
use crate::telemetry::Telemetry;
use crate::tls::ClientIdentity;
use crate::upstream::{Environment, LocalAddresses, Resolver};
use crate::worker::{Shared, Worker};

/// A body of which only the announced length is known.
pub(super) struct Announced(pub(super) Option<u64>);

impl Body for Announced {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// The listener and the request.
pub(super) struct Stage<'q> {
    request: &'q ExplainRequest,
    table: &'q Arc<RoutingTable>,
    pub(super) listener: &'q Listener,
    pub(super) is_tls: bool,
    /// The server name of the handshake.
    server_name: Option<Arc<str>>,
}

impl<'q> Stage<'q> {
    /// `None` if no listener receives the request.
    pub(super) fn new(table: &'q Arc<RoutingTable>, request: &'q ExplainRequest) -> Option<Self> {
        let is_tls = request.url.scheme() == Some(&Scheme::HTTPS);
        let suits = |listener: &&Listener| {
            listener.socket.tls().is_some() == is_tls && listener.socket.stream().is_none()
        };
        let port = request.url.port_u16();
        let mut candidates = table.listeners().iter().filter(suits);
        let of_port = candidates.clone().find(|listener| {
            Some(listener.ports.own) == port || Some(listener.address.port()) == port
        });
        let listener = of_port.or_else(|| candidates.next())?;
        Some(Self {
            request,
            table,
            listener,
            is_tls,
            server_name: is_tls.then(|| server_name(&request.url)).flatten(),
        })
    }

    /// The backends, if the connection is passed through undecrypted.
    pub(super) fn passthrough(&self) -> Option<&'q Arc<Split>> {
        let tls = self.listener.socket.tls()?;
        match tls.route(self.server_name.as_deref()) {
            TlsRoute::Passthrough(split) => Some(split),
            TlsRoute::Terminate(_) => None,
        }
    }

    /// The host whose connections are passed through; the server name alone decides.
    pub(super) fn passed_host(&self) -> Option<ChosenHost> {
        let split = self.passthrough()?;
        let tls = self.listener.socket.tls()?;
        let requested = self.server_name.as_deref().unwrap_or_default();
        let mut hosts = tls.passed_through();
        let (name, _) = hosts.find(|(_, route)| Arc::ptr_eq(route, split))?;
        Some(ChosenHost {
            name: name.map_or_else(|| CATCH_ALL.into(), Arc::from),
            requested: requested.to_owned(),
            because: "the server name of the handshake".to_owned(),
            is_regex: false,
            certificate: None,
        })
    }

    /// The head of the request.
    pub(super) fn head(&self) -> Parts {
        let ExplainRequest { method, url, .. } = self.request;
        let target = url.path_and_query().cloned();
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = method.clone();
        head.uri = target.map_or_else(Uri::default, Uri::from);
        head.headers = self.request.headers.clone();
        let authority = url
            .authority()
            .map(|authority| HeaderValue::from_str(authority.as_str()));
        if let Some(Ok(host)) = authority {
            head.headers.entry(HOST).or_insert(host);
        }
        head
    }

    /// The length of the body, if the request announces one.
    pub(super) fn announced(&self) -> Option<u64> {
        let length = self.request.headers.get(CONTENT_LENGTH)?;
        length.to_str().ok()?.parse().ok()
    }

    /// The connection. It has no sockets.
    pub(super) fn downstream(&self) -> Rc<Downstream> {
        let worker = Rc::new(self.worker());
        let table = worker.table();
        let listener = OpenListener::new(self.listener, table);
        Rc::new(Downstream {
            tcp_peer: SocketAddr::new(self.request.client, 0),
            listener: Rc::new(listener),
            local: local(self.listener.address),
            tls: self.is_tls.then(|| self.handshake()),
            proxied: None,
            id: 0,
            requests: Cell::new(1),
            worker,
        })
    }

    pub(super) fn worker(&self) -> Worker {
        let (_publisher, reader) = publisher(self.table.clone());
        let config = Config {
            bind: Vec::new(),
            http_port: 0,
            https_port: 0,
            workers: 1,
            loopback_upstreams: self.request.loopback,
            max_connections: 1,
            response_buffers: Config::RESPONSE_BUFFERS,
            completes_chains: false,
            locations: LocationFiles::default(),
            access_log: AccessLog::File("/dev/null".into()),
            stream_log: AccessLog::File("/dev/null".into()),
            tracing: TracingEnvironment::default(),
            buckets: Buckets::default(),
            labels: MetricLabels::default(),
            metrics_per_host: false,
            metrics_per_undefined_host: false,
            status_classes: false,
            excluded_metrics: Vec::new(),
        };
        let shared = Shared {
            telemetry: Telemetry::new(&config),
            passwords: Passwords::new(1),
            auth_cache: AuthCache::new(),
            locations: Locations::new(&config.locations.directory, &config.locations.editions),
            upstream: Arc::new(Environment {
                resolver: Resolver::default(),
                local: LocalAddresses::default(),
                loopback: self.request.loopback,
                workers: 1,
                buffers: Arc::new(crate::buffers::ResponseBuffers::new(
                    Config::RESPONSE_BUFFERS,
                )),
            }),
            config,
            reader,
            origin: Instant::now(),
        };
        Worker::new(0, Arc::new(shared))
    }

    /// A handshake of a client without a certificate.
    fn handshake(&self) -> TlsFacts {
        let name = self.server_name.as_deref();
        let hosts = self.listener.hosts(name);
        let of_name = hosts.map(|hosts| hosts.of_handshake(name));
        let rules = of_name.and_then(|(host, _)| host.clients.requested());
        TlsFacts {
            is_known: of_name.is_some_and(|(_, is_known)| is_known),
            client: rules.map(|rules| Arc::new(ClientIdentity::without_certificate(&rules.trust))),
            server_name: self.server_name.clone(),
            protocol: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            group: None,
            offered: Arc::default(),
            resumed: false,
            alpn: "",
        }
    }
}

/// The name that a client sends in the handshake: never an address.
fn server_name(url: &Uri) -> Option<Arc<str>> {
    let authority = Authority::parse(url.host()?.as_bytes())?;
    let is_address =
        authority.name.parse::<std::net::IpAddr>().is_ok() || authority.name.starts_with('[');
    (!is_address).then(|| Arc::from(&*authority.name))
}

/// The address that a connection has here.
fn local(listener: SocketAddr) -> SocketAddr {
    if listener.ip().is_unspecified() {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listener.port())
    } else {
        listener
    }
}
