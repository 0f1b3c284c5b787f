//! Connections that carry no requests for the proxy: TCP and UDP services, and TLS that is passed through.

use std::net::SocketAddr;
use std::sync::Arc;

use headgate_table::{
    Listener, RoutingTable, Split, StreamRoute, TlsRoute, UdpListener, UpstreamKey,
};
use http::Uri;

use super::backends::{Dice, weights};
use super::losers;
use super::stage::{Stage, is_at, worker};
use crate::explanation::{
    ChosenListener, ExplainRequest, Explanation, Outcome, PossibleBackend, Step, StepResult,
};
use crate::stream;

/// The transport of a URL that names a port of a TCP or UDP service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    /// That of `tcp://` and `udp://` URLs.
    pub(super) fn of(url: &Uri) -> Option<Self> {
        match url.scheme_str()? {
            "tcp" => Some(Self::Tcp),
            "udp" => Some(Self::Udp),
            _ => None,
        }
    }
}

/// What would happen to a connection to the port of `request`, or to a datagram.
pub(super) fn of_port(
    table: &Arc<RoutingTable>,
    request: &ExplainRequest,
    transport: Transport,
) -> Explanation {
    let mut explanation = Explanation::default();
    let Some(found) = find(table, request, transport) else {
        losers::listeners(table, request, &mut explanation.losers);
        return explanation;
    };
    explanation.listener = Some(ChosenListener {
        address: found.address,
        scheme: match transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        },
    });
    if found.tcp.is_some_and(|route| route.accepts_proxy) {
        let detail = "every connection begins with a PROXY header; others are closed";
        explanation.steps.push(proxy_step(detail));
    }
    if found.tcp.is_some_and(|route| route.sends_proxy) {
        let detail = "the endpoint gets a PROXY header, version 1";
        explanation.steps.push(proxy_step(detail));
    }
    backends(table, request, found.backends, &mut explanation);
    explanation.outcome = match explanation.backends.is_empty() {
        true => Outcome::Closed,
        false => Outcome::Streamed,
    };
    explanation
}

/// The socket of a TCP or UDP service.
struct Found<'t> {
    address: SocketAddr,
    backends: &'t Split,
    tcp: Option<&'t StreamRoute>,
}

fn find<'t>(
    table: &'t RoutingTable,
    request: &ExplainRequest,
    transport: Transport,
) -> Option<Found<'t>> {
    let port = request.url.port_u16()?;
    match transport {
        Transport::Tcp => {
            let here = |listener: &&Listener| is_at(listener, port);
            let mut routes = table.listeners().iter().filter(here).filter_map(|one| {
                let route = one.socket.stream()?;
                Some(Found {
                    address: one.address,
                    backends: &route.backends,
                    tcp: Some(route),
                })
            });
            routes.next()
        }
        Transport::Udp => {
            let here = |listener: &&UdpListener| listener.address.port() == port;
            let listener = table.udp_listeners().iter().find(here)?;
            Some(Found {
                address: listener.address,
                backends: &listener.backends,
                tcp: None,
            })
        }
    }
}

fn proxy_step(detail: &str) -> Step {
    Step {
        name: "PROXY protocol",
        result: StepResult::Passes,
        detail: detail.to_owned(),
    }
}

/// What would happen to a TLS connection that is forwarded; the server name of the handshake alone decides that.
pub(super) fn of_tls(
    stage: &Stage<'_>,
    (route, split): (&TlsRoute, &Arc<Split>),
    explanation: &mut Explanation,
) {
    explanation.host = stage.forwarded_host(split);
    let is_terminated = route.terminate().is_some();
    let (name, how) = match is_terminated {
        true => (
            "TLS termination",
            "after the handshake the bytes are forwarded",
        ),
        false => ("TLS passthrough", "the connection is forwarded undecrypted"),
    };
    explanation.steps.push(Step {
        name,
        result: StepResult::Passes,
        detail: format!("{how}, so no other step applies"),
    });
    backends(stage.table, stage.request, split, explanation);
    explanation.outcome = match (explanation.backends.is_empty(), is_terminated) {
        (true, _) => Outcome::Closed,
        (false, true) => Outcome::Streamed,
        (false, false) => Outcome::PassedThrough,
    };
}

/// The backends that the weights may choose, with the endpoints that each may choose.
fn backends(
    table: &Arc<RoutingTable>,
    request: &ExplainRequest,
    split: &Split,
    explanation: &mut Explanation,
) {
    let worker = worker(table, request);
    let only = || vec![Dice::only("the only backend".to_owned())];
    for dice in split.alternatives().map_or_else(only, weights) {
        let upstreams = &worker.upstreams;
        let Some(upstream) = stream::by_dice(split, table, upstreams, |_| dice.number) else {
            continue;
        };
        let is = |key: Option<&UpstreamKey>| key == Some(&upstream.key);
        let role = if is(split.primary().upstream()) {
            "primary"
        } else if is(split.fallback()) {
            "fallback"
        } else {
            "canary"
        };
        let choice = upstreams.choice_of_stream(upstream, request.client);
        explanation.backends.push(PossibleBackend {
            name: upstream.name.clone(),
            role,
            because: dice.because,
            endpoints: choice.endpoints,
            balance: choice.balance,
            troubles: choice.troubles,
        });
    }
}
