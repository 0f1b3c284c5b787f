//! Bytes in, bytes out: connections over in-memory streams and, where deadlines matter, on a paused clock.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod cleartext;
mod handing_over;
mod heads;
mod http1;
mod http2;
mod listeners;
mod sizes;
mod streams;
mod tls;

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{
    CATCH_ALL, Certificate, Certificates, Host, HostBehaviour, HostCiphers, HostClients, HostTls,
    Listener, Plain, PublicPorts, Publisher, RoutingTable, Settings, Socket, Terminate, TlsRoute,
    TlsSocket, VirtualHosts, publisher,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use rcgen::{CertifiedKey as Generated, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{LocalSet, spawn_local};

pub(crate) use self::tls::trusting;
use super::{Accepted, Handler, Openings, Process, WorkerContext};
use crate::body::Body;
use crate::config::{AccessLog, Config, MetricLabels};
use crate::downstream::Downstream;
use crate::drain::Connections;
use crate::handover::{self, Inbox};
use crate::incoming::Incoming;
use crate::open_listener::OpenListener;
use crate::sockets::Sockets;
use crate::telemetry::Telemetry;
use crate::upstream::{Environment, LocalAddresses, Resolver};
use crate::worker::{Shared, Worker};

/// The listeners of the table that tests serve.
pub(crate) const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 80);
const HTTPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 443);

/// Responds by path, without endpoints.
#[derive(Clone)]
pub(crate) struct TestHandler;

impl Handler for TestHandler {
    async fn handle(
        &self,
        downstream: &Rc<Downstream>,
        mut request: Request<Incoming>,
    ) -> Response<Body> {
        if request.method() == Method::CONNECT {
            return with_status(StatusCode::METHOD_NOT_ALLOWED);
        }
        match request.uri().path() {
            "/facts" => Response::new(Body::full(facts(downstream, &request))),
            "/echo" => match request.body_mut().collect().await {
                Ok(body) => Response::new(Body::full(body.to_bytes())),
                Err(_) => with_status(StatusCode::BAD_REQUEST),
            },
            "/hang" => std::future::pending().await,
            "/slow" => {
                tokio::time::sleep(Duration::from_secs(200)).await;
                Response::new(Body::full("slow"))
            }
            "/big" => Response::new(Body::full(vec![b'x'; 1 << 20])),
            "/panic" => panic!("as requested"),
            "/upgrade" => upgrade(request),
            path => Response::new(Body::full(format!("path {path}"))),
        }
    }
}

fn facts(downstream: &Downstream, request: &Request<Incoming>) -> String {
    let name = downstream
        .tls
        .as_ref()
        .and_then(|tls| tls.server_name.clone())
        .unwrap_or_else(|| "-".into());
    let protocol = downstream.tls.as_ref().map_or("-", |tls| tls.protocol);
    let source = downstream
        .proxied
        .map_or_else(|| "-".into(), |proxied| proxied.source.to_string());
    format!(
        "{:?} {name} {protocol} {source} #{}",
        request.version(),
        downstream.requests.get()
    )
}

fn with_status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Agrees to an upgrade and echoes what comes through it.
fn upgrade(mut request: Request<Incoming>) -> Response<Body> {
    let upgrade = request.body_mut().take_upgrade().unwrap();
    spawn_local(async move {
        let (mut read, mut write) = tokio::io::split(upgrade.await.unwrap());
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let mut response = with_status(StatusCode::SWITCHING_PROTOCOLS);
    response
        .headers_mut()
        .insert("connection", HeaderValue::from_static("upgrade"));
    response
        .headers_mut()
        .insert("upgrade", HeaderValue::from_static("echo"));
    response
}

/// A worker with its own table.
pub(crate) struct Fixture {
    pub(crate) context: Rc<WorkerContext<TestHandler>>,
    pub(crate) publisher: RefCell<Publisher>,
    inbox: Cell<Option<Inbox>>,
    /// Another worker beside it.
    other: Cell<Option<(Rc<WorkerContext<TestHandler>>, Inbox)>>,
}

impl Fixture {
    pub(crate) fn new(settings: Settings) -> Self {
        Self::serving(settings, &[])
    }

    /// With `hosts` that have certificates of their own.
    fn serving(settings: Settings, hosts: &[(&str, &Arc<Certificate>)]) -> Self {
        Self::of_workers(1, table(settings, hosts))
    }

    /// One of so many workers, at most two.
    fn of_workers(workers: usize, table: RoutingTable) -> Self {
        let (publisher, reader) = publisher(Arc::new(table));
        let config = Config {
            workers,
            ..config()
        };
        let telemetry = Telemetry::new(&config);
        let shared = Arc::new(Shared {
            passwords: crate::passwords::Passwords::new(1),
            auth_cache: crate::auth_cache::AuthCache::new(),
            locations: crate::geo::Locations::new(std::path::Path::new(""), &[]),
            memory: Arc::new(crate::memory::Memory::new(None)),
            config,
            reader,
            telemetry,
            upstream: Arc::new(Environment {
                resolver: Arc::new(Resolver::hanging()),
                local: LocalAddresses::default(),
                loopback: true,
                workers: 1,
                buffers: Arc::new(crate::buffers::ResponseBuffers::new(
                    Config::RESPONSE_BUFFERS,
                )),
                bodies: Arc::new(crate::upstream::RequestBuffers::new(0)),
                disk: crate::upstream::DiskSpace::new(),
            }),
            origin: std::time::Instant::now(),
        });
        let process = Arc::new(Process::new(workers));
        let (peers, inboxes) = handover::workers(workers);
        let mut all = inboxes.into_iter().enumerate().map(|(index, inbox)| {
            let context = WorkerContext {
                handler: TestHandler,
                worker: Rc::new(Worker::new(index, shared.clone())),
                process: process.clone(),
                workers: peers.clone(),
                connections: Rc::new(Connections::default()),
                silent: Rc::new(Openings::default()),
                handshakes: Rc::new(Openings::default()),
            };
            (Rc::new(context), inbox)
        });
        let (context, inbox) = all.next().unwrap();
        Self {
            context,
            publisher: RefCell::new(publisher),
            inbox: Cell::new(Some(inbox)),
            other: Cell::new(all.next()),
        }
    }

    /// The sockets of its worker, none of which is open.
    fn sockets(&self) -> Sockets<TestHandler> {
        Sockets::new(self.context.clone(), self.inbox.take().unwrap(), Vec::new())
    }

    /// Publishes a table with a listener for plain text at each of `addresses`.
    fn publish(&self, addresses: &[SocketAddr]) {
        let mut table = RoutingTable::new(Arc::new(Settings::default()));
        let hosts = Arc::new(VirtualHosts::new(host(CATCH_ALL, HostTls::None)));
        let listener = |address: &SocketAddr| Listener {
            address: *address,
            ports: PublicPorts { own: 0, https: 0 },
            socket: Socket::Plain(Plain::Http(hosts.clone().into())),
        };
        table.set_listeners(addresses.iter().map(listener).collect());
        self.publisher.borrow_mut().publish(Arc::new(table));
    }

    /// The listener of the current table at `address`.
    pub(crate) fn listener(&self, address: SocketAddr) -> Rc<OpenListener> {
        let table = self.context.worker.table();
        let listener = table.listener(address).unwrap();
        Rc::new(OpenListener::new(listener, table.clone()))
    }

    /// A connection to `address` with room for `buffer` bytes on the way.
    fn connect_with(&self, address: SocketAddr, buffer: usize) -> DuplexStream {
        let (client, server) = duplex(buffer);
        let accepted = Accepted {
            stream: server,
            peer: "127.0.0.1:4000".parse().unwrap(),
            local: "127.0.0.1:80".parse().unwrap(),
            listener: self.listener(address),
            permit: self.context.process.permit(0, 100).unwrap(),
        };
        super::spawn(self.context.clone(), accepted);
        client
    }

    fn connect(&self, address: SocketAddr) -> DuplexStream {
        self.connect_with(address, 64 << 10)
    }

    /// Lines of the metrics.
    pub(crate) fn metrics(&self) -> String {
        let registry = prometheus::Registry::new();
        let telemetry = &self.context.worker.shared.telemetry;
        telemetry.register(&registry).unwrap();
        let encoder = prometheus::TextEncoder::new();
        encoder.encode_to_string(&registry.gather()).unwrap()
    }

    /// Sends `bytes` to `address` and returns everything up to the end of the connection.
    async fn exchange(&self, address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect(address);
        client.write_all(bytes.as_ref()).await.unwrap();
        rest(&mut client).await
    }
}

/// Runs `test` where connections can be spawned.
pub(crate) async fn locally<F: Future>(test: F) -> F::Output {
    LocalSet::new().run_until(test).await
}

/// Everything up to the end of `stream`.
async fn rest(stream: &mut DuplexStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads until what was read ends with `end`.
async fn until(stream: &mut DuplexStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let byte = stream
            .read_u8()
            .await
            .unwrap_or_else(|error| panic!("{error} after {text:?}"));
        text.push(char::from(byte));
    }
    text
}

/// The statuses of the responses in `text`.
fn statuses(text: &str) -> Vec<u16> {
    text.split("HTTP/1.")
        .skip(1)
        .filter_map(|response| response.get(2..5)?.parse().ok())
        .collect()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n")
}

/// Addresses on which no process listens.
pub(crate) fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listener = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // All are open at once, so that they differ.
    let listeners: [_; N] = std::array::from_fn(|_| listener());
    listeners.map(|listener| listener.local_addr().unwrap())
}

/// Any free ports of the loopback address.
pub(crate) fn config() -> Config {
    Config {
        locations: crate::config::LocationFiles::default(),
        bind: vec!["127.0.0.1".parse().unwrap()],
        http_port: 0,
        https_port: 0,
        workers: 1,
        loopback_upstreams: true,
        max_connections: 100,
        response_buffers: Config::RESPONSE_BUFFERS,
        request_buffers: Config::REQUEST_BUFFERS,
        memory: None,
        completes_chains: false,
        access_log: AccessLog::File("/dev/null".into()),
        stream_log: AccessLog::File("/dev/null".into()),
        tracing: crate::TracingEnvironment::default(),
        labels: MetricLabels::default(),
        metrics_per_host: true,
        metrics_per_undefined_host: false,
        counts_all_hosts: false,
        status_classes: false,
        excluded_metrics: Vec::new(),
        commit: "unknown",
        buckets: crate::config::Buckets::default(),
    }
}

/// A self-signed certificate.
pub(crate) fn certificate(name: &str) -> Arc<Certificate> {
    let Generated { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    let chain = vec![CertificateDer::from(cert.der().to_vec())];
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let key =
        rustls::sign::CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).unwrap();
    Arc::new(Certificate {
        source: name.into(),
        key: Arc::new(key),
        names: Arc::new([name.into()]),
        not_after: 0,
        fingerprint: name.into(),
        issue: Arc::default(),
        slot: headgate_table::Slot::default(),
    })
}

fn host(name: &str, tls: HostTls) -> Arc<Host> {
    let behaviour = HostBehaviour::Redirect {
        to: "elsewhere.example".into(),
    };
    Arc::new(Host {
        name: name.into(),
        aliases: Arc::default(),
        tls,
        clients: HostClients::Any,
        ciphers: HostCiphers::default(),
        script: None,
        behaviour,
    })
}

/// Serves `hosts` with certificates of their own, and redirects everything.
pub(crate) fn table(settings: Settings, hosts: &[(&str, &Arc<Certificate>)]) -> RoutingTable {
    table_at((HTTP, HTTPS), settings, hosts)
}

/// The same at these addresses for plain text and TLS.
pub(crate) fn table_at(
    (http, https): (SocketAddr, SocketAddr),
    settings: Settings,
    hosts: &[(&str, &Arc<Certificate>)],
) -> RoutingTable {
    let mut named = VirtualHosts::new(host(CATCH_ALL, HostTls::None));
    for (name, own) in hosts {
        named.insert(host(name, HostTls::Own((*own).clone())));
    }
    let named = Arc::new(named);
    let ports = PublicPorts { own: 0, https: 0 };
    let terminate = Terminate {
        hosts: named.clone(),
        certificates: Certificates::OfHosts {
            default: certificate("default.example"),
            reject_unknown: settings.tls.reject_unknown,
        },
        clients: None,
    };
    let mut table = RoutingTable::new(Arc::new(settings));
    table.set_listeners(vec![
        Listener {
            address: http,
            ports,
            socket: Socket::Plain(Plain::Http(named.into())),
        },
        Listener {
            address: https,
            ports,
            socket: Socket::Tls(TlsSocket::new(TlsRoute::Terminate(terminate))),
        },
    ]);
    table
}
