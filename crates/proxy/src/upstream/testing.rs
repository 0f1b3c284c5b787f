//! Fixtures: a worker, a client's connection to it, and scripted endpoints on loopback.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate_http1::Unpiped;
use headgate_http1::server::{Connection, Limits, Next, Reply, Upgrade};
use headgate_table::{
    Affinity, AffinityMode, BackendProtocol, Balance, Certificate, Endpoints, Forwarding,
    Publisher, RoutingTable, Settings, Slot, Template, Upstream, UpstreamKey, publisher,
};
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::ext::ReasonPhrase;
use hyper_util::rt::TokioIo;
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::{
    Attempts, BodyRules, Call, CallError, CallOptions, DiskSpace, Environment, LocalAddresses,
    Payload, RequestBuffers, SelectionInput, Tunnel, UpstreamBody, Upstreams,
};
use crate::current::CurrentTable;
use crate::incoming::Incoming;

/// Of the endpoint, or a page with the reason why there is none.
type ResponseBody = Either<UpstreamBody, Full<Bytes>>;

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
        resilience: Arc::default(),
        slot: Slot::default(),
    }
}

/// What the choice of an endpoint sees of a request.
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

impl SelectionInput for FakeRequest {
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

    fn session_path(&self) -> Option<&str> {
        Some("/")
    }
}

/// A worker with one upstream, and clients whose requests it forwards there.
pub(super) struct World {
    pub(super) upstreams: Rc<Upstreams>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) request: RefCell<FakeRequest>,
    pub(super) attempts: RefCell<Attempts>,
    pub(super) failures: RefCell<Vec<CallError>>,
    pub(super) settings: Settings,
    forwarding: Forwarding,
    publisher: RefCell<Publisher>,
}

impl World {
    /// A world that allows loopback endpoints.
    pub(super) fn new(upstream: Upstream, forwarding: Forwarding) -> Rc<Self> {
        Self::with(upstream, forwarding, Settings::default(), true)
    }

    pub(super) fn with(
        upstream: Upstream,
        forwarding: Forwarding,
        settings: Settings,
        loopback: bool,
    ) -> Rc<Self> {
        let local = LocalAddresses::default();
        Self::listening(upstream, forwarding, settings, (loopback, local))
    }

    /// A process that listens on addresses, and may or may not forward to loopback ones.
    pub(super) fn listening(
        upstream: Upstream,
        forwarding: Forwarding,
        settings: Settings,
        (loopback, local): (bool, LocalAddresses),
    ) -> Rc<Self> {
        let upstream = Arc::new(upstream);
        let (publisher, reader) = publisher(Arc::new(table(settings.clone(), &upstream)));
        let environment = Environment {
            resolver: Arc::default(),
            local,
            loopback,
            workers: 1,
            buffers: Arc::new(crate::buffers::ResponseBuffers::new(1 << 20)),
            bodies: Arc::new(RequestBuffers::new(16 << 10)),
            disk: DiskSpace::new(),
        };
        let table = CurrentTable::new(&reader);
        Rc::new(Self {
            upstreams: Rc::new(Upstreams::new(Arc::new(environment), 0, table)),
            upstream,
            request: RefCell::default(),
            attempts: RefCell::default(),
            failures: RefCell::default(),
            settings,
            forwarding,
            publisher: RefCell::new(publisher),
        })
    }

    /// Publishes a table in which the upstream has these endpoints.
    pub(super) fn publish(&self, endpoints: &[SocketAddr]) {
        self.publish_upstream(upstream(endpoints));
    }

    /// Publishes a table with this upstream.
    pub(super) fn publish_upstream(&self, upstream: Upstream) {
        let table = table(Settings::default(), &Arc::new(upstream));
        self.publisher.borrow_mut().publish(Arc::new(table));
    }

    /// Idle HTTP/1 connections.
    pub(super) fn idle(&self) -> usize {
        self.upstreams.pools.idle()
    }

    /// A client's HTTP/1 connection.
    pub(super) fn connect(self: &Rc<Self>) -> DuplexStream {
        let (client, server) = tokio::io::duplex(16 << 10);
        let limits = Limits {
            request_line: 8 << 10,
            field: 8 << 10,
            head: 32 << 10,
            fields: 100,
            buffer: 32 << 10,
        };
        let connection = Connection::new(Box::new(server), limits, true);
        spawn_local(self.clone().serve_http1(connection));
        client
    }

    async fn serve_http1(self: Rc<Self>, mut connection: Connection<Unpiped<ResponseBody>>) {
        while let Ok(Some((request, None))) = poll_fn(|cx| connection.poll_head(cx)).await {
            let mut response = pin!(self.clone().serve(request.map(Incoming::from)));
            let response = poll_fn(|cx| connection.poll_served(response.as_mut(), cx));
            let Some(Ok(response)) = response.await else {
                return;
            };
            let (head, body) = response.into_parts();
            let reason = head.extensions.get::<ReasonPhrase>();
            let reply = Reply {
                status: head.status,
                reason: reason.map(ReasonPhrase::as_bytes),
                headers: &head.headers,
            };
            connection.respond(&reply, Unpiped(body)).unwrap();
            match poll_fn(|cx| connection.poll_sent(cx)).await {
                Ok(Next::Request) => {}
                Ok(Next::Switch) => return connection.switch(),
                Ok(Next::Close) | Err(_) => return,
            }
        }
    }

    /// A client's HTTP/2 connection.
    pub(super) fn connect_http2(self: &Rc<Self>) -> DuplexStream {
        let (client, server) = tokio::io::duplex(16 << 10);
        let world = self.clone();
        let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
            world.clone().serve(request.map(Incoming::from))
        });
        spawn_local(async move {
            let _ = hyper::server::conn::http2::Builder::new(Local)
                .serve_connection(TokioIo::new(server), service)
                .await;
        });
        client
    }

    /// Sends `request` on a new connection and returns everything up to its end.
    pub(super) async fn send(self: &Rc<Self>, request: &str) -> String {
        let mut client = self.connect();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        client.read_to_end(&mut response).await.unwrap();
        String::from_utf8_lossy(&response).into_owned()
    }

    /// Sends a GET on a new connection and returns everything up to its end.
    pub(super) async fn get(self: &Rc<Self>) -> String {
        self.send("GET /x?y=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
    }

    /// Statuses of all attempts so far.
    pub(super) fn statuses(&self) -> Vec<u16> {
        statuses(&self.attempts.borrow())
    }

    async fn serve(
        self: Rc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, std::convert::Infallible> {
        let upgrade = request.body_mut().take_upgrade();
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
        let mut attempts = Attempts::default();
        let result = self.forward(head, body, upgrade, &mut attempts).await;
        self.attempts.borrow_mut().append(attempts);
        Ok(match result {
            Ok(response) => response.map(Either::Left),
            Err(error) => {
                self.failures.borrow_mut().push(error);
                let page = Full::from(error.to_string());
                let mut response = Response::new(Either::Right(page));
                *response.status_mut() = StatusCode::IM_A_TEAPOT;
                response
            }
        })
    }

    async fn forward(
        &self,
        head: Parts,
        body: Incoming,
        upgrade: Option<Upgrade>,
        attempts: &mut Attempts,
    ) -> Result<Response<UpstreamBody>, CallError> {
        let input = self.request.borrow().clone();
        let options = CallOptions {
            upgrade: upgrade.is_some(),
            ..CallOptions::of(&self.forwarding, &self.upstream, input.https)
        };
        let target = self
            .upstreams
            .target(&self.upstream, options.connect_timeout)
            .await?;
        let rules = BodyRules {
            limit: self.forwarding.body_limit,
            timeout: self.settings.client.body_timeout,
            min_rate: self.settings.client.body_min_rate,
            buffered: self.forwarding.buffer_request,
            memory: self.forwarding.body_memory,
        };
        let call = Call {
            target,
            head,
            body: Payload::receive(body, rules, &options, &self.upstreams).await?,
            options,
            pool: &self.settings.pool,
            input: &input,
        };
        let mut reply = self.upstreams.call(call, attempts).await?;
        let headers = reply.response.headers_mut();
        headers.extend(reply.session_cookie.map(|cookie| (SET_COOKIE, cookie)));
        if reply.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let (client, idle) = (upgrade.unwrap(), options.read_timeout);
            Tunnel::new(client, &mut reply.response, attempts, idle).open(|_| {});
        }
        Ok(reply.response)
    }
}

/// Statuses of `attempts`; 0 where there is none.
pub(super) fn statuses(attempts: &Attempts) -> Vec<u16> {
    attempts
        .iter()
        .map(|attempt| attempt.status.map_or(0, |status| status.as_u16()))
        .collect()
}

/// A table with `upstream`, to which no listener leads.
fn table(settings: Settings, upstream: &Arc<Upstream>) -> RoutingTable {
    let mut table = RoutingTable::new(Arc::new(settings));
    table.insert_upstream(upstream.clone());
    table
}

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

/// `identity` as the table holds it.
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
        slot: Slot::default(),
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

    /// Sends `response` to every request and keeps connections open.
    pub(super) async fn responding(response: &'static str) -> Self {
        Self::start(move |_, mut conversation| async move {
            while conversation.request().await.is_some() {
                conversation.respond(response).await;
            }
        })
        .await
    }

    /// Reads a request on every connection, and never responds.
    pub(super) async fn silent() -> Self {
        Self::start(|_, mut conversation| async move {
            conversation.request().await;
            conversation.request().await;
        })
        .await
    }
}

/// An address where no process listens.
pub(super) async fn unused_address() -> SocketAddr {
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

    pub(super) async fn respond(&mut self, response: &str) {
        self.try_respond(response).await;
    }

    /// Whether the proxy still has the connection.
    pub(super) async fn try_respond(&mut self, response: &str) -> bool {
        self.stream.write_all(response.as_bytes()).await.is_ok()
    }

    /// Ends the connection with a reset.
    pub(super) fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
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

/// Sessions by the cookie `INGRESSCOOKIE`, without attributes.
pub(crate) fn sticky(mode: AffinityMode, change_on_failure: bool) -> Affinity {
    Affinity {
        cookie: "INGRESSCOOKIE".into(),
        mode,
        path: None,
        domain: None,
        max_age: None,
        expires: None,
        always_secure: false,
        same_site: None,
        conditional_same_site_none: false,
        change_on_failure,
    }
}
