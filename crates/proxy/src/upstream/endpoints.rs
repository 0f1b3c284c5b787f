//! The addresses behind an upstream right now.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{Endpoints, Upstream};

use super::balance::{Resolved, UpstreamState};
use super::{ForwardError, address};
use crate::worker::Worker;

/// Whether a request to `upstream` would have somewhere to go. A name that nobody asked for yet counts as resolvable.
pub(crate) fn has_endpoints(worker: &Worker, upstream: &Upstream) -> bool {
    let loopback = worker.shared.config.loopback_upstreams;
    match &upstream.endpoints {
        Endpoints::None(_) => false,
        Endpoints::Addresses(addresses) => addresses
            .iter()
            .any(|a| address::is_allowed(a.ip(), loopback)),
        Endpoints::Name { host, .. } => worker
            .shared
            .resolver
            .known(host)
            .is_none_or(|addresses| !addresses.is_empty()),
    }
}

/// The endpoints of a name, resolved if that has not been done; waits `bound` at most.
pub(super) async fn of_name(
    worker: &Worker,
    state: &UpstreamState,
    (host, port): (&Arc<str>, u16),
    bound: Duration,
) -> Result<Arc<[SocketAddr]>, ForwardError> {
    let addresses = worker.shared.resolver.addresses(host, bound).await;
    if addresses.is_empty() {
        return Err(ForwardError::NoEndpoints);
    }
    let resolved = state.resolved.load();
    if let Some(resolved) = resolved.as_deref()
        && Arc::ptr_eq(&resolved.addresses, &addresses)
        && resolved
            .endpoints
            .first()
            .is_some_and(|endpoint| endpoint.port() == port)
    {
        return Ok(resolved.endpoints.clone());
    }
    let endpoints: Arc<[SocketAddr]> = with_port(&addresses, port);
    state.resolved.store(Some(Arc::new(Resolved {
        addresses,
        endpoints: endpoints.clone(),
    })));
    Ok(endpoints)
}

fn with_port(addresses: &[IpAddr], port: u16) -> Arc<[SocketAddr]> {
    addresses
        .iter()
        .map(|address| SocketAddr::new(*address, port))
        .collect()
}
