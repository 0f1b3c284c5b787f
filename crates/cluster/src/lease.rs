//! Leader election over a `coordination.k8s.io/v1` Lease.
//!
//! The rules are those of client-go, so that replicas of this program and of ingress-nginx with the same `--election-id`
//! take part in one election. The claim of another replica expires when *this* replica has observed its record unchanged
//! for the lease duration, on a monotonic clock: times in the record are never compared with the local clock. This
//! replica's own claim expires, locally, a quarter of the lease duration before another may take it.
//!
//! Traffic never depends on leadership; only statuses and Events of findings do.

mod api;
mod error;
mod metrics;
mod record;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use headgate_compile::Name;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::causes::causes;
use crate::events::{Notice, Notices};
pub use crate::leadership::{Leader, Leadership};
use api::Leases;
pub use error::LeaseError;
pub use metrics::LeaseMetrics;
use record::{Action, Claim, Record};

/// Shortest lease duration; the field counts whole seconds.
const MIN_TTL: Duration = Duration::from_secs(1);
/// Timeout of releasing the lease at the end.
const RELEASE: Duration = Duration::from_secs(2);

/// Options of the election.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// Namespace and name of the Lease: the pod's namespace and `--election-id`.
    pub lease: Name,
    /// Identity of this replica: the pod's name.
    pub identity: Arc<str>,
    /// The lease duration (`--election-ttl`, default 30 s, at least 1 s). The leader renews every quarter of it and stops
    /// leading when no renewal succeeded for three quarters.
    pub ttl: Duration,
}

/// Takes part in the election.
pub struct Elector {
    leases: Leases,
    options: LeaseOptions,
    metrics: LeaseMetrics,
    notices: Option<Notices>,
    leadership: watch::Sender<Leadership>,
}

impl Elector {
    /// An elector that does nothing until it is run.
    pub fn new(client: Client, options: LeaseOptions, metrics: LeaseMetrics) -> Self {
        let ttl = options.ttl.max(MIN_TTL);
        let options = LeaseOptions { ttl, ..options };
        Self {
            leases: Leases::new(client, &options),
            options,
            metrics,
            notices: None,
            leadership: watch::Sender::new(Leadership::Follower(None)),
        }
    }

    /// Writes an Event on the Lease when this replica becomes leader.
    #[must_use]
    pub fn with_notices(mut self, notices: Notices) -> Self {
        self.notices = Some(notices);
        self
    }

    /// Which replica leads, as it changes.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    /// Takes part until `stop` resolves, then releases the lease if this replica holds it, so that another can take it at
    /// once. Tasks of the leader should have ended before.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        self.metrics.follow();
        let mut campaign = Campaign::new(&self);
        tokio::select! {
            () = stop => {}
            () = campaign.run() => {}
        }
        campaign.lose("stopping");
        // Also as a follower: the response of a successful claim may not have been received.
        self.release().await;
    }

    async fn release(&self) {
        let released = async {
            loop {
                let lease = self.leases.get().await?;
                let lease =
                    lease.and_then(|lease| record::released(&lease, &self.options.identity));
                let Some(lease) = lease else {
                    return Ok(false);
                };
                match self.leases.replace(&lease).await {
                    // A pending renewal was written in between.
                    Err(error) if error.is_stale() => {}
                    result => return result.map(|_| true),
                }
            }
        };
        let lease = &self.options.lease;
        match tokio::time::timeout(RELEASE, released).await {
            Ok(Ok(true)) => tracing::info!(%lease, "released the lease"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%lease, error = causes(&error), "cannot release the lease");
            }
            Err(_) => tracing::warn!(%lease, "timed out releasing the lease"),
        }
    }
}

/// The state of an election.
struct Campaign<'e> {
    elector: &'e Elector,
    claim: Claim,
    /// The lease as last observed.
    observed: Option<Record>,
    leader: Option<Leader>,
    /// Why the last attempt failed, logged once.
    last_failure: Option<String>,
}

impl<'e> Campaign<'e> {
    fn new(elector: &'e Elector) -> Self {
        Self {
            elector,
            claim: Claim::new(&elector.options),
            observed: None,
            leader: None,
            last_failure: None,
        }
    }

    /// Never ends.
    async fn run(&mut self) {
        loop {
            let next = self.attempt().await;
            self.wait(next).await;
        }
    }

    /// Tries to acquire or renew the lease; returns when to try again.
    async fn attempt(&mut self) -> Instant {
        let retry = Instant::now() + self.retry();
        let outcome = match self.leader.as_ref().map(Leader::until) {
            // A request that hangs must not delay the expiry of the claim.
            Some(until) => {
                match tokio::time::timeout_at(until, self.try_acquire_or_renew()).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(LeaseError::Late),
                }
            }
            None => self.try_acquire_or_renew().await,
        };
        match outcome {
            Ok(()) => self.recovered(),
            Err(error) => self.failed(&error),
        }
        if self
            .leader
            .as_ref()
            .is_some_and(|leader| !leader.is_current(Instant::now()))
        {
            self.lose("the lease could not be renewed in time");
        }
        let soonest = Instant::now() + self.elector.options.ttl / 100;
        match &self.observed {
            // The claim of another replica is tried as soon as it has expired.
            Some(record) if self.leader.is_none() => record.expires_at(&self.claim).min(retry),
            _ => retry,
        }
        .max(soonest)
    }

    async fn try_acquire_or_renew(&mut self) -> Result<(), LeaseError> {
        // Renewing a claim takes one request; a conflict means that another client wrote the lease.
        let known = self.observed.take_if(|_| self.leader.is_some());
        if let Some(record) = &known {
            let result = self.perform(record.renewal(&self.claim)).await;
            match result {
                Err(error) if error.is_stale() => {}
                result => {
                    if result.is_err() {
                        self.observed = known;
                    }
                    return result;
                }
            }
        }
        let lease = self.elector.leases.get().await?;
        self.observe(lease);
        let next = match &self.observed {
            Some(record) => record.next(&self.claim, Instant::now()),
            None => Action::Create(self.claim.first()),
        };
        match self.perform(next).await {
            // Another client was faster; the next attempt observes its write.
            Err(error) if error.is_stale() => Ok(()),
            result => result,
        }
    }

    async fn perform(&mut self, action: Action) -> Result<(), LeaseError> {
        let leases = &self.elector.leases;
        let sent = Instant::now();
        let lease = match action {
            Action::Wait => {
                self.follow();
                return Ok(());
            }
            Action::Create(lease) => leases.create(&lease).await?,
            Action::Replace(lease) => leases.replace(&lease).await?,
        };
        let until = self.claim.until(sent);
        self.observed = Some(Record::new(lease, Instant::now()));
        match &self.leader {
            Some(leader) => leader.extend(until),
            None => self.lead(until),
        }
        Ok(())
    }

    fn observe(&mut self, lease: Option<Lease>) {
        let now = Instant::now();
        self.observed = match (self.observed.take(), lease) {
            (_, None) => None,
            (Some(before), Some(lease)) => Some(before.updated(lease, now)),
            (None, Some(lease)) => Some(Record::new(lease, now)),
        };
    }

    /// Waits for the next attempt. A follower that may watch the lease observes changes at once, and sends no request
    /// before the lease expires.
    async fn wait(&mut self, retry: Instant) {
        if self.leader.is_some() {
            return tokio::time::sleep_until(retry).await;
        }
        let version = self.observed.as_ref().and_then(Record::version);
        let version = version.unwrap_or_default().to_owned();
        let changes = self.elector.leases.changes(&version);
        let mut changes = std::pin::pin!(changes);
        loop {
            let observed = self.observed.as_ref();
            let expires = observed.map(|record| record.expires_at(&self.claim));
            let until = expires.unwrap_or(retry);
            match tokio::time::timeout_at(until, changes.next()).await {
                Ok(Some(lease)) => self.observe(lease),
                Ok(None) => return tokio::time::sleep_until(retry.min(until)).await,
                Err(_) => return,
            }
            let now = Instant::now();
            let observed = self.observed.as_ref();
            let next = observed.map(|record| record.next(&self.claim, now));
            if !matches!(next, Some(Action::Wait)) {
                // Spread, as all followers observe the change at the same instant.
                let spread = self.elector.options.ttl.mul_f64(fastrand::f64() / 50.0);
                return tokio::time::sleep(spread).await;
            }
            self.follow();
        }
    }

    fn retry(&self) -> Duration {
        let quarter = self.elector.options.ttl / 4;
        if self.leader.is_some() {
            return quarter;
        }
        // Spread, as replicas may have started together.
        quarter.mul_f64(1.0 + fastrand::f64() / 5.0)
    }

    fn lead(&mut self, until: Instant) {
        let leader = Leader::new(until);
        self.leader = Some(leader.clone());
        let options = &self.elector.options;
        tracing::info!(lease = %options.lease, identity = %options.identity, "took leadership");
        self.elector.metrics.lead();
        self.elector
            .leadership
            .send_replace(Leadership::Leader(leader));
        if let Some(notices) = &self.elector.notices {
            notices.push(Notice::Leader {
                lease: options.lease.clone(),
                uid: self.observed.as_ref().and_then(Record::uid),
                identity: options.identity.clone(),
            });
        }
    }

    fn follow(&mut self) {
        self.lose("another replica holds the lease");
        let holder = self.observed.as_ref().and_then(Record::holder);
        self.elector.leadership.send_if_modified(|leadership| {
            let is_changed = leadership.holder() != holder.as_deref();
            if is_changed {
                if let Some(holder) = &holder {
                    tracing::info!(lease = %self.elector.options.lease, leader = %holder, "following");
                }
                *leadership = Leadership::Follower(holder.clone());
            }
            is_changed
        });
    }

    fn lose(&mut self, why: &str) {
        if let Some(leader) = self.leader.take() {
            leader.end();
            tracing::info!(lease = %self.elector.options.lease, "no longer leader: {why}");
            self.elector.metrics.follow();
            self.elector
                .leadership
                .send_replace(Leadership::Follower(None));
        }
    }

    fn failed(&mut self, error: &LeaseError) {
        let message = causes(error);
        let lease = &self.elector.options.lease;
        if self.last_failure.as_ref() != Some(&message) {
            tracing::warn!(%lease, error = message, "leader election failing");
            self.last_failure = Some(message);
        } else {
            tracing::debug!(%lease, error = message, "leader election still failing");
        }
    }

    fn recovered(&mut self) {
        if self.last_failure.take().is_some() {
            tracing::info!(lease = %self.elector.options.lease, "leader election works again");
        }
    }
}

impl Drop for Campaign<'_> {
    /// However the election ends, this replica stops leading.
    fn drop(&mut self) {
        if let Some(leader) = self.leader.take() {
            leader.end();
        }
    }
}
