//! Connecting a session to an endpoint, while its client may leave.

use std::rc::Rc;
use std::sync::Arc;

use headgate_table::RoutingTable;
use tokio::io::Interest;
use tokio::time::{Duration, sleep};

use super::{Destination, Kind, Stream, choose};
use crate::telemetry::stream_session::BAD_GATEWAY;
use crate::upstream::{RawConnection, Tries};
use crate::worker::Worker;

#[cfg(test)]
mod tests;

/// How long connecting goes on for a client that closed its direction before it sent a byte. It may be gone, or wait for what
/// the service says.
const SAID_NOTHING: Duration = Duration::from_secs(1);

/// A connection to an endpoint of one of the backends, unless there is none or the client leaves first. The session fails
/// without an endpoint; it does not if the client leaves, as in nginx.
pub(super) async fn connect(
    stream: &Stream,
    table: Rc<Arc<RoutingTable>>,
    worker: &Worker,
) -> Option<RawConnection> {
    let destination = Destination {
        backends: &stream.backends,
        session: &stream.session,
        is_tls: stream.kind == Kind::Passthrough,
    };
    tokio::select! {
        biased;
        connected = to_endpoint(destination, table, worker) => {
            if connected.is_none() {
                stream.session.status.set(BAD_GATEWAY);
            }
            connected
        }
        () = until_client_leaves(stream) => {
            tracing::debug!(client = %stream.session.facts.client, "a client left before it had an endpoint");
            None
        }
    }
}

/// A connection to an endpoint of one of the backends, unless there is none.
pub(super) async fn to_endpoint(
    destination: Destination<'_>,
    table: Rc<Arc<RoutingTable>>,
    worker: &Worker,
) -> Option<RawConnection> {
    let Destination {
        backends,
        session,
        is_tls,
    } = destination;
    let upstreams = &worker.upstreams;
    let upstream = choose(backends, &table, upstreams)?.clone();
    let tries = Tries::new(&table.settings.streams);
    drop(table);
    session.upstream.replace(Some(upstream.log_name.clone()));
    let client = session.facts.client.ip();
    upstreams
        .connect_raw(&upstream, client, (tries, is_tls), &session.attempts)
        .await
        .inspect_err(|error| {
            tracing::debug!(upstream = %upstream.key, %error, "cannot connect a stream to an endpoint");
        })
        .ok()
}

/// Returns when a connection to an endpoint has become useless: the client has reset its own, or closed its direction
/// without having sent what a service could process.
async fn until_client_leaves(stream: &Stream) {
    let Stream { io, ahead, .. } = stream;
    // Ready when the client closes its direction or resets the connection, unlike `READABLE` not for bytes, which are left to
    // the relay.
    if io.ready(Interest::PRIORITY).await.is_err() {
        return;
    }
    match stream.kind {
        // No TLS handshake is complete without further bytes of the client.
        Kind::Passthrough => {}
        Kind::Service if ahead.is_empty() && matches!(io.peek(&mut [0]).await, Ok(0)) => {
            sleep(SAID_NOTHING).await;
        }
        // What it has sent is for the service; only a reset ends it.
        Kind::Service => drop(io.ready(Interest::ERROR).await),
    }
}
