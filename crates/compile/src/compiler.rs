//! Compiles all objects: from a snapshot and its changes to the next table, at a cost proportional to the changes.
//!
//! Each source of routes compiles its objects to hosts, upstreams and listeners of the one table. What no change affects is
//! shared with the former state. Full compilation runs the same phases with everything changed, so tests compare incremental
//! compilation with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use headgate_table::{Certificate, RoutingTable, UpstreamKey};

use crate::build::certificates::Certificates;
use crate::build::service_port::FIRST_PORT;
use crate::build::{Builder, ServicePort, Transport, UpstreamDraft};
use crate::finding::Finding;
use crate::findings::{Findings, Source};
use crate::policies::{self, Policies};
use crate::snapshot::{Changes, Snapshot};
use crate::{Judgement, Kind, Name, ObjectRef, Options, Protocol};
use crate::{gateway, ingress};

/// A compiled state: the table to serve from, and the state for the next incremental compilation.
pub struct Compiled {
    table: Arc<RoutingTable>,
    pub(crate) builder: Builder,
    findings: Findings,
    certificates: Certificates,
    pub(crate) ingress: ingress::State,
    gateway: gateway::State,
    policies: Policies,
}

/// Compiles `snapshot`. With a `previous` state only what `changes` affects is compiled; without one, everything is.
/// Never fails: what cannot be served is a finding. `fallback` is the generated default certificate.
pub fn compile(
    snapshot: &Snapshot,
    changes: &Changes,
    previous: Option<Compiled>,
    options: &Options,
    fallback: &Arc<Certificate>,
) -> Compiled {
    let fresh = previous.is_none();
    let mut compiled = previous.unwrap_or_else(|| Compiled::new(options));
    let mut table = RoutingTable::clone(&compiled.table);
    compiled.findings.begin();
    let touched = compiled.policies.update(snapshot, changes, fresh);
    let mut ingresses = ingress::Pass {
        state: &mut compiled.ingress,
        table: &mut table,
        builder: &mut compiled.builder,
        findings: &mut compiled.findings,
        certificates: &mut compiled.certificates,
        policies: &compiled.policies,
        touched: &touched,
        snapshot,
        options,
    };
    let all = ingresses.run(changes, fresh);
    gateway::Pass {
        state: &mut compiled.gateway,
        builder: ingresses.builder,
        certificates: ingresses.certificates,
        findings: ingresses.findings,
        policies: &compiled.policies,
        settings: ingresses.state.settings(),
        snapshot,
        options,
    }
    .run(changes, &touched, fresh);
    for key in touched_upstreams(ingresses.builder, changes, all) {
        let draft = ingresses.builder.upstream(&key);
        if draft.is_some_and(|draft| draft.transport.pool().is_some()) {
            gateway::upstream(key, &mut compiled.gateway, &mut ingresses);
        } else {
            compiled.gateway.forget_upstream(&key);
            ingresses.upstream(key);
        }
    }
    let (mut listeners, mut udp) = ingresses.listeners(fallback);
    let streams = ingresses.stream_ports();
    let mut gateways = gateway::Pass {
        state: &mut compiled.gateway,
        builder: &mut compiled.builder,
        certificates: &mut compiled.certificates,
        findings: &mut compiled.findings,
        policies: &compiled.policies,
        settings: compiled.ingress.settings(),
        snapshot,
        options,
    };
    let addresses: Vec<_> = options
        .listeners
        .http
        .iter()
        .map(|address| address.ip())
        .collect();
    gateways.place(&gateway::OtherSockets {
        tcp: &listeners,
        udp: &udp,
        streams,
        addresses: &addresses,
    });
    gateways.count_all();
    gateways.share(&mut listeners);
    if compiled.ingress.hosts_changed || gateways.state.hosts_changed {
        let shared = gateways.shared_hosts(compiled.ingress.hosts());
        gateways.findings.replace(Source::SharedHosts, shared);
    }
    let sockets = gateways.sockets();
    listeners.extend(sockets.tcp);
    udp.extend(sockets.udp);
    let mut reports = policies::ReportInputs {
        policies: &compiled.policies,
        snapshot,
        ingresses: &compiled.ingress,
        gateways: &mut compiled.gateway,
        findings: &mut compiled.findings,
    };
    policies::report(&mut reports, &touched, changes);
    table.set_listeners(listeners);
    table.set_udp_listeners(udp);
    compiled.gateway.report(&mut compiled.findings);
    table.generation += 1;
    compiled.table = Arc::new(table);
    compiled
}

/// The upstreams of changed Services, and those that were marked by their users; or all.
fn touched_upstreams(
    builder: &mut Builder,
    changes: &Changes,
    all: bool,
) -> impl Iterator<Item = UpstreamKey> + use<> {
    for object in changes.objects() {
        if matches!(object.kind, Kind::Service | Kind::Endpoints) {
            builder.touch(&object.name);
        }
    }
    if all {
        builder.touch_all();
    }
    builder.take_touched()
}

impl Compiled {
    /// Nothing, and the default backend, which is referenced even if no route does, because its problems are findings.
    fn new(options: &Options) -> Self {
        let mut builder = Builder::default();
        if let Some(service) = options.default_backend.clone() {
            builder.acquire(UpstreamDraft {
                port: ServicePort::new(service, FIRST_PORT.into()),
                transport: Transport::default(),
            });
        }
        Self {
            table: Arc::new(RoutingTable::new(Arc::default())),
            builder,
            findings: Findings::default(),
            certificates: Certificates::default(),
            ingress: ingress::State::default(),
            gateway: gateway::State::default(),
            policies: Policies::default(),
        }
    }

    /// The table to serve from.
    pub fn table(&self) -> &Arc<RoutingTable> {
        &self.table
    }

    /// The statuses of the objects of the Gateway API that are served.
    pub fn gateway_statuses(&self) -> &BTreeMap<ObjectRef, Arc<gateway::Status>> {
        self.gateway.statuses.all()
    }

    /// The statuses of objects of the Gateway API that the last compilation changed; `None`: the object is no longer served.
    pub fn changed_gateway_statuses(
        &self,
    ) -> impl Iterator<Item = (&ObjectRef, Option<&Arc<gateway::Status>>)> {
        self.gateway.statuses.changes()
    }

    /// The Services of Gateways, as they should be.
    pub fn gateway_services(&self) -> &[gateway::GatewayService] {
        self.gateway.services_of_gateways()
    }

    /// One verdict about each object of the Gateway API in `snapshot`. `findings` are those of a report.
    pub fn gateway_verdicts(&self, snapshot: &Snapshot, findings: &[Finding]) -> Vec<Judgement> {
        self.gateway.verdicts(snapshot, findings)
    }

    /// The listener of a Gateway whose socket at `address` is for `name`; `None`: it is not of a Gateway.
    pub fn gateway_listener(
        &self,
        socket: (SocketAddr, Protocol),
        name: Option<&str>,
    ) -> Option<gateway::ServingListener> {
        self.gateway.listener(socket, name)
    }

    /// Reviews a route of the Gateway API; `None`: none of its parents is served.
    pub(crate) fn review_route(
        &self,
        route: gateway::WrittenRoute<'_>,
        name: &Name,
        snapshot: &Snapshot,
    ) -> Option<Result<(), String>> {
        self.gateway.review(route, name, snapshot)
    }

    /// All findings, sorted.
    pub fn findings(&self) -> Vec<Finding> {
        self.findings.all()
    }

    /// Findings that appeared and findings that were resolved with the last compilation.
    pub fn difference(&self) -> (Vec<Finding>, Vec<Finding>) {
        self.findings.difference()
    }
}
