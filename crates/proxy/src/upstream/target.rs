//! The target of a call: an upstream with its current endpoints.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{Endpoints, Upstream, may_be_endpoint};

use super::balance::{Resolved, UpstreamState};
use super::{CallError, Upstreams};

/// An upstream that has endpoints.
pub(crate) struct Target<'c> {
    pub(super) upstream: &'c Arc<Upstream>,
    pub(super) state: &'c UpstreamState,
    pub(super) endpoints: Addresses<'c>,
}

/// Addresses of endpoints.
pub(super) enum Addresses<'c> {
    /// As the table has them.
    Listed(&'c Arc<[SocketAddr]>),
    /// As a name resolves.
    Resolved(Arc<[SocketAddr]>),
}

impl Deref for Addresses<'_> {
    type Target = Arc<[SocketAddr]>;

    fn deref(&self) -> &Arc<[SocketAddr]> {
        match self {
            Self::Listed(addresses) => addresses,
            Self::Resolved(addresses) => addresses,
        }
    }
}

impl Upstreams {
    /// Whether `upstream` has endpoints. A name that was never resolved counts as one that does.
    pub(crate) fn has_endpoints(&self, upstream: &Upstream) -> bool {
        match &upstream.endpoints {
            Endpoints::None(_) => false,
            Endpoints::Addresses(addresses) => addresses
                .iter()
                .any(|a| may_be_endpoint(a.ip(), self.environment.loopback)),
            Endpoints::Name { host, .. } => self
                .environment
                .resolver
                .known(host)
                .is_none_or(|addresses| !addresses.is_empty()),
        }
    }

    /// `upstream` with its endpoints. Waits for the first resolution of a name, at most for `bound`.
    ///
    /// # Errors
    /// [`CallError::NoEndpoints`].
    pub(crate) async fn target<'c>(
        &self,
        upstream: &'c Arc<Upstream>,
        bound: Duration,
    ) -> Result<Target<'c>, CallError> {
        let state = UpstreamState::of(upstream, self.environment.workers)?;
        let endpoints = match &upstream.endpoints {
            Endpoints::None(_) => return Err(CallError::NoEndpoints),
            Endpoints::Addresses(addresses) => Addresses::Listed(addresses),
            Endpoints::Name { host, port } => {
                let resolver = &self.environment.resolver;
                resolver.set_ipv4_only(self.table.get().settings.ipv4_only_names);
                let addresses = resolver.addresses(host, bound).await;
                Addresses::Resolved(of_name(state, addresses, *port)?)
            }
        };
        Ok(Target {
            upstream,
            state,
            endpoints,
        })
    }
}

/// `addresses` with `port`: the same set as last time while they are the same, so that views of it stay.
fn of_name(
    state: &UpstreamState,
    addresses: Arc<[IpAddr]>,
    port: u16,
) -> Result<Arc<[SocketAddr]>, CallError> {
    if addresses.is_empty() {
        return Err(CallError::NoEndpoints);
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
    let endpoints: Arc<[SocketAddr]> = addresses
        .iter()
        .map(|address| SocketAddr::new(*address, port))
        .collect();
    state.resolved.store(Some(Arc::new(Resolved {
        addresses,
        endpoints: endpoints.clone(),
    })));
    Ok(endpoints)
}
