//! New connections to endpoints.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use headgate_http1::{Coded, Io};
use headgate_table::{UpstreamKey, may_be_endpoint};
use hyper::client::conn::http2;
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;

use super::health::{Failed, failed_by};
use super::http1::Connection;
use super::load::Counted;
use super::pool::{Key, Lease};
use super::request_body::RequestBody;
use super::{CallError, Fault, UpstreamState, Upstreams, fastcgi};
use crate::rationed::Rationed;
use crate::running::{Running, Started};

/// HTTP/2 flow control and bounds: the defaults of hyper are for trusted peers.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
const SEND_BUFFER: usize = 64 << 10;
const HEADER_LIST: u32 = 64 << 10;
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to open.
pub(super) struct Dial {
    pub(super) key: Key,
    pub(super) upstream: UpstreamKey,
    /// TLS; `None`: plain text.
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The request that the connection serves, if it is FastCGI.
    pub(super) fastcgi: Option<Box<fastcgi::Request>>,
    /// Bound on TCP and TLS handshakes together.
    pub(super) timeout: Duration,
}

/// Why a connection could not be opened.
pub(super) struct ConnectError {
    pub(super) error: CallError,
    pub(super) fault: Fault,
    /// How the endpoint failed; `None`: it is not at fault.
    pub(super) failed: Option<Failed>,
}

impl Upstreams {
    /// Opens a connection.
    pub(super) async fn connect(self: &Rc<Self>, dial: Dial) -> Result<Lease, ConnectError> {
        let endpoint = dial.key.address;
        let timeout = dial.timeout;
        match tokio::time::timeout(timeout, self.open(dial)).await {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(error)) => {
                tracing::debug!(%endpoint, %error, "cannot connect to endpoint");
                Err(ConnectError {
                    error: CallError::Connect,
                    fault: Fault::connect(&error),
                    failed: failed_by(&error),
                })
            }
            Err(_) => {
                tracing::debug!(%endpoint, ?timeout, "connecting to endpoint timed out");
                Err(ConnectError {
                    error: CallError::ConnectTimeout,
                    fault: Fault::of(CallError::ConnectTimeout),
                    failed: Some(Failed::Unreachable),
                })
            }
        }
    }

    /// Connects to `endpoint`, unless endpoints may not have that address.
    pub(super) async fn tcp(&self, endpoint: SocketAddr) -> io::Result<TcpStream> {
        let environment = &self.environment;
        let local = &environment.local;
        if !may_be_endpoint(endpoint.ip(), environment.loopback) || local.contains(endpoint) {
            return Err(io::Error::other("refused endpoint address"));
        }
        let stream = TcpStream::connect(endpoint).await?;
        if local.reached(stream.local_addr()?, stream.peer_addr()?) {
            return Err(io::Error::other("the endpoint is this process"));
        }
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A socket for datagrams to and from `endpoint` alone, unless endpoints may not have that address.
    pub(super) async fn udp(&self, endpoint: SocketAddr) -> io::Result<UdpSocket> {
        let environment = &self.environment;
        let local = &environment.local;
        if !may_be_endpoint(endpoint.ip(), environment.loopback) || local.has_udp(endpoint) {
            return Err(io::Error::other("refused endpoint address"));
        }
        let any: IpAddr = match endpoint {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(endpoint).await?;
        if local.reached_udp(socket.local_addr()?, endpoint) {
            return Err(io::Error::other("the endpoint is this process"));
        }
        // Otherwise the first datagrams would have to wait: the runtime does not know yet that they can be sent.
        socket.writable().await?;
        Ok(socket)
    }

    /// Counts a connection of the upstream that asks for it, though others may use it later.
    fn count_connection(&self, dial: &Dial) -> Option<Counted> {
        let table = self.table.get();
        let state = table.upstream(&dial.upstream)?.slot.get::<UpstreamState>();
        state.map(|state| state.load.connected(dial.key.address))
    }

    async fn open(self: &Rc<Self>, dial: Dial) -> io::Result<Lease> {
        let stream = self.tcp(dial.key.address).await?;
        let open = self.count_connection(&dial);
        let stream = Rationed::new(stream, self.environment.buffers.clone(), open);
        if let Some(request) = dial.fastcgi {
            let stream = fastcgi::Responder::new(stream, dial.key.address, *request);
            return handshake(self, Coded(stream), dial.key, dial.upstream).await;
        }
        match dial.tls {
            None => handshake(self, stream, dial.key, dial.upstream).await,
            Some((config, name)) => {
                let stream = TlsConnector::from(config).connect(name, stream).await?;
                handshake(self, Coded(stream), dial.key, dial.upstream).await
            }
        }
    }
}

async fn handshake<S: Io + 'static>(
    upstreams: &Rc<Upstreams>,
    stream: S,
    key: Key,
    upstream: UpstreamKey,
) -> io::Result<Lease> {
    if key.http2 {
        let lease = handshake_http2(upstreams, TokioIo::new(stream), key, upstream);
        return lease.await.map_err(io::Error::other);
    }
    let connection = Connection::new(Box::new(stream), key.buffer);
    Ok(Lease::http1(connection, key, upstream))
}

async fn handshake_http2<I>(
    upstreams: &Rc<Upstreams>,
    io: I,
    key: Key,
    upstream: UpstreamKey,
) -> hyper::Result<Lease>
where
    I: Read + Write + Unpin + 'static,
{
    let started = Started::default();
    let mut builder = http2::Builder::new(LocalExecutor(started.clone()));
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(HEADER_LIST)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let (sender, connection) = builder.handshake::<_, RequestBody>(io).await?;
    started.push(Box::pin(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to endpoint broke");
        }
    }));
    let mut running = Running::new(started);
    tokio::task::spawn_local(poll_fn(move |cx| running.poll(cx)));
    Ok(Lease::http2(upstreams, sender, key, upstream))
}

/// Starts the futures of an HTTP/2 connection, which run in its task.
#[derive(Clone)]
struct LocalExecutor(Started<Pin<Box<dyn Future<Output = ()>>>>);

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        self.0.push(Box::pin(future));
    }
}
