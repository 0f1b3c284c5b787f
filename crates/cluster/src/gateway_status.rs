//! Writes the statuses of objects of the Gateway API: what compilation says of them, once the table that it speaks of is
//! served.
//!
//! Only the leader writes, and it checks its claim right before each write. A status is read again right before it is written,
//! and the write fails if it changed meanwhile, so that conditions and entries of other controllers stay as they are. Only
//! differences are written; a status that another client keeps changing is repaired once at once, and then once an interval.

mod observed;
mod part;
#[cfg(test)]
mod tests;
mod work;
mod write;

use std::sync::Arc;

use headgate_compile::ObjectRef;
use headgate_compile::gateway::Status;
use kube::Client;
use tokio::sync::{mpsc, watch};

use crate::leadership::Leadership;
use crate::status::StatusMetrics;
pub(crate) use observed::ObservedStatus;
pub use observed::ObservedStatuses;
use work::Work;

/// Changes of statuses. The first input has all of them.
#[derive(Clone, Debug, Default)]
pub struct GatewayStatusInput {
    /// The objects whose status changed; `None`: they are not served any more.
    pub changes: Vec<(ObjectRef, Option<Arc<Status>>)>,
}

/// The task that writes statuses of objects of the Gateway API.
pub struct GatewayStatusWriter {
    client: Client,
    /// `spec.controllerName` of the classes that are served.
    controller: Arc<str>,
    observed: Arc<ObservedStatuses>,
    metrics: StatusMetrics,
}

impl GatewayStatusWriter {
    /// A task that does nothing until it is run. `controller` is the name in `controllerName`.
    pub fn new(
        client: Client,
        controller: Arc<str>,
        observed: Arc<ObservedStatuses>,
        metrics: StatusMetrics,
    ) -> Self {
        Self {
            client,
            controller,
            observed,
            metrics,
        }
    }

    /// Writes until `stop` resolves. The lease should be released after this.
    pub async fn run(
        self,
        inputs: mpsc::UnboundedReceiver<GatewayStatusInput>,
        leadership: watch::Receiver<Leadership>,
        stop: impl Future<Output = ()>,
    ) {
        let work = Work::new(self, leadership);
        tokio::select! {
            () = stop => {}
            () = work.run(inputs) => {}
        }
    }
}
