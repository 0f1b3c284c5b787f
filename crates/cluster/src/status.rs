//! `status.loadBalancer` of the Ingresses that are ours: where they can be reached.
//!
//! The leader alone writes, and looks at its claim right before each write. Writes follow from comparing what is wanted
//! with what was observed, so that nothing is written when nothing changed: when the set of Ingresses, an address or an
//! observed status changes, and every `--status-update-interval`. A status that another keeps changing back is written
//! once more at once and then once an interval.
//!
//! What is ours and what is observed comes from elsewhere; this decides nothing about routing.

mod address;
mod addresses;
mod error;
mod metrics;
mod ownership;
mod plan;
#[cfg(test)]
mod tests;
mod work;
mod write;

use std::sync::Arc;
use std::time::Duration;

use headgate_compile::Name;
use kube::Client;
use tokio::sync::{mpsc, watch};

use crate::leadership::Leadership;
pub use address::{Address, Observed, PublishService, ServiceKind};
pub use error::StatusError;
pub use metrics::StatusMetrics;
pub use ownership::owns_status;
use work::Work;

/// Shortest `--status-update-interval`.
const MIN_INTERVAL: Duration = Duration::from_secs(5);

/// What is watched elsewhere and read here.
pub trait Observations: Send + Sync + 'static {
    /// The status of an Ingress as last observed; none when there is no such Ingress.
    fn observed(&self, ingress: &Name) -> Option<Observed>;

    /// The Service that `--publish-service` names; none while it is not known or gone, which leaves statuses alone.
    fn publish_service(&self) -> Option<PublishService>;

    /// Resolves when something changed since it last resolved. Cancelling it loses nothing.
    fn changed(&self) -> impl Future<Output = ()> + Send;
}

/// Ingresses that became ours, and that are ours no longer. The first says what is ours at all.
#[derive(Clone, Debug, Default)]
pub struct StatusInput {
    /// Of our class and namespaces now.
    pub adopted: Vec<Name>,
    /// Gone, or of another class or namespace.
    pub released: Vec<Name>,
}

/// Where addresses come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressSource {
    /// These (`--publish-status-address`).
    Fixed(Vec<Address>),
    /// The Service of `--publish-service`.
    Service,
    /// The nodes that run ready pods of ours.
    Nodes {
        /// Their internal addresses even if they have external ones (`--report-node-internal-ip-address`).
        internal: bool,
    },
}

impl AddressSource {
    /// From `--publish-status-address`, a list with commas.
    pub fn fixed(list: &str) -> Self {
        let entries = list.split(',').map(str::trim);
        Self::Fixed(
            entries
                .filter(|entry| !entry.is_empty())
                .map(Address::parse)
                .collect(),
        )
    }
}

/// About the writing of statuses.
#[derive(Clone, Debug)]
pub struct StatusOptions {
    /// Where addresses come from.
    pub source: AddressSource,
    /// Everything is looked at so often even if nothing seems to have changed (`--status-update-interval`, default 60 s,
    /// at least 5 s).
    pub interval: Duration,
    /// Whether the last replica to stop clears the statuses (`--update-status-on-shutdown`).
    pub clear_on_shutdown: bool,
    /// The pod that this process runs in.
    pub pod: Name,
}

/// The task that writes statuses.
pub struct StatusWriter<O> {
    client: Client,
    options: StatusOptions,
    observations: Arc<O>,
    metrics: StatusMetrics,
}

impl<O: Observations> StatusWriter<O> {
    /// A task that does nothing until it is run.
    pub fn new(
        client: Client,
        options: StatusOptions,
        observations: Arc<O>,
        metrics: StatusMetrics,
    ) -> Self {
        let interval = options.interval.max(MIN_INTERVAL);
        Self {
            client,
            options: StatusOptions {
                interval,
                ..options
            },
            observations,
            metrics,
        }
    }

    /// Writes until `stop` resolves, then clears the statuses that it must clear, which takes 5 seconds at most. The lease should be
    /// given back after this.
    pub async fn run(
        self,
        inputs: mpsc::UnboundedReceiver<StatusInput>,
        leadership: watch::Receiver<Leadership>,
        stop: impl Future<Output = ()>,
    ) {
        let mut work = Work::new(self, leadership);
        tokio::select! {
            () = stop => {}
            () = work.run(inputs) => {}
        }
        work.finish().await;
    }
}
