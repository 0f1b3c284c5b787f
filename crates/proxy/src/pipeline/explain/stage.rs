//! What stands for a connection: a worker for this request alone, and the head of the request.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use headgate_table::{
    CATCH_ALL, Certificates, Host, HostBehaviour, Listener, RoutingTable, Split, TlsRoute,
    publisher,
};
use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderValue, Request, Uri};
use http_body::{Body, Frame, SizeHint};

use crate::TracingEnvironment;
use crate::auth_cache::AuthCache;
use crate::buffers::ResponseBuffers;
use crate::config::{AccessLog, Buckets, Config, LocationFiles, MetricLabels};
use crate::downstream::{Downstream, TlsFacts};
use crate::explanation::{ChosenHost, ExplainRequest};
use crate::geo::Locations;
use crate::open_listener::OpenListener;
use crate::passwords::Passwords;
use crate::request::Authority;
use crate::telemetry::Telemetry;
use crate::tls::ClientIdentity;
use crate::upstream::{DiskSpace, Environment, LocalAddresses, RequestBuffers};
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
    pub(super) request: &'q ExplainRequest,
    pub(super) table: &'q Arc<RoutingTable>,
    pub(super) listener: &'q Listener,
    pub(super) is_tls: bool,
    /// The server name of the handshake.
    server_name: Option<Arc<str>>,
}

impl<'q> Stage<'q> {
    /// `None` if no listener receives the request. Without a port in the URL, or with that of the scheme, which is the same
    /// (RFC 9110 section 4.2.3), any listener of the scheme does if none has that port: a Service or a load balancer may map it.
    /// Of several, because each Gateway may have the port, the first that serves the name, else the first that serves any.
    pub(super) fn new(table: &'q Arc<RoutingTable>, request: &'q ExplainRequest) -> Option<Self> {
        let is_tls = request.url.scheme() == Some(&Scheme::HTTPS);
        let suits = |listener: &&Listener| {
            listener.socket.tls().is_some() == is_tls && listener.socket.stream().is_none()
        };
        let default = if is_tls { 443 } else { 80 };
        let port = request.url.port_u16().unwrap_or(default);
        let server_name = is_tls.then(|| server_name(&request.url)).flatten();
        let name = match is_tls {
            true => server_name.as_deref().map(str::to_owned),
            false => host_name(request),
        };
        let name = name.unwrap_or_default();
        let candidates = || table.listeners().iter().filter(suits);
        let of_port = candidates().filter(|listener| is_at(listener, port));
        let any = || candidates().filter(|_| port == default);
        let listener = of_port.min_by_key(|listener| interest(listener, &name));
        let listener =
            listener.or_else(|| any().min_by_key(|listener| interest(listener, &name)))?;
        Some(Self {
            request,
            table,
            listener,
            is_tls,
            server_name,
        })
    }

    /// Other listeners that clients reach at the same port, of other addresses.
    pub(super) fn others(&self) -> impl Iterator<Item = &'q Listener> {
        let own = self.listener;
        self.table.listeners().iter().filter(move |other| {
            other.ports.own == own.ports.own
                && other.address != own.address
                && other.socket.kind() == own.socket.kind()
        })
    }

    /// How the connection is forwarded, if it carries no requests for the proxy: the server name alone decides.
    pub(super) fn forwarded(&self) -> Option<(&'q TlsRoute, &'q Arc<Split>)> {
        let tls = self.listener.socket.tls()?;
        let route = tls.route(self.server_name.as_deref());
        Some((route, route.backends()?))
    }

    /// The host whose connections are forwarded to `split`.
    pub(super) fn forwarded_host(&self, split: &Arc<Split>) -> Option<ChosenHost> {
        let tls = self.listener.socket.tls()?;
        let requested = self.server_name.as_deref().unwrap_or_default();
        let mut hosts = tls.forwarded();
        let (name, ..) = hosts.find(|(_, _, backends)| Arc::ptr_eq(backends, split))?;
        Some(ChosenHost {
            name: name.map_or_else(|| CATCH_ALL.into(), Arc::from),
            requested: requested.to_owned(),
            because: "the server name of the handshake".to_owned(),
            is_regex: false,
            certificate: None,
        })
    }

    /// The certificate of a host without one of its own.
    pub(super) fn certificate(&self) -> Arc<str> {
        let name = self.server_name.as_deref();
        let terminate = self.listener.terminate(name);
        let of_listener = terminate.filter(|terminate| match &terminate.certificates {
            Certificates::OfHosts { .. } => false,
            Certificates::OfListener(_) | Certificates::Shared(_) => true,
        });
        let chosen = of_listener.and_then(|terminate| terminate.certificate(name));
        chosen.map_or_else(|| "default".into(), |chosen| chosen.source.clone())
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
        let worker = Rc::new(worker(self.table, self.request));
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

    /// A handshake of a client without a certificate.
    fn handshake(&self) -> TlsFacts {
        let name = self.server_name.as_deref();
        let terminate = self.listener.terminate(name);
        let of_name = terminate.map(|terminate| terminate.hosts.of_handshake(name));
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

/// How far a listener is for requests with this name; the least first.
fn interest(listener: &Listener, name: &str) -> u8 {
    let universes = listener.universes();
    let has_route = |host: &Host| match &host.behaviour {
        HostBehaviour::Redirect { .. } => true,
        HostBehaviour::Routes { paths, .. } => paths.routes().any(|route| !route.is_built_in()),
    };
    let tls = listener.socket.tls();
    let forwards = tls.is_some_and(|tls| tls.route(Some(name)).backends().is_some());
    if forwards
        || universes
            .iter()
            .any(|hosts| hosts.find_known(name).is_some())
    {
        return 0;
    }
    let serves_any = universes
        .iter()
        .any(|hosts| has_route(hosts.find(CATCH_ALL)));
    u8::from(!serves_any) + 1
}

/// The name in `Host`.
fn host_name(request: &ExplainRequest) -> Option<String> {
    let field = request.headers.get(HOST).map(HeaderValue::as_bytes);
    let host = field.or_else(|| request.url.host().map(str::as_bytes))?;
    Some(Authority::parse(host)?.name.into_owned())
}

/// Whether clients reach a listener at this port.
pub(super) fn is_at(listener: &Listener, port: u16) -> bool {
    listener.ports.own == port || listener.address.port() == port
}

/// A worker for one explanation. Endpoints are those that the running data plane would choose from, if there is one.
pub(super) fn worker(table: &Arc<RoutingTable>, request: &ExplainRequest) -> Worker {
    let (_publisher, reader) = publisher(table.clone());
    let config = Config {
        bind: Vec::new(),
        http_port: 0,
        https_port: 0,
        workers: 1,
        loopback_upstreams: request.loopback,
        max_connections: 1,
        response_buffers: Config::RESPONSE_BUFFERS,
        request_buffers: Config::REQUEST_BUFFERS,
        memory: None,
        completes_chains: false,
        locations: LocationFiles::default(),
        access_log: AccessLog::File("/dev/null".into()),
        stream_log: AccessLog::File("/dev/null".into()),
        tracing: TracingEnvironment::default(),
        buckets: Buckets::default(),
        labels: MetricLabels::default(),
        metrics_per_host: false,
        metrics_per_undefined_host: false,
        counts_all_hosts: false,
        status_classes: false,
        excluded_metrics: Vec::new(),
        commit: "unknown",
    };
    let names = request.names.as_ref();
    let shared = Shared {
        telemetry: Telemetry::new(&config),
        passwords: Passwords::new(1),
        auth_cache: AuthCache::new(),
        locations: Locations::new(&config.locations.directory, &config.locations.editions),
        memory: Arc::new(crate::memory::Memory::new(None)),
        upstream: Arc::new(Environment {
            resolver: names.map_or_else(Arc::default, |names| names.0.clone()),
            local: LocalAddresses::default(),
            loopback: request.loopback,
            workers: 1,
            buffers: Arc::new(ResponseBuffers::new(Config::RESPONSE_BUFFERS)),
            bodies: Arc::new(RequestBuffers::new(Config::REQUEST_BUFFERS)),
            disk: DiskSpace::new(),
        }),
        config,
        reader,
        origin: Instant::now(),
    };
    Worker::new(0, Arc::new(shared))
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
