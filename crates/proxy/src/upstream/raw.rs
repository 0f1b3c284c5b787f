//! Connections to endpoints for bytes that are not HTTP: no pool, no TLS, and no retries once a connection is established.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{StreamSettings, Template, Upstream};
use smallvec::SmallVec;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

use super::balance::Selection;
use super::{CallError, SelectionInput, Upstreams};

/// Bound on connecting to one endpoint, as in nginx.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// An attempt to connect to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawAttempt {
    pub(crate) endpoint: SocketAddr,
    /// `None`: it failed.
    pub(crate) connect: Option<Duration>,
    pub(crate) start: Instant,
}

/// The attempts of a session.
pub(crate) type RawAttempts = SmallVec<[RawAttempt; 1]>;

/// How often and how long connecting is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tries {
    most: usize,
    /// No attempt begins after this.
    until: Option<Instant>,
}

impl Tries {
    /// From now on.
    pub(crate) fn new(settings: &StreamSettings) -> Self {
        Self {
            most: settings
                .tries
                .map_or(usize::MAX, |tries| tries.get() as usize),
            until: settings
                .tries_timeout
                .and_then(|bound| Instant::now().checked_add(bound)),
        }
    }

    /// Whether there may be an attempt after `made` ones.
    fn allow(self, made: usize) -> bool {
        made < self.most && (made == 0 || self.until.is_none_or(|until| Instant::now() < until))
    }
}

impl Upstreams {
    /// A TCP connection to an endpoint of `upstream`, chosen as for a request of `client`; each endpoint is tried once. Adds
    /// to `attempts`.
    ///
    /// # Errors
    /// When there is no endpoint, or the last one that was tried cannot be reached.
    pub(crate) async fn connect_raw(
        &self,
        upstream: &Arc<Upstream>,
        client: IpAddr,
        tries: Tries,
        attempts: &mut RawAttempts,
    ) -> Result<TcpStream, CallError> {
        let target = self.target(upstream, CONNECT_TIMEOUT).await?;
        let mut selection = Selection {
            upstreams: self,
            target: &target,
            input: &Client(client),
            cookie: None,
        };
        let mut tried = tried(attempts);
        let mut failure = CallError::NoEndpoints;
        while tried.len() < target.endpoints.len() && tries.allow(tried.len()) {
            let endpoint = selection.next(&tried).ok_or(CallError::NoEndpoints)?;
            let start = Instant::now();
            let connected = timeout(CONNECT_TIMEOUT, self.tcp(endpoint)).await;
            attempts.push(RawAttempt {
                endpoint,
                connect: matches!(connected, Ok(Ok(_))).then(|| start.elapsed()),
                start,
            });
            match connected {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => {
                    tracing::debug!(%endpoint, %error, "cannot connect to endpoint");
                    failure = CallError::Connect;
                }
                Err(_) => failure = CallError::ConnectTimeout,
            }
            tried.push(endpoint);
        }
        Err(failure)
    }

    /// A socket for datagrams to and from an endpoint of `upstream` that is not among `attempts`, chosen likewise.
    ///
    /// # Errors
    /// When there is no further endpoint, or `tries` allow none.
    pub(crate) async fn connect_datagrams(
        &self,
        upstream: &Arc<Upstream>,
        client: IpAddr,
        tries: Tries,
        attempts: &mut RawAttempts,
    ) -> Result<UdpSocket, CallError> {
        let target = self.target(upstream, CONNECT_TIMEOUT).await?;
        let mut selection = Selection {
            upstreams: self,
            target: &target,
            input: &Client(client),
            cookie: None,
        };
        let mut tried = tried(attempts);
        let mut failure = CallError::NoEndpoints;
        while tried.len() < target.endpoints.len() && tries.allow(tried.len()) {
            let endpoint = selection.next(&tried).ok_or(CallError::NoEndpoints)?;
            let start = Instant::now();
            let connected = self.udp(endpoint).await;
            attempts.push(RawAttempt {
                endpoint,
                connect: connected.is_ok().then(|| start.elapsed()),
                start,
            });
            match connected {
                Ok(socket) => return Ok(socket),
                Err(error) => {
                    tracing::debug!(%endpoint, %error, "cannot send datagrams to endpoint");
                    failure = CallError::Connect;
                }
            }
            tried.push(endpoint);
        }
        Err(failure)
    }
}

fn tried(attempts: &RawAttempts) -> SmallVec<[SocketAddr; 4]> {
    attempts.iter().map(|attempt| attempt.endpoint).collect()
}

/// The selection input of a stream: its client.
struct Client(IpAddr);

impl SelectionInput for Client {
    fn client(&self) -> IpAddr {
        self.0
    }

    /// Streams are hashed by their client, whatever requests are hashed by.
    fn evaluate(&self, _template: &Template) -> String {
        self.0.to_string()
    }
}
