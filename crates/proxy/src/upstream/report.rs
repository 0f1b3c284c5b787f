//! What the workers know of upstreams and their endpoints, for diagnosis. Requests pay nothing for it: it reads what they keep
//! anyway.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{Endpoints, Upstream};
use tokio::time::Instant;

use super::balance::UpstreamState;
use super::resolve::ResolvedNames;

/// The state of an upstream, of all workers together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamReport {
    /// Requests that use a connection or wait for one: what `upstream-max-connections` bounds.
    pub requests: usize,
    /// Requests among them that wait for a new connection: what `upstream-max-pending-requests` bounds.
    pub pending: usize,
    /// Its endpoints; of a name, those that it resolves to.
    pub endpoints: Vec<(SocketAddr, EndpointState)>,
}

/// What is known of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// It gets requests: it has not failed, or a success has followed.
    Sound,
    /// It gets requests, and has failed this many in a row.
    Failing(u32),
    /// It could not be connected to, and is left out for this time; after that one request at a time tries it.
    Unreachable(Duration),
    /// It has failed this many requests in a row, and is ejected for this time; after that one request at a time tries it.
    Ejected(u32, Duration),
    /// Its health checks have failed: it is left out until they pass.
    Unhealthy,
}

impl EndpointState {
    /// For programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Failing(_) => "failing",
            Self::Unreachable(_) => "unreachable",
            Self::Ejected(..) => "ejected",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// Consecutive failures, where they decide.
    pub fn failures(&self) -> Option<u32> {
        match self {
            Self::Failing(failures) | Self::Ejected(failures, _) => Some(*failures),
            Self::Sound | Self::Unreachable(_) | Self::Unhealthy => None,
        }
    }

    /// How long it is left out; zero: it is due for a trial.
    pub fn left_out(&self) -> Option<Duration> {
        match self {
            Self::Unreachable(time) | Self::Ejected(_, time) => Some(*time),
            Self::Sound | Self::Failing(_) | Self::Unhealthy => None,
        }
    }
}

impl fmt::Display for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = |time: &Duration| match time.as_secs_f32().ceil() {
            0.0 => "until a request has tried it".to_owned(),
            seconds => format!("for {seconds} s"),
        };
        let in_a_row = |failures: &u32| match failures {
            1 => "1 failure".to_owned(),
            failures => format!("{failures} failures in a row"),
        };
        match self {
            Self::Sound => f.write_str("sound"),
            Self::Failing(failures) => f.write_str(&in_a_row(failures)),
            Self::Unreachable(time) => {
                write!(f, "cannot be connected to, left out {}", until(time))
            }
            Self::Ejected(failures, time) => {
                write!(f, "{}, ejected {}", in_a_row(failures), until(time))
            }
            Self::Unhealthy => f.write_str("left out until its health checks pass"),
        }
    }
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
    let (requests, pending) = state.map_or((0, 0), |state| state.load.counts());
    UpstreamReport {
        requests,
        pending,
        endpoints: endpoints.into_iter().zip(states).collect(),
    }
}

/// The states of these endpoints of `upstream`, in their order.
pub(super) fn states(upstream: &Upstream, endpoints: &[SocketAddr]) -> Vec<EndpointState> {
    match upstream.slot.get::<UpstreamState>() {
        Some(state) => state.health.states(endpoints, Instant::now()),
        None => vec![EndpointState::Sound; endpoints.len()],
    }
}

/// Those of these endpoints that are not sound, in words.
pub(super) fn troubles(upstream: &Arc<Upstream>, endpoints: &[SocketAddr]) -> Vec<String> {
    let states = endpoints.iter().zip(states(upstream, endpoints));
    let troubled = states.filter(|(_, state)| *state != EndpointState::Sound);
    troubled
        .map(|(endpoint, state)| format!("{endpoint}: {state}"))
        .collect()
}
