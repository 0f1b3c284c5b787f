//! What the writer of the Services of Gateways learns of each table.

use std::collections::HashSet;

use headgate_cluster::gateway_services::{GatewayServiceInput, GatewayServiceOptions};
use headgate_compile::gateway::foreign_gateways;
use headgate_compile::{Compiled, Kind, Name, ObjectRef, Options, Snapshot};
use tokio::sync::watch;

/// The inputs of the writer.
pub(super) struct Gateways {
    input: watch::Sender<Option<GatewayServiceInput>>,
    /// Services whose changes, also of their endpoints, the writer must know.
    services: HashSet<Name>,
    endpoints: Name,
    record: Name,
    touched: bool,
}

impl Gateways {
    pub(super) fn new(options: &GatewayServiceOptions) -> Self {
        Self {
            input: watch::Sender::new(None),
            services: HashSet::new(),
            endpoints: options.endpoints.clone(),
            record: options.record.clone(),
            touched: true,
        }
    }

    pub(super) fn inputs(&self) -> watch::Receiver<Option<GatewayServiceInput>> {
        self.input.subscribe()
    }

    /// An object changed.
    pub(super) fn changed(&mut self, object: &ObjectRef) {
        self.touched |= match object.kind {
            Kind::Service => object.name == self.endpoints || self.services.contains(&object.name),
            Kind::ConfigMap => object.name == self.record,
            _ => false,
        };
    }

    /// A table was published.
    pub(super) fn published(
        &mut self,
        compiled: &Compiled,
        snapshot: &Snapshot,
        options: &Options,
    ) {
        let services = compiled.gateway_services();
        let is_same = |input: &GatewayServiceInput| input.services == services;
        let is_known = self.input.borrow().as_ref().is_some_and(is_same);
        if is_known && !self.touched {
            return;
        }
        self.touched = false;
        self.services = services
            .iter()
            .map(|service| service.name.clone())
            .collect();
        self.input.send_replace(Some(GatewayServiceInput {
            services: services.to_vec(),
            foreign: foreign_gateways(snapshot, options).collect(),
        }));
    }
}
