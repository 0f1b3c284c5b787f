//! Makes a Service for each Gateway that this controller serves, with EndpointSlices of the replicas of this controller.
//!
//! Only the leader writes. A pass over everything follows every change of its inputs and every interval: it allocates local ports
//! in the record ([`headgate_compile::gateway::PortRecord`]), then makes Services with the ports whose local ports the table has
//! sockets for, and copies the endpoints of the controller's own Service. It reads what there is and writes only differences.
//! A Service that belongs to something else is left alone.
//!
//! Which Gateways are served, and what their Services must look like, is decided by compilation.

mod object;
mod pass;
mod record;
mod slices;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use headgate_compile::Name;
use headgate_compile::gateway::GatewayService;
use kube::Client;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use self::pass::Pass;
use crate::leadership::{Leader, Leadership};

/// Between two passes without a change.
const INTERVAL: Duration = Duration::from_secs(60);
/// Changes in quick succession are handled together: delay after the first of them, and least time between two passes.
const DEBOUNCE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));
/// First and longest wait after a failure; it doubles.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Options of the writer.
#[derive(Clone, Debug)]
pub struct GatewayServiceOptions {
    /// `spec.controllerName` of the GatewayClasses; Services of other controllers are left alone.
    pub controller: Arc<str>,
    /// The ConfigMap with the record of local ports.
    pub record: Name,
    /// The local ports (`--gateway-port-range`).
    pub range: RangeInclusive<u16>,
    /// The controller's own Service, whose endpoints those of Gateways are.
    pub endpoints: Name,
}

/// What compilation says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayServiceInput {
    /// The Services that there should be.
    pub services: Vec<GatewayService>,
    /// `metadata.uid` of Gateways that another controller serves now: their Services are deleted. Those of deleted Gateways are
    /// deleted by Kubernetes.
    pub foreign: BTreeSet<Arc<str>>,
}

/// The task that writes Services of Gateways.
pub struct GatewayServiceWriter {
    pass: Pass,
    next: Option<Instant>,
    last: Option<Instant>,
    back_off: Duration,
}

impl GatewayServiceWriter {
    /// A task that does nothing until it is run.
    pub fn new(client: Client, options: GatewayServiceOptions) -> Self {
        Self {
            pass: Pass::new(client, options),
            next: None,
            last: None,
            back_off: BACK_OFF.0,
        }
    }

    /// Writes until `stop` resolves. A new input, also one that is equal to the last, means that the Services, or the endpoints
    /// of the controller's own Service, may have changed.
    pub async fn run(
        mut self,
        inputs: watch::Receiver<Option<GatewayServiceInput>>,
        leadership: watch::Receiver<Leadership>,
        stop: impl Future<Output = ()>,
    ) {
        tokio::select! {
            () = stop => {}
            () = self.follow(inputs, leadership) => {}
        }
    }

    async fn follow(
        &mut self,
        mut inputs: watch::Receiver<Option<GatewayServiceInput>>,
        mut leadership: watch::Receiver<Leadership>,
    ) {
        let mut intervals = interval_at(Instant::now() + INTERVAL, INTERVAL);
        intervals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.soon();
        loop {
            tokio::select! {
                Ok(()) = inputs.changed() => self.soon(),
                Ok(()) = leadership.changed() => self.soon(),
                _ = intervals.tick() => self.soon(),
                () = at(self.next) => {
                    self.next = None;
                    let leader = leadership.borrow().leader(Instant::now()).cloned();
                    let input = inputs.borrow_and_update().clone();
                    if let (Some(leader), Some(input)) = (leader, input) {
                        self.make_pass(&input, &leader).await;
                    }
                }
            }
        }
    }

    async fn make_pass(&mut self, input: &GatewayServiceInput, leader: &Leader) {
        if self.pass.run(input, leader).await {
            self.back_off = BACK_OFF.0;
        } else {
            self.next = Some(Instant::now() + self.back_off);
            self.back_off = (self.back_off * 2).min(BACK_OFF.1);
        }
        self.last = Some(Instant::now());
    }

    /// A pass that is due after a failure is not made earlier.
    fn soon(&mut self) {
        let soon = Instant::now() + DEBOUNCE.0;
        let earliest = self.last.map_or(soon, |last| soon.max(last + DEBOUNCE.1));
        self.next = Some(self.next.unwrap_or(earliest));
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
