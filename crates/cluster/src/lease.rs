//! Which replica leads: an election over a `coordination.k8s.io/v1` Lease.
//!
//! The rules are those of client-go, so that a replica here and one of ingress-nginx that were given the same
//! `--election-id` take part in one election. Another's claim is judged by how long *we* have seen its record unchanged,
//! on a monotonic clock: what the record says about time is never compared with our clock. Our own claim ends, for us, a
//! quarter of the lease time before anybody may take it.
//!
//! Traffic never depends on who leads; only statuses and Events about findings do.

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
use record::{Claim, Move, Record};

/// Shortest lease time; the field counts whole seconds.
const MIN_TTL: Duration = Duration::from_secs(1);
/// Giving the lease back at the end takes no longer than this.
const RELEASE: Duration = Duration::from_secs(2);

/// About the election.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// Namespace and name of the Lease: the pod's namespace and `--election-id`.
    pub lease: Name,
    /// Who we are: the pod's name.
    pub identity: Arc<str>,
    /// How long a claim holds without being renewed (`--election-ttl`, default 30 s, at least 1 s). It is tried to be renewed every
    /// quarter of this and is given up after three quarters.
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

    /// Tells on the Lease who became leader.
    #[must_use]
    pub fn with_notices(mut self, notices: Notices) -> Self {
        self.notices = Some(notices);
        self
    }

    /// Who leads, as it changes.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    /// Takes part until `stop` resolves, then gives the lease back if it is ours, so that another can take it at once.
    /// What depends on leading should have ended before.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        self.metrics.follow();
        let mut campaign = Campaign::new(&self);
        tokio::select! {
            () = stop => {}
            () = campaign.run() => {}
        }
        campaign.lose("stopping");
        // Even if we do not know that we lead: a claim may have been granted whose answer was not waited for.
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
                    // A renewal that was under way came in between.
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

/// What is known in the course of an election.
struct Campaign<'e> {
    elector: &'e Elector,
    claim: Claim,
    /// The lease as last seen, and since when its record has been unchanged.
    seen: Option<Record>,
    leader: Option<Leader>,
    /// Why the last attempt failed, logged once.
    trouble: Option<String>,
}

impl<'e> Campaign<'e> {
    fn new(elector: &'e Elector) -> Self {
        Self {
            elector,
            claim: Claim::new(&elector.options),
            seen: None,
            leader: None,
            trouble: None,
        }
    }

    /// Never ends.
    async fn run(&mut self) {
        loop {
            let next = self.attempt().await;
            self.wait(next).await;
        }
    }

    /// Tries to take or keep the lease; when to do so again.
    async fn attempt(&mut self) -> Instant {
        let retry = Instant::now() + self.retry();
        let outcome = match self.leader.as_ref().map(Leader::until) {
            // A request that hangs must not hide that the claim ran out.
            Some(until) => match tokio::time::timeout_at(until, self.take_turn()).await {
                Ok(outcome) => outcome,
                Err(_) => Err(LeaseError::Late),
            },
            None => self.take_turn().await,
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
        match &self.seen {
            // Another's claim is tried as soon as it has run out.
            Some(record) if self.leader.is_none() => record.free_at(&self.claim).min(retry),
            _ => retry,
        }
        .max(soonest)
    }

    async fn take_turn(&mut self) -> Result<(), LeaseError> {
        // The renewal of a claim that nobody touched takes one request. A conflict tells that somebody did.
        let known = self.seen.take_if(|_| self.leader.is_some());
        if let Some(record) = &known {
            let result = self.play(record.renewal(&self.claim)).await;
            match result {
                Err(error) if error.is_stale() => {}
                result => {
                    if result.is_err() {
                        self.seen = known;
                    }
                    return result;
                }
            }
        }
        let lease = self.elector.leases.get().await?;
        self.observe(lease);
        let next = match &self.seen {
            Some(record) => record.next(&self.claim, Instant::now()),
            None => Move::Create(self.claim.first()),
        };
        match self.play(next).await {
            // Somebody was faster; what they did is seen in the next turn.
            Err(error) if error.is_stale() => Ok(()),
            result => result,
        }
    }

    async fn play(&mut self, next: Move) -> Result<(), LeaseError> {
        let leases = &self.elector.leases;
        let sent = Instant::now();
        let lease = match next {
            Move::Wait => {
                self.follow();
                return Ok(());
            }
            Move::Create(lease) => leases.create(&lease).await?,
            Move::Replace(lease) => leases.replace(&lease).await?,
        };
        let until = self.claim.until(sent);
        self.seen = Some(Record::seen(lease, Instant::now()));
        match &self.leader {
            Some(leader) => leader.extend(until),
            None => self.lead(until),
        }
        Ok(())
    }

    fn observe(&mut self, lease: Option<Lease>) {
        let now = Instant::now();
        self.seen = match (self.seen.take(), lease) {
            (_, None) => None,
            (Some(before), Some(lease)) => Some(before.again(lease, now)),
            (None, Some(lease)) => Some(Record::seen(lease, now)),
        };
    }

    /// Waits for the next turn. Where the lease can be watched, what happens to it is seen at once, and nobody asks again
    /// before it is free.
    async fn wait(&mut self, retry: Instant) {
        if self.leader.is_some() {
            return tokio::time::sleep_until(retry).await;
        }
        let version = self.seen.as_ref().and_then(Record::version);
        let version = version.unwrap_or_default().to_owned();
        let changes = self.elector.leases.changes(&version);
        let mut changes = std::pin::pin!(changes);
        loop {
            let free = self.seen.as_ref().map(|seen| seen.free_at(&self.claim));
            let until = free.unwrap_or(retry);
            match tokio::time::timeout_at(until, changes.next()).await {
                Ok(Some(lease)) => self.observe(lease),
                Ok(None) => return tokio::time::sleep_until(retry.min(until)).await,
                Err(_) => return,
            }
            let now = Instant::now();
            let next = self.seen.as_ref().map(|seen| seen.next(&self.claim, now));
            if !matches!(next, Some(Move::Wait)) {
                // Those who saw the same are not to ask at the same instant.
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
        // Replicas that started together are not to ask together.
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
                uid: self.seen.as_ref().and_then(Record::uid),
                identity: options.identity.clone(),
            });
        }
    }

    fn follow(&mut self) {
        self.lose("another replica holds the lease");
        let holder = self.seen.as_ref().and_then(Record::holder);
        self.elector.leadership.send_if_modified(|leadership| {
            let is_news = leadership.holder() != holder.as_deref();
            if is_news {
                if let Some(holder) = &holder {
                    tracing::info!(lease = %self.elector.options.lease, leader = %holder, "following");
                }
                *leadership = Leadership::Follower(holder.clone());
            }
            is_news
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
        if self.trouble.as_ref() != Some(&message) {
            tracing::warn!(%lease, error = message, "leader election failing");
            self.trouble = Some(message);
        } else {
            tracing::debug!(%lease, error = message, "leader election still failing");
        }
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!(lease = %self.elector.options.lease, "the election gets on again");
        }
    }
}

impl Drop for Campaign<'_> {
    /// However the election ends, nobody goes on as leader.
    fn drop(&mut self) {
        if let Some(leader) = self.leader.take() {
            leader.end();
        }
    }
}
