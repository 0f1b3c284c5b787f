//! What the workers know of upstreams and their endpoints, for diagnosis. Requests pay nothing for it: it reads what they keep
//! anyway.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{Endpoints, Upstream};
use tokio::time::Instant;

use super::balance::UpstreamState;
use super::explain::turn;
use super::health::EndpointState;
use super::resolve::ResolvedNames;

/// The state of an upstream, of all workers together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamReport {
    /// Requests that use a connection or wait for one: what `upstream-max-connections` bounds.
    pub requests: usize,
    /// Requests among them that wait for a new connection: what `upstream-max-pending-requests` bounds.
    pub pending: usize,
    /// Its endpoints; of a name, those that it resolves to.
    pub endpoints: Vec<EndpointReport>,
    /// How an endpoint is chosen, in words.
    pub balance: String,
}

/// The state of an endpoint, of all workers together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointReport {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it gets requests.
    pub state: EndpointState,
    /// Connections that the upstream has opened to it and are open, kept ones too.
    pub connections: usize,
    /// Requests that it has: only where `load-balance` is `least_conn`.
    pub requests: Option<usize>,
    /// Moving average of its response time, if there is one: only where `load-balance` is `ewma`.
    pub average: Option<Duration>,
}

/// The state of `upstream`, with the addresses of its name if `names` are those of its data plane.
pub fn upstream_report(upstream: &Upstream, names: Option<&ResolvedNames>) -> UpstreamReport {
    let endpoints = match &upstream.endpoints {
        Endpoints::None(_) => Vec::new(),
        Endpoints::Addresses(addresses) => addresses.to_vec(),
        Endpoints::Name { host, port } => {
            let known = names.and_then(|names| names.0.known(host));
            let addresses = known.iter().flat_map(|addresses| addresses.iter());
            addresses.map(|ip| SocketAddr::new(*ip, *port)).collect()
        }
    };
    let state = upstream.slot.get::<UpstreamState>();
    let states = states(upstream, &endpoints);
    let averages = state.map(UpstreamState::averages).unwrap_or_default();
    let report = |(address, standing): (SocketAddr, EndpointState)| EndpointReport {
        address,
        state: standing,
        connections: state.map_or(0, |state| state.load.connections(&address)),
        requests: state.and_then(|state| state.in_flight(upstream, &address)),
        average: averages.get(&address).copied(),
    };
    let (requests, pending) = state.map_or((0, 0), |state| state.load.counts());
    UpstreamReport {
        requests,
        pending,
        endpoints: endpoints.iter().copied().zip(states).map(report).collect(),
        balance: turn(upstream),
    }
}

/// The states of these endpoints of `upstream`, in their order.
pub(super) fn states(upstream: &Upstream, endpoints: &[SocketAddr]) -> Vec<EndpointState> {
    let Some(state) = upstream.slot.get::<UpstreamState>() else {
        return vec![EndpointState::Sound; endpoints.len()];
    };
    let mut states = state.health.states(endpoints, Instant::now());
    if let Some(shares) = state.shares(upstream) {
        let sound = endpoints.iter().zip(&mut states);
        for (endpoint, state) in sound.filter(|(_, state)| **state == EndpointState::Sound) {
            if let Some(left) = shares.left(endpoint) {
                *state = EndpointState::Starting((shares.of(endpoint) * 100.0) as u8, left);
            }
        }
    }
    states
}

/// Those of these endpoints that are not sound, in words.
pub(super) fn troubles(upstream: &Arc<Upstream>, endpoints: &[SocketAddr]) -> Vec<String> {
    let states = endpoints.iter().zip(states(upstream, endpoints));
    let troubled = states.filter(|(_, state)| *state != EndpointState::Sound);
    troubled
        .map(|(endpoint, state)| format!("{endpoint}: {state}"))
        .collect()
}
