//! The rules of the election, without a clock or an API server.

use std::sync::Arc;
use std::time::Duration;

use headgate_compile::Name;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use super::LeaseOptions;

/// What this replica claims.
pub(super) struct Claim {
    lease: Name,
    identity: Arc<str>,
    ttl: Duration,
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Action {
    /// There is no lease.
    Create(Lease),
    /// This replica holds the lease, or no other does.
    Replace(Lease),
    /// Another replica holds the lease.
    Wait,
}

/// A lease and since when its record has been observed unchanged.
#[derive(Debug)]
pub(super) struct Record {
    lease: Lease,
    since: Instant,
}

impl Claim {
    pub(super) fn new(options: &LeaseOptions) -> Self {
        Self {
            lease: options.lease.clone(),
            identity: options.identity.clone(),
            ttl: options.ttl,
        }
    }

    /// When a claim that was sent at `sent` expires for this replica. Others count the whole duration, and from later.
    pub(super) fn until(&self, sent: Instant) -> Instant {
        sent + self.ttl * 3 / 4
    }

    pub(super) fn first(&self) -> Lease {
        let now = now();
        Lease {
            metadata: ObjectMeta {
                namespace: Some(self.lease.namespace.to_string()),
                name: Some(self.lease.name.to_string()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                acquire_time: Some(now.clone()),
                lease_transitions: Some(0),
                ..self.spec(now)
            }),
        }
    }

    fn spec(&self, now: MicroTime) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.to_string()),
            lease_duration_seconds: Some(self.seconds()),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }
    }

    /// In whole seconds, at least 1, as the API requires.
    fn seconds(&self) -> i32 {
        let seconds = self.ttl.as_secs() + u64::from(self.ttl.subsec_nanos() > 0);
        i32::try_from(seconds).unwrap_or(i32::MAX).max(1)
    }
}

impl Record {
    /// A lease observed for the first time.
    pub(super) fn new(lease: Lease, now: Instant) -> Self {
        Self { lease, since: now }
    }

    /// The lease observed again. A change of its metadata alone is not a renewal.
    pub(super) fn updated(self, lease: Lease, now: Instant) -> Self {
        let unchanged =
            self.lease.spec == lease.spec && self.lease.metadata.uid == lease.metadata.uid;
        let since = if unchanged { self.since } else { now };
        Self { lease, since }
    }

    /// What to do about a lease that was just read.
    pub(super) fn next(&self, claim: &Claim, now: Instant) -> Action {
        let holder = self.holder();
        let is_holder = holder.as_deref() == Some(&*claim.identity);
        if is_holder || holder.is_none() || self.expires_at(claim) <= now {
            self.renewal(claim)
        } else {
            Action::Wait
        }
    }

    /// The lease with this replica's claim; taking it over from another holder counts a transition.
    pub(super) fn renewal(&self, claim: &Claim) -> Action {
        let now = now();
        let before = self.lease.spec.clone().unwrap_or_default();
        let is_holder = before.holder_identity.as_deref() == Some(&*claim.identity);
        let transitions = before.lease_transitions.unwrap_or(0);
        let spec = LeaseSpec {
            acquire_time: if is_holder {
                before.acquire_time
            } else {
                Some(now.clone())
            },
            lease_transitions: Some(transitions.saturating_add(i32::from(!is_holder))),
            strategy: before.strategy,
            preferred_holder: before.preferred_holder,
            ..claim.spec(now)
        };
        Action::Replace(Lease {
            metadata: sendable(&self.lease.metadata),
            spec: Some(spec),
        })
    }

    /// When the claim expires unless it is renewed; by the duration that its holder wrote.
    pub(super) fn expires_at(&self, claim: &Claim) -> Instant {
        let spec = self.lease.spec.as_ref();
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs);
        self.since + duration.unwrap_or(claim.ttl)
    }

    /// Identity of the holder; `None` when the lease was released.
    pub(super) fn holder(&self) -> Option<Arc<str>> {
        let holder = self.lease.spec.as_ref()?.holder_identity.as_deref()?;
        (!holder.is_empty()).then(|| holder.into())
    }

    pub(super) fn version(&self) -> Option<&str> {
        self.lease.metadata.resource_version.as_deref()
    }

    pub(super) fn uid(&self) -> Option<Arc<str>> {
        self.lease.metadata.uid.as_deref().map(Into::into)
    }
}

/// `lease` released, if `identity` holds it. As in client-go the next duration is one second, for clients that do not
/// understand an empty holder.
pub(super) fn released(lease: &Lease, identity: &str) -> Option<Lease> {
    let spec = lease.spec.as_ref()?;
    let is_holder = spec.holder_identity.as_deref() == Some(identity);
    is_holder.then(|| {
        let now = now();
        Lease {
            metadata: sendable(&lease.metadata),
            spec: Some(LeaseSpec {
                holder_identity: Some(String::new()),
                lease_duration_seconds: Some(1),
                renew_time: Some(now.clone()),
                acquire_time: Some(now),
                ..spec.clone()
            }),
        }
    })
}

/// Without `managedFields`, which the API server maintains.
fn sendable(metadata: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        managed_fields: None,
        ..metadata.clone()
    }
}

fn now() -> MicroTime {
    MicroTime(Timestamp::now())
}
