//! Building one upstream: a Service port with its endpoints (behaviour.md 2.7).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{
    Affinity, Balance, Endpoints, NoEndpoints, Resilience, RetryRate, Slot, Upstream, UpstreamKey,
};

use super::endpoints::{self, EndpointOptions};
use super::service_port::{FIRST_PORT, ServicePort};
use super::upstreams::UpstreamDraft;
use crate::finding::{NO_READY_ENDPOINT, NO_SERVICE};
use crate::objects::{self, Service};
use crate::{Name, Protocol, Snapshot};

/// Inputs for building upstreams.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The objects.
    pub snapshot: &'a Snapshot,
    /// Which endpoints of a Service are used.
    pub options: EndpointOptions,
}

/// How a source configures an upstream.
#[derive(Clone, Debug)]
pub struct UpstreamPolicy {
    /// Name in logs, metrics and affinity cookies.
    pub log_name: Arc<str>,
    /// How an endpoint is chosen.
    pub balance: Balance,
    /// Cookie affinity.
    pub affinity: Option<Arc<Affinity>>,
    /// Bounds on its requests, and when an endpoint is ejected.
    pub resilience: Arc<Resilience>,
    /// Send requests to the Service's own address, where it has one, instead of its endpoints.
    pub cluster_address: bool,
}

impl UpstreamPolicy {
    /// Round robin, without affinity; `<namespace>-<service>-<port>` in logs.
    pub fn plain(port: &ServicePort) -> Self {
        let Name { namespace, name } = &port.service;
        Self {
            log_name: format!("{namespace}-{name}-{}", port.port).into(),
            balance: Balance::RoundRobin,
            affinity: None,
            resilience: Arc::default(),
            cluster_address: false,
        }
    }

    /// The same with this bound on retries, if there is one.
    #[must_use]
    pub fn with_retry_rate(mut self, rate: Option<RetryRate>) -> Self {
        if rate.is_some() {
            Arc::make_mut(&mut self.resilience).retry_rate = rate;
        }
        self
    }
}

/// Problems of an upstream; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamProblem {
    /// Why it has no endpoints, for a finding.
    pub no_endpoints: Option<String>,
    /// Addresses of endpoints that must not get requests.
    pub refused: Vec<IpAddr>,
}

/// Builds the upstream `key` from `draft`. `slot` is that of its former version.
pub(super) fn build(
    key: UpstreamKey,
    draft: &UpstreamDraft,
    policy: UpstreamPolicy,
    inputs: Inputs<'_>,
    slot: Slot,
) -> (Upstream, UpstreamProblem) {
    let service = inputs.snapshot.get::<Service>(&draft.port.service);
    let mut refused = Vec::new();
    let endpoints = match service {
        None => Endpoints::None(NoEndpoints::NoService),
        Some(service) => {
            let lookup = endpoints::Lookup {
                port: &draft.port,
                cluster_address: policy.cluster_address,
                stream: draft.transport.stream_protocol(),
            };
            endpoints::of_service(service, &lookup, inputs, &mut refused)
        }
    };
    let no_endpoints = match &endpoints {
        Endpoints::None(why) => Some(problem(*why, draft, service.map(|known| &**known))),
        Endpoints::Addresses(_) | Endpoints::Name { .. } => None,
    };
    let upstream = Upstream {
        key,
        name: draft.port.id().text(),
        log_name: policy.log_name,
        protocol: draft.transport.protocol(),
        tls: draft.transport.tls().cloned(),
        endpoints,
        balance: policy.balance,
        affinity: policy.affinity,
        client_ip_affinity: service
            .and_then(|service| service.client_ip_affinity)
            .map(|seconds| Duration::from_secs(u64::from(seconds.max(1)))),
        resilience: policy.resilience,
        slot,
    };
    let problem = UpstreamProblem {
        no_endpoints,
        refused,
    };
    (upstream, problem)
}

fn problem(why: NoEndpoints, draft: &UpstreamDraft, service: Option<&Service>) -> String {
    let (name, port) = (&draft.port.service, &*draft.port.port);
    let protocol = draft.transport.stream_protocol();
    let of = protocol.map_or_else(String::new, |protocol| format!("{} ", protocol.as_str()));
    match why {
        NoEndpoints::NoService => format!("{NO_SERVICE}{name}"),
        NoEndpoints::NoPort => {
            let ports = service.iter().flat_map(|service| service.ports.iter());
            let known: Vec<String> = ports.map(|port| describe(port, protocol)).collect();
            match (port, known.is_empty()) {
                (FIRST_PORT, _) => format!("Service {name} has no port"),
                (port, true) => format!("Service {name} has no {of}port {port}"),
                (port, false) => {
                    format!(
                        "Service {name} has no {of}port {port}, only {}",
                        known.join(", ")
                    )
                }
            }
        }
        NoEndpoints::NoneReady if port == FIRST_PORT => {
            format!("Service {name}{NO_READY_ENDPOINT}its first port")
        }
        NoEndpoints::NoneReady => {
            format!("Service {name}{NO_READY_ENDPOINT}port {port}")
        }
        NoEndpoints::RefusedName => {
            let external = service.and_then(|service| service.external_name.as_deref());
            format!(
                "externalName \"{}\" of Service {name} is refused: it must be a DNS name outside this machine, and external names must be enabled",
                external.unwrap_or_default().escape_debug()
            )
        }
    }
}

/// The port of a Service, with its protocol where one is `demanded`.
fn describe(port: &objects::ServicePort, demanded: Option<Protocol>) -> String {
    let protocol = demanded.map_or_else(String::new, |_| format!("/{}", port.protocol.as_str()));
    match &port.name {
        Some(name) => format!("{}{protocol} ({name})", port.port),
        None => format!("{}{protocol}", port.port),
    }
}
