//! What the tests of this module stand on: a worker, a client's connection to it, and scripted endpoints on loopback.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use headgate_table::{
    Backend, BackendProtocol, Balance, Certificate, Endpoints, Forwarding, Host, HostBehaviour,
    HostTls, HttpsRedirect, Listener, Origin, PathIndex, PathKind, Plain, Policy, PublicPorts,
    Publisher, Route, RoutingTable, Settings, Slot, Socket, Split, Target, Template, Upstream,
    UpstreamKey, VirtualHosts, publisher,
};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::sign::CertifiedKey;
use smallvec::SmallVec;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::{ClientRequest, Forward, ForwardError, Own, Pools, Resolver, forward};
use crate::body::Body;
use crate::config::{AccessLog, Config, MetricLabels};
use crate::record::{Attempt, Record};
use crate::telemetry::Telemetry;
use crate::worker::{Shared, Worker};

/// Forwarding with short bounds and the defaults of ingress-nginx otherwise.
pub(super) fn forwarding() -> Forwarding {
    Forwarding {
        send_timeout: Duration::from_secs(10),
        read_timeout: Duration::from_secs(10),
        ..Forwarding::default()
    }
}

/// The upstream `shop/web/80` with these endpoints.
pub(super) fn upstream(endpoints: &[SocketAddr]) -> Upstream {
    Upstream {
        key: UpstreamKey::new("shop/web/80"),
        name: "shop/web/80".into(),
        protocol: BackendProtocol::Http,
        tls: None,
        log_name: "shop-web-80".into(),
        endpoints: Endpoints::Addresses(endpoints.into()),
        balance: Balance::RoundRobin,
        affinity: None,
        client_ip_affinity: None,
        slot: Slot::default(),
    }
}

/// A request as far as choosing an endpoint is concerned.
#[derive(Clone, Debug)]
pub(super) struct FakeRequest {
    pub(super) client: IpAddr,
    pub(super) https: bool,
    pub(super) cookie: Option<(String, String)>,
    pub(super) user_agent: String,
}

impl Default for FakeRequest {
    fn default() -> Self {
        let client = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        Self {
            client,
            https: false,
            cookie: None,
            user_agent: String::new(),
        }
    }
}

impl ClientRequest for FakeRequest {
    fn client(&self) -> IpAddr {
        self.client
    }

    fn https(&self) -> bool {
        self.https
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        self.cookie
            .as_ref()
            .filter(|(cookie, _)| cookie == name)
            .map(|(_, value)| value.as_str())
    }

    fn evaluate(&self, template: &Template) -> String {
        template.source().to_owned()
    }

    fn user_agent(&self) -> &str {
        &self.user_agent
    }
}

/// A worker with one upstream and one route.
pub(super) struct World {
    pub(super) worker: Rc<Worker>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) request: RefCell<FakeRequest>,
    pub(super) attempts: RefCell<Vec<Attempt>>,
    pub(super) failures: RefCell<Vec<ForwardError>>,
    route: Arc<Route>,
    publisher: RefCell<Publisher>,
}

impl World {
    /// A world in which loopback endpoints are fine.
    pub(super) fn new(upstream: Upstream, forwarding: Forwarding) -> Rc<Self> {
        Self::with(upstream, forwarding, Settings::default(), true)
    }

    pub(super) fn with(
        upstream: Upstream,
        forwarding: Forwarding,
        settings: Settings,
        loopback: bool,
    ) -> Rc<Self> {
        Self::listening(upstream, forwarding, settings, (loopback, Own::default()))
    }

    /// A process that listens on addresses, and may or may not forward to loopback ones.
    pub(super) fn listening(
        upstream: Upstream,
        forwarding: Forwarding,
        settings: Settings,
        (loopback, own): (bool, Own),
    ) -> Rc<Self> {
        let (upstream, route) = (Arc::new(upstream), route(forwarding));
        let (publisher, reader) = publisher(Arc::new(table(&upstream, &route, settings)));
        let config = config(loopback);
        let shared = Shared {
            reader,
            telemetry: Telemetry::new(&config),
            resolver: Arc::new(Resolver::default()),
            own,
            origin: Instant::now(),
            draining: AtomicBool::new(false),
            config,
        };
        Rc::new(Self {
            worker: Rc::new(Worker::new(0, Arc::new(shared))),
            upstream,
            request: RefCell::default(),
            attempts: RefCell::default(),
            failures: RefCell::default(),
            route,
            publisher: RefCell::new(publisher),
        })
    }

    /// Publishes a table in which the upstream has these endpoints.
    pub(super) fn publish(&self, endpoints: &[SocketAddr]) {
        let upstream = Arc::new(upstream(endpoints));
        let table = Arc::new(table(&upstream, &self.route, Settings::default()));
        self.publisher.borrow_mut().publish(table);
    }

    pub(super) fn pools(&self) -> &Pools {
        &self.worker.pools
    }

    /// A client's HTTP/1 connection.
    pub(super) fn connect(self: &Rc<Self>) -> DuplexStream {
        let (client, server) = tokio::io::duplex(16 << 10);
        let world = self.clone();
        let service = hyper::service::service_fn(move |request| world.clone().serve(request));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(server), service);
        spawn_local(async move {
            let _ = connection.with_upgrades().await;
        });
        client
    }

    /// A client's HTTP/2 connection.
    pub(super) fn connect_http2(self: &Rc<Self>) -> DuplexStream {
        let (client, server) = tokio::io::duplex(16 << 10);
        let world = self.clone();
        let service = hyper::service::service_fn(move |request| world.clone().serve(request));
        spawn_local(async move {
            let _ = hyper::server::conn::http2::Builder::new(Local)
                .serve_connection(TokioIo::new(server), service)
                .await;
        });
        client
    }

    /// Sends `request` on a connection of its own and gives all that comes back.
    pub(super) async fn send(self: &Rc<Self>, request: &str) -> String {
        let mut client = self.connect();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends a GET and gives all that comes back.
    pub(super) async fn get(self: &Rc<Self>) -> String {
        self.send("GET /x?y=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
    }

    /// Statuses of all tries so far.
    pub(super) fn statuses(&self) -> Vec<u16> {
        self.attempts
            .borrow()
            .iter()
            .map(|attempt| attempt.status.map_or(0, |status| status.as_u16()))
            .collect()
    }

    async fn serve(
        self: Rc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, std::convert::Infallible> {
        let upgrade = request
            .headers()
            .contains_key("upgrade")
            .then(|| hyper::upgrade::on(&mut request));
        let mut record = record(&self.worker, &request);
        let (mut head, body) = request.into_parts();
        if upgrade.is_none() {
            head.headers.remove("connection");
        }
        let authority = head
            .uri
            .authority()
            .map(|authority| authority.as_str().to_owned());
        if let Some(authority) = authority {
            head.headers.insert("host", authority.parse().unwrap());
            head.uri = head.uri.path().parse().unwrap();
        }
        let fake = self.request.borrow().clone();
        let table = self.worker.table();
        let forwarded = Forward {
            worker: &self.worker,
            table: &table,
            route: &self.route,
            upstream: &self.upstream,
            head,
            body,
            upgrade,
            request: &fake,
        };
        let result = forward(forwarded, &mut record).await;
        self.attempts
            .borrow_mut()
            .extend(record.attempts.iter().cloned());
        Ok(result.unwrap_or_else(|error| {
            self.failures.borrow_mut().push(error);
            let mut response = Response::new(Body::full(error.to_string()));
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            response
        }))
    }
}

fn record(worker: &Rc<Worker>, request: &Request<Incoming>) -> Record {
    Record {
        worker: worker.clone(),
        start: Instant::now(),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        method: request.method().clone(),
        target: request.uri().clone(),
        version: request.version(),
        referer: None,
        user_agent: None,
        authorization: None,
        request_id: None,
        request_length: 0,
        status: None,
        body_bytes_sent: 0,
        route: None,
        host: None,
        host_is_literal: false,
        upstream: None,
        alternative: None,
        attempts: SmallVec::new(),
        default_backend: false,
        unlogged: true,
        refused_by: None,
        permit: None,
    }
}

fn config(loopback_upstreams: bool) -> Config {
    Config {
        bind: Vec::new(),
        http_port: 0,
        https_port: 0,
        workers: 1,
        loopback_upstreams,
        max_connections: 1,
        access_log: AccessLog::Stdout,
        labels: MetricLabels::default(),
        metrics_per_host: true,
        metrics_per_undefined_host: false,
        status_classes: false,
    }
}

fn route(forwarding: Forwarding) -> Arc<Route> {
    let policy = Policy {
        redirect: None,
        cors: None,
        limits: None,
        access: None,
        response_headers: Arc::default(),
        preserve_trailing_slash: false,
        port_in_redirects: false,
        relative_redirects: false,
        access_log: true,
        forwarding: Arc::new(forwarding),
    };
    let origin = Origin {
        kind: "Ingress",
        namespace: "shop".into(),
        name: "web".into(),
        service: "web".into(),
        port: "80".into(),
    };
    Arc::new(Route {
        path: "/".into(),
        kind: PathKind::Prefix,
        origin: Arc::new(origin),
        policy: Arc::new(policy),
        https: HttpsRedirect::Never,
        rewrite: None,
        target: Target::Forward(Split::new(Backend::upstream_only(UpstreamKey::new(
            "shop/web/80",
        )))),
        sets_affinity_cookie: true,
        slot: Slot::default(),
    })
}

fn table(upstream: &Arc<Upstream>, route: &Arc<Route>, settings: Settings) -> RoutingTable {
    let behaviour = HostBehaviour::Routes {
        app_root: None,
        paths: PathIndex::literal(route.clone(), Vec::new()),
    };
    let catch_all = Host {
        name: "_".into(),
        aliases: Arc::default(),
        tls: HostTls::None,
        behaviour,
    };
    let hosts = VirtualHosts::new(Arc::new(catch_all));
    let mut table = RoutingTable::new(Arc::new(settings));
    table.set_listeners(vec![Listener {
        address: LISTENER,
        ports: PublicPorts {
            own: LISTENER.port(),
            https: 0,
        },
        socket: Socket::Plain(Plain::Http(Arc::new(hosts))),
    }]);
    table.insert_upstream(upstream.clone());
    table
}

/// The listener of the table that tests serve.
const LISTENER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 80);

/// A self-signed certificate for `names`.
pub(super) fn identity(names: &[&str]) -> rcgen::CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>(),
    )
    .unwrap()
}

/// The same as the table holds it.
pub(super) fn certificate(
    source: &str,
    identity: &rcgen::CertifiedKey<rcgen::KeyPair>,
) -> Certificate {
    let key =
        rustls_pki_types::PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = CertifiedKey::from_der(vec![identity.cert.der().clone()], key, &provider).unwrap();
    let names = Arc::default();
    Certificate {
        source: source.into(),
        key: Arc::new(key),
        names,
        not_after: i64::MAX,
        fingerprint: source.into(),
        issue: Arc::default(),
    }
}

/// Runs HTTP/2 on the test's own thread.
#[derive(Clone, Copy)]
pub(super) struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        drop(spawn_local(async move {
            future.await;
        }));
    }
}

/// A scripted endpoint: what it accepted and read.
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    pub(super) connections: Rc<Cell<usize>>,
    pub(super) requests: Rc<RefCell<Vec<String>>>,
}

impl Endpoint {
    /// Plays `script` on every connection, by its number from 0.
    pub(super) async fn start<F: Future<Output = ()> + 'static>(
        script: impl Fn(usize, Conversation) -> F + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) =
            (Rc::new(Cell::new(0)), Rc::<RefCell<Vec<String>>>::default());
        let (counter, log) = (connections.clone(), requests.clone());
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = counter.replace(counter.get() + 1);
                spawn_local(script(
                    number,
                    Conversation {
                        stream,
                        log: log.clone(),
                    },
                ));
            }
        });
        Self {
            address,
            connections,
            requests,
        }
    }

    /// Answers every request with `answer` and keeps connections open.
    pub(super) async fn answering(answer: &'static str) -> Self {
        Self::start(move |_, mut conversation| async move {
            while conversation.request().await.is_some() {
                conversation.answer(answer).await;
            }
        })
        .await
    }
}

/// An address where nobody listens.
pub(super) async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

/// One connection of a scripted endpoint.
pub(super) struct Conversation {
    pub(super) stream: TcpStream,
    log: Rc<RefCell<Vec<String>>>,
}

impl Conversation {
    /// The next request, head and body as received; `None` when the proxy closed the connection.
    pub(super) async fn request(&mut self) -> Option<String> {
        let mut text = String::new();
        while !is_whole(&text) {
            let mut buffer = [0; 4096];
            let length = self
                .stream
                .read(&mut buffer)
                .await
                .ok()
                .filter(|length| *length > 0)?;
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        self.log.borrow_mut().push(text.clone());
        Some(text)
    }

    pub(super) async fn answer(&mut self, answer: &str) {
        let _ = self.stream.write_all(answer.as_bytes()).await;
    }
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    match length {
        Some(length) => body.len() >= length,
        None => !head.contains("transfer-encoding") || body.ends_with("0\r\n\r\n"),
    }
}
