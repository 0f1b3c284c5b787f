//! Connections to endpoints for bytes that are not HTTP: no pool, no TLS, and no retries once a connection is established.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{Template, Upstream};
use smallvec::SmallVec;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::balance::Selection;
use super::{CallError, SelectionInput, Upstreams};

/// Endpoints that are tried before connecting fails.
const MAX_ATTEMPTS: usize = 3;

impl Upstreams {
    /// A TCP connection to an endpoint of `upstream`, chosen as for a request of `client`. `bound` limits each attempt.
    ///
    /// # Errors
    /// When there is no endpoint, or the last one that was tried cannot be reached.
    pub(crate) async fn connect_raw(
        &self,
        upstream: &Arc<Upstream>,
        client: IpAddr,
        bound: Duration,
    ) -> Result<TcpStream, CallError> {
        let target = self.target(upstream, bound).await?;
        let mut selection = Selection {
            upstreams: self,
            target: &target,
            input: &Client(client),
            cookie: None,
        };
        let mut tried = SmallVec::<[SocketAddr; MAX_ATTEMPTS]>::new();
        let mut failure = CallError::NoEndpoints;
        for _ in 0..target.endpoints.len().min(MAX_ATTEMPTS) {
            let endpoint = selection.next(&tried).ok_or(CallError::NoEndpoints)?;
            match timeout(bound, self.tcp(endpoint)).await {
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
