//! Streams: connections whose bytes are passed on to a backend, including TLS if there is any.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{
    Arm, Backend, Pick, RoutingTable, RuleInput, Split, Unavailable, Upstream, UpstreamKey,
};
use http::HeaderName;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::upstream::{self, Upstreams};

/// Bound on connecting to one endpoint.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A stream ends when both sides are silent for this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// A connection that is passed on.
pub(crate) struct Stream<S> {
    /// The connection, from its first byte.
    pub(crate) io: S,
    pub(crate) client: IpAddr,
    /// The backends to choose from.
    pub(crate) split: Arc<Split>,
    /// The table that `split` is from; released when the upstream is chosen.
    pub(crate) table: Rc<Arc<RoutingTable>>,
}

impl<S: AsyncRead + AsyncWrite> Stream<S> {
    /// Copies bytes both ways until both sides are done. Without a backend the connection is closed.
    pub(crate) async fn pass_on(self, upstreams: &Upstreams) {
        let Some(upstream) = choose(&self.split, &self.table, upstreams).cloned() else {
            return;
        };
        drop(self.table);
        let endpoint = upstreams.connect_raw(&upstream, self.client, CONNECT_TIMEOUT);
        match endpoint.await {
            Ok(endpoint) => {
                upstream::relay(self.io, endpoint, IDLE_TIMEOUT, &Cell::new(0)).await;
            }
            Err(error) => {
                tracing::debug!(upstream = %upstream.key, %error, "cannot connect a stream to an endpoint");
            }
        }
    }
}

/// The upstream that the weights pick; `None`: no endpoints, or a status, which a stream cannot express.
fn choose<'t>(
    split: &Split,
    table: &'t RoutingTable,
    upstreams: &Upstreams,
) -> Option<&'t Arc<Upstream>> {
    let with_endpoints = |key: &UpstreamKey| {
        table
            .upstream(key)
            .filter(|upstream| upstreams.has_endpoints(upstream))
    };
    let usable = |backend: &Backend| backend.upstream().and_then(with_endpoints);
    let primary = || match &split.primary().arm {
        Arm::Upstream(key) => {
            with_endpoints(key).or_else(|| split.fallback().and_then(with_endpoints))
        }
        Arm::Status(_) => None,
    };
    let picked = split.alternatives().and_then(|others| {
        match others.pick(&NoFields, fastrand::u32(1..=others.total())) {
            Pick::Alternative(index) => others.get(index),
            Pick::Primary => None,
        }
    });
    let Some(other) = picked else {
        return primary();
    };
    match (&other.backend.arm, other.unavailable) {
        (Arm::Upstream(_), Unavailable::UsePrimary) => usable(&other.backend).or_else(primary),
        _ => usable(&other.backend),
    }
}

/// The input of rules: a stream has no headers or cookies.
struct NoFields;

impl RuleInput for NoFields {
    fn header(&self, _name: &HeaderName) -> Option<&[u8]> {
        None
    }

    fn cookie(&self, _name: &str) -> Option<&str> {
        None
    }
}
