//! Upstreams with what the data plane knows of their endpoints.

use headgate_console::model::{Endpoint, RouteBackend};
use headgate_proxy::{EndpointReport, EndpointState, ResolvedNames, upstream_report};
use headgate_table::{
    Backend, BackendProtocol, Balance, Endpoints, RoutingTable, Split, Target, Upstream,
};

/// Endpoints of the upstreams of a target that get requests, and all of them; those of names are not known.
pub(super) fn ready(table: &RoutingTable, target: &Target) -> (usize, usize) {
    let keys: Vec<_> = match target {
        Target::Forward(split) => split.backends().filter_map(Backend::upstream).collect(),
        Target::DefaultBackend(key) => key.iter().collect(),
        Target::Closed(_) => Vec::new(),
    };
    let upstreams = keys.into_iter().filter_map(|key| table.upstream(key));
    let counts = upstreams.map(|upstream| counts(upstream));
    counts.fold((0, 0), |(ready, all), (more_ready, more)| {
        (ready + more_ready, all + more)
    })
}

/// Endpoints of an upstream that get requests, and all of them.
pub(super) fn counts(upstream: &Upstream) -> (usize, usize) {
    let report = upstream_report(upstream, None);
    (ready_of(&report.endpoints), report.endpoints.len())
}

fn ready_of(endpoints: &[EndpointReport]) -> usize {
    let ready = endpoints.iter().filter(|one| is_ready(&one.state));
    ready.count()
}

fn is_ready(state: &EndpointState) -> bool {
    state.share().is_some()
}

/// The backends of a target.
pub(super) fn backends(
    table: &RoutingTable,
    target: &Target,
    names: Option<&ResolvedNames>,
) -> Vec<RouteBackend> {
    match target {
        Target::Closed(_) => Vec::new(),
        Target::DefaultBackend(key) => {
            let upstream = key.as_ref().and_then(|key| table.upstream(key));
            let backend = upstream.map(|upstream| of(upstream, ("defaultBackend", None), names));
            backend.into_iter().collect()
        }
        Target::Forward(split) => of_split(table, split, names),
    }
}

fn of_split(
    table: &RoutingTable,
    split: &Split,
    names: Option<&ResolvedNames>,
) -> Vec<RouteBackend> {
    let shares = shares(split);
    let roles = std::iter::once("primary").chain(std::iter::repeat("canary"));
    let backends = split.backends().zip(roles).zip(shares);
    let backends = backends.map(|((backend, role), share)| match backend.upstream() {
        Some(key) => table.upstream(key).map_or_else(
            || missing(key.as_str(), role, share),
            |upstream| of(upstream, (role, Some(share)), names),
        ),
        None => missing("", role, share),
    });
    let fallback = split.fallback().and_then(|key| table.upstream(key));
    let fallback = fallback.map(|upstream| of(upstream, ("fallback", None), names));
    backends.chain(fallback).collect()
}

/// The configured shares of the backends of a split, from 0 to 1, the primary first.
pub(super) fn shares(split: &Split) -> Vec<f64> {
    let Some(others) = split.alternatives() else {
        return vec![1.0];
    };
    let total = f64::from(others.total());
    let mut shares = vec![0.0];
    shares.extend(
        others
            .list()
            .iter()
            .map(|other| f64::from(other.weight) / total),
    );
    let rest = 1.0 - shares.iter().sum::<f64>();
    if let Some(primary) = shares.first_mut() {
        *primary = rest.max(0.0);
    }
    shares
}

fn missing(name: &str, role: &str, share: f64) -> RouteBackend {
    RouteBackend {
        name: name.to_owned(),
        role: role.to_owned(),
        share: Some(share),
        problem: "it is not in the table: the response is an error".to_owned(),
        ..RouteBackend::default()
    }
}

fn of(
    upstream: &Upstream,
    (role, share): (&str, Option<f64>),
    names: Option<&ResolvedNames>,
) -> RouteBackend {
    let report = upstream_report(upstream, names);
    let shares = report.endpoints.iter();
    let shares = shares.filter_map(|known| known.state.share());
    let in_turn = is_in_turn(upstream).then(|| shares.map(f64::from).sum());
    let endpoints = report.endpoints.iter();
    let endpoints = endpoints.map(|known| endpoint(known, in_turn));
    RouteBackend {
        name: upstream.name.to_string(),
        role: role.to_owned(),
        share,
        protocol: protocol(upstream.protocol).to_owned(),
        problem: match &upstream.endpoints {
            Endpoints::None(why) => why.to_string(),
            Endpoints::Name { host, .. } if report.endpoints.is_empty() => {
                format!("{host} has not been resolved")
            }
            Endpoints::Addresses(_) | Endpoints::Name { .. } => String::new(),
        },
        endpoints: endpoints.collect(),
        requests: report.requests,
        pending: report.pending,
        balance: report.balance,
    }
}

fn endpoint(known: &EndpointReport, in_turn: Option<f64>) -> Endpoint {
    let state = &known.state;
    Endpoint {
        address: known.address.to_string(),
        state: state.as_str().to_owned(),
        detail: state.to_string(),
        failures: state.failures(),
        left_out_seconds: state.left_out().map(|time| time.as_secs()),
        share: in_turn.map(|all| f64::from(state.share().unwrap_or(0)) / all.max(1.0)),
        connections: known.connections,
        average_seconds: known.average.map(|time| time.as_secs_f64()),
    }
}

/// Whether each ready endpoint gets as many requests as the others.
fn is_in_turn(upstream: &Upstream) -> bool {
    upstream.balance == Balance::RoundRobin
        && upstream.affinity.is_none()
        && upstream.client_ip_affinity.is_none()
}

/// As the annotation `backend-protocol` has it.
fn protocol(protocol: BackendProtocol) -> &'static str {
    match protocol {
        BackendProtocol::Http => "HTTP",
        BackendProtocol::Https => "HTTPS",
        BackendProtocol::AutoHttp => "AUTO_HTTP",
        BackendProtocol::Grpc => "GRPC",
        BackendProtocol::Grpcs => "GRPCS",
        BackendProtocol::FastCgi => "FCGI",
    }
}
