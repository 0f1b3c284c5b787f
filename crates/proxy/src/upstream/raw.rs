//! Connections to endpoints for bytes that are not HTTP: no pool, and no retries once a connection is established.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{StreamSettings, Template, Upstream, UpstreamTls};
use rustix::io::Errno;
use smallvec::SmallVec;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::balance::{Chosen, Selection};
use super::health::failed_by;
use super::load::Counted;
use super::tls::{self, Carries, TlsIdentity};
use super::{CallError, SelectionInput, Upstreams};

/// Bound on connecting to one endpoint, TLS included, as in nginx.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// An attempt to connect to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawAttempt {
    pub(crate) endpoint: SocketAddr,
    /// `None`: it failed.
    pub(crate) connect: Option<Duration>,
    pub(crate) start: Instant,
}

/// A connection to an endpoint.
pub(crate) struct RawConnection {
    pub(crate) io: RawIo,
    /// The stream among the requests of the endpoint, if the balancer counts them.
    _counted: Option<Counted>,
}

/// What the bytes go through.
pub(crate) enum RawIo {
    /// The kernel can move them.
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
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
    /// A TCP connection to an endpoint of `upstream`, chosen as for a request of `client`; each endpoint is tried once. It is
    /// over TLS if `upstream` has settings for it, unless the bytes are TLS already. Adds to `attempts`.
    ///
    /// # Errors
    /// When there is no endpoint, or the last one that was tried cannot be reached.
    pub(crate) async fn connect_raw(
        &self,
        upstream: &Arc<Upstream>,
        client: IpAddr,
        (tries, is_tls): (Tries, bool),
        attempts: &RefCell<RawAttempts>,
    ) -> Result<RawConnection, CallError> {
        let settings = upstream.tls.as_ref().filter(|_| !is_tls);
        let connect = async |endpoint| {
            let connected = async {
                match settings {
                    None => self.tcp(endpoint).await.map(RawIo::Plain),
                    // Boxed, lest the handshake make the future of every stream large.
                    Some(settings) => Box::pin(self.over_tls(upstream, settings, endpoint)).await,
                }
            };
            match timeout(CONNECT_TIMEOUT, connected).await {
                Ok(connected) => connected,
                Err(elapsed) => Err(elapsed.into()),
            }
        };
        let connected = self.connect_each(upstream, (client, tries), attempts, connect);
        connected.await.map(|(io, counted)| RawConnection {
            io,
            _counted: counted,
        })
    }

    async fn over_tls(
        &self,
        upstream: &Upstream,
        settings: &Arc<UpstreamTls>,
        endpoint: SocketAddr,
    ) -> io::Result<RawIo> {
        let identity = TlsIdentity::new(Some(settings), upstream);
        let handshake = tls::handshake(Some(settings), &identity, endpoint, Carries::Stream);
        let (config, name) = handshake.map_err(io::Error::other)?;
        let stream = self.tcp(endpoint).await?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(RawIo::Tls(Box::new(stream)))
    }

    /// A socket for datagrams to and from an endpoint of `upstream` that is not among `attempts`, chosen likewise. If the
    /// system has no port or file left for it, `make_room` may free one: then it is tried once more.
    ///
    /// # Errors
    /// When there is no further endpoint, or `tries` allow none.
    pub(crate) async fn connect_datagrams(
        &self,
        upstream: &Arc<Upstream>,
        (client, tries): (IpAddr, Tries),
        attempts: &RefCell<RawAttempts>,
        make_room: impl AsyncFn() -> bool,
    ) -> Result<UdpSocket, CallError> {
        let connect =
            async |endpoint| with_room(async || self.udp(endpoint).await, &make_room).await;
        // Datagrams are of services of their own, which are balanced in turn: nothing is counted.
        let connected = self.connect_each(upstream, (client, tries), attempts, connect);
        connected.await.map(|(socket, _)| socket)
    }

    /// The result of `connect` for the first endpoint that can be reached.
    async fn connect_each<T>(
        &self,
        upstream: &Arc<Upstream>,
        (client, tries): (IpAddr, Tries),
        attempts: &RefCell<RawAttempts>,
        connect: impl AsyncFn(SocketAddr) -> io::Result<T>,
    ) -> Result<(T, Option<Counted>), CallError> {
        let target = self.target(upstream, CONNECT_TIMEOUT).await?;
        let mut selection = Selection {
            upstreams: self,
            target: &target,
            input: &Client(client),
            cookie: None,
        };
        let mut tried = tried(&attempts.borrow());
        let mut failure = CallError::NoEndpoints;
        while tried.len() < target.endpoints.len() && tries.allow(tried.len()) {
            let chosen = selection.next(&tried).ok_or(CallError::NoEndpoints)?;
            let Chosen { endpoint, counted } = chosen;
            let start = Instant::now();
            let connected = connect(endpoint).await;
            attempts.borrow_mut().push(RawAttempt {
                endpoint,
                connect: connected.is_ok().then(|| start.elapsed()),
                start,
            });
            match connected {
                Ok(connected) => {
                    target.state.succeeded(upstream, endpoint, start);
                    return Ok((connected, counted));
                }
                Err(error) => {
                    if let Some(how) = failed_by(&error) {
                        let (health, all) = (&target.state.health, target.endpoints.len());
                        health.report(upstream, endpoint, how, all);
                    }
                    tracing::debug!(%endpoint, %error, "cannot connect to endpoint");
                    failure = match error.kind() {
                        io::ErrorKind::TimedOut => CallError::ConnectTimeout,
                        _ => CallError::Connect,
                    };
                }
            }
            tried.push(endpoint);
        }
        Err(failure)
    }
}

/// The result of `open`. If the system has no port or file left, and `make_room` frees one, that of a second try.
async fn with_room<T>(
    open: impl AsyncFn() -> io::Result<T>,
    make_room: impl AsyncFn() -> bool,
) -> io::Result<T> {
    match open().await {
        Err(error) if is_shortage(&error) && make_room().await => open().await,
        result => result,
    }
}

/// Whether the system has no port or file left.
fn is_shortage(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::ADDRINUSE | Errno::MFILE | Errno::NFILE)
    )
}

fn tried(attempts: &RawAttempts) -> SmallVec<[SocketAddr; 4]> {
    attempts.iter().map(|attempt| attempt.endpoint).collect()
}

/// The selection input of a stream: its client.
pub(super) struct Client(pub(super) IpAddr);

impl SelectionInput for Client {
    fn client(&self) -> IpAddr {
        self.0
    }

    /// Streams are hashed by their client, whatever requests are hashed by.
    fn evaluate(&self, _template: &Template) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The errors of `fails` calls, whether there is room to make, and then the number of calls and the outcome.
    async fn outcome(error: Errno, fails: usize, room: bool) -> (usize, bool) {
        let calls = Cell::new(0);
        let open = async || {
            calls.set(calls.get() + 1);
            match calls.get() > fails {
                true => Ok(()),
                false => Err(io::Error::from(error)),
            }
        };
        let opened = with_room(open, async || room).await;
        (calls.get(), opened.is_ok())
    }

    #[tokio::test]
    async fn a_shortage_of_the_system_is_met_with_room_once() {
        for error in [Errno::ADDRINUSE, Errno::MFILE, Errno::NFILE] {
            assert_eq!(outcome(error, 1, true).await, (2, true));
            assert_eq!(outcome(error, 2, true).await, (2, false));
            assert_eq!(outcome(error, 1, false).await, (1, false));
        }
        assert_eq!(outcome(Errno::CONNREFUSED, 1, true).await, (1, false));
    }
}
