//! Passes statuses of the Gateway API to their writer, once the table that they speak of is served.

use headgate_cluster::gateway_status::GatewayStatusInput;
use headgate_compile::Compiled;
use tokio::sync::mpsc;

/// The way to the writer.
pub(super) struct GatewayStatuses {
    writer: mpsc::UnboundedSender<GatewayStatusInput>,
    /// Changes before requests are served.
    early: Option<GatewayStatusInput>,
}

impl GatewayStatuses {
    pub(super) fn new(writer: mpsc::UnboundedSender<GatewayStatusInput>) -> Self {
        Self {
            writer,
            early: Some(GatewayStatusInput::default()),
        }
    }

    /// A table was published.
    pub(super) fn published(&mut self, compiled: &Compiled) {
        let changes = compiled.changed_gateway_statuses();
        let changes = changes.map(|(object, status)| (object.clone(), status.cloned()));
        if let Some(early) = &mut self.early {
            early.changes.extend(changes);
            return;
        }
        let input = GatewayStatusInput {
            changes: changes.collect(),
        };
        if !input.changes.is_empty() {
            self.send(input);
        }
    }

    /// Requests are served from the published table.
    pub(super) fn serving(&mut self) {
        if let Some(early) = self.early.take() {
            self.send(early);
        }
    }

    fn send(&self, input: GatewayStatusInput) {
        // Fails only while the process stops: the writer runs until then.
        let _ = self.writer.send(input);
    }
}
