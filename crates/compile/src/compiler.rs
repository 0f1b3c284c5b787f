//! Compiles all objects: from a snapshot and its changes to the next table, at a cost proportional to the changes.
//!
//! Each source of routes compiles its objects to hosts, upstreams and listeners of the one table. What no change affects is
//! shared with the former state. Full compilation runs the same phases with everything changed, so tests compare incremental
//! compilation with it.

use std::sync::Arc;

use headgate_table::{Certificate, RoutingTable, UpstreamKey};

use crate::build::certificates::Certificates;
use crate::build::service_port::FIRST_PORT;
use crate::build::{Builder, ServicePort, Transport, UpstreamDraft};
use crate::finding::Finding;
use crate::findings::Findings;
use crate::ingress;
use crate::snapshot::{Changes, Snapshot};
use crate::{Kind, Options};

/// A compiled state: the table to serve from, and the state for the next incremental compilation.
pub struct Compiled {
    table: Arc<RoutingTable>,
    builder: Builder,
    findings: Findings,
    certificates: Certificates,
    pub(crate) ingress: ingress::State,
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
    let mut ingresses = ingress::Pass {
        state: &mut compiled.ingress,
        table: &mut table,
        builder: &mut compiled.builder,
        findings: &mut compiled.findings,
        certificates: &mut compiled.certificates,
        snapshot,
        options,
    };
    let all = ingresses.run(changes, fresh);
    for key in touched_upstreams(ingresses.builder, changes, all) {
        ingresses.upstream(key);
    }
    let (listeners, udp) = ingresses.listeners(fallback);
    table.set_listeners(listeners);
    table.set_udp_listeners(udp);
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
        }
    }

    /// The table to serve from.
    pub fn table(&self) -> &Arc<RoutingTable> {
        &self.table
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
