//! Writes `status.loadBalancer` of this controller's Ingresses.
//!
//! Only the leader writes, and it checks its claim right before each write. Desired and observed statuses are compared when
//! the set of Ingresses, an address or an observed status changes, and every `--status-update-interval`; only differences
//! are written. A status that another client keeps changing is repaired once at once, and then once an interval.
//!
//! Which Ingresses are adopted and what is observed comes from elsewhere; this decides nothing about routing.

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
pub(crate) use addresses::bounded;
pub(crate) use error::RetryPolicy;
pub use error::WriteError;
pub use metrics::StatusMetrics;
pub use ownership::owns_status;
use work::Work;

/// Shortest `--status-update-interval`.
const MIN_INTERVAL: Duration = Duration::from_secs(5);

/// The observed state, which is watched elsewhere.
pub trait Observations: Send + Sync + 'static {
    /// The status of an Ingress as last observed; `None` when there is no such Ingress.
    fn observed(&self, ingress: &Name) -> Option<Observed>;

    /// The Service of `--publish-service`; `None` while it is unknown or missing, and statuses are then left alone.
    fn publish_service(&self) -> Option<PublishService>;

    /// Resolves when something changed since it last resolved. Cancelling it loses nothing.
    fn changed(&self) -> impl Future<Output = ()> + Send;
}

/// Changes of the set of this controller's Ingresses. The first input lists all of them.
#[derive(Clone, Debug, Default)]
pub struct StatusInput {
    /// Now of this controller's class and namespaces.
    pub adopted: Vec<Name>,
    /// Gone, or of another class or namespace.
    pub released: Vec<Name>,
}

/// Where the published addresses come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressSource {
    /// Fixed addresses (`--publish-status-address`).
    Fixed(Vec<Address>),
    /// The Service of `--publish-service`.
    Service,
    /// The nodes that run ready pods of this controller.
    Nodes {
        /// Use internal addresses even if a node has external ones (`--report-node-internal-ip-address`).
        internal: bool,
    },
}

impl AddressSource {
    /// Parses `--publish-status-address`, a comma-separated list.
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

/// Options of the status writer.
#[derive(Clone, Debug)]
pub struct StatusOptions {
    /// Where the published addresses come from.
    pub source: AddressSource,
    /// Between two comparisons of all statuses without a change (`--status-update-interval`, default 60 s, at least 5 s).
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

    /// Writes until `stop` resolves, then clears statuses if configured, for at most 5 seconds. The lease should be
    /// released after this.
    pub async fn run(
        self,
        mut inputs: mpsc::UnboundedReceiver<StatusInput>,
        leadership: watch::Receiver<Leadership>,
        stop: impl Future<Output = ()>,
    ) {
        let mut work = Work::new(self, leadership);
        tokio::select! {
            () = stop => {}
            () = work.run(&mut inputs) => {}
        }
        work.finish(inputs).await;
    }
}
