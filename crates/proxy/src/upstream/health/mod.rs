//! Which endpoints of an upstream should get no requests for now.
//!
//! An endpoint that cannot be connected to is left out for [`PAUSE`], one that has failed request after request is ejected for
//! longer, and one whose health checks fail is left out until they pass. After a pause or an ejection it is due: the first
//! attempt of one request at a time may try it, and the retries of that request go to sound endpoints. So endpoints that vanish
//! at once fail no request once each of them was tried. It is a preference: where no other endpoint is left, all are used.
//!
//! The workers share what they know. While nothing is wrong, a request reads one flag.

mod record;
mod standing;
mod state;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use headgate_table::{Outliers, Upstream};
use tokio::time::Instant;

use self::record::{Record, Records};
pub(super) use self::standing::Standing;
pub use self::state::EndpointState;
use crate::sync::{ArcSwapOption, AtomicBool, Mutex};

/// How long an endpoint is left out after it could not be connected to, and from one trial to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// Failures eject an endpoint only if they go on for this time: otherwise a burst of requests that it cannot answer would.
const FAILING: Duration = Duration::from_secs(2);

/// What is known of the endpoints of one upstream. It outlives tables.
#[derive(Default)]
pub(super) struct Health {
    /// Whether any endpoint has a record.
    noted: AtomicBool,
    records: Mutex<Records>,
    /// Derived from the records; `None` after a change of them. Only the holder of their lock stores it.
    standing: ArcSwapOption<Standing>,
}

/// How an endpoint failed a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It cannot be connected to.
    Unreachable,
    /// It was connected to, and there was no usable response.
    NoResponse,
}

/// An endpoint was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ejection {
    /// Consecutive failures before it.
    pub(super) failures: u32,
    pub(super) time: Duration,
}

impl Health {
    /// What is known of `endpoints`; `None` if they are sound.
    pub(super) fn standing(&self, endpoints: &Arc<[SocketAddr]>) -> Option<Arc<Standing>> {
        if !self.noted.load(Ordering::Relaxed) {
            return None;
        }
        self.standing_at(endpoints, Instant::now())
    }

    fn standing_at(&self, endpoints: &Arc<[SocketAddr]>, now: Instant) -> Option<Arc<Standing>> {
        let standing = self.standing.load_full();
        if let Some(standing) = standing.filter(|standing| standing.holds(endpoints, now)) {
            return Some(standing);
        }
        let mut records = self.records.lock();
        // Endpoints that were removed, or are as good as new, are forgotten.
        records.retain(|_, record| !record.is_over(now));
        let standing = Standing::new(endpoints, &records, now);
        if standing.len() < records.len() {
            records.retain(|endpoint, _| standing.knows(endpoint));
        }
        if records.is_empty() {
            self.noted.store(false, Ordering::Relaxed);
            self.standing.store(None);
            return None;
        }
        let standing = Arc::new(standing);
        self.standing.store(Some(standing.clone()));
        Some(standing)
    }

    /// Claims the trial of an endpoint that is due, until the next one. `false`: another request has it.
    pub(super) fn claim(&self, endpoint: SocketAddr, now: Instant) -> bool {
        let mut records = self.records.lock();
        let Some(record) = records.get_mut(&endpoint) else {
            return true;
        };
        let due = record.is_due(now);
        if due {
            record.left_out = Some(now + PAUSE);
            self.standing.store(None);
        }
        due
    }

    /// Records that `endpoint` of `upstream`, one of `all`, has failed a request now. Logs its ejection, if that begins.
    pub(super) fn report(
        &self,
        upstream: &Upstream,
        endpoint: SocketAddr,
        how: Failed,
        all: usize,
    ) {
        let rules = (&upstream.resilience.outliers, all);
        if let Some(ejection) = self.failed(endpoint, how, rules, Instant::now()) {
            tracing::warn!(
                upstream = %upstream.key,
                %endpoint,
                failures = ejection.failures,
                seconds = ejection.time.as_secs(),
                "endpoint ejected: consecutive failures",
            );
        }
    }

    /// Records that `endpoint`, one of `all`, has failed a request. Returns its ejection, if that begins.
    pub(super) fn failed(
        &self,
        endpoint: SocketAddr,
        how: Failed,
        (rules, all): (&Outliers, usize),
        now: Instant,
    ) -> Option<Ejection> {
        if how == Failed::NoResponse && rules.failures.is_none() {
            return None;
        }
        let mut records = self.records.lock();
        let ejected = records.values().filter(|record| record.is_ejected(now));
        let may_eject = rules.may_eject(ejected.count(), all);
        let record = records.entry(endpoint).or_insert_with(|| Record::new(now));
        record.fail(now);
        if how == Failed::Unreachable && !record.is_ejected(now) {
            record.left_out = Some(now + PAUSE);
        }
        let enough = rules
            .failures
            .is_some_and(|most| record.failures >= most.get());
        let lasting = now.duration_since(record.first) >= FAILING;
        let ejects = enough && lasting && may_eject && !record.is_ejected(now);
        let ejection = ejects.then(|| Ejection {
            failures: record.failures,
            time: record.eject(rules, now),
        });
        self.standing.store(None);
        self.noted.store(true, Ordering::Relaxed);
        ejection
    }

    /// Records that an attempt at `endpoint` that began at `start` was successful. Returns whether an ejection is over by that.
    pub(super) fn succeeded(&self, endpoint: SocketAddr, start: Instant) -> bool {
        self.noted.load(Ordering::Relaxed) && self.forgive(endpoint, start, true)
    }

    /// Records that a connection to `endpoint` was opened, from `start` on: it is not unreachable, and may fail all the same.
    pub(super) fn connected(&self, endpoint: SocketAddr, start: Instant) {
        if self.noted.load(Ordering::Relaxed) {
            self.forgive(endpoint, start, false);
        }
    }

    fn forgive(&self, endpoint: SocketAddr, start: Instant, responded: bool) -> bool {
        let standing = self.standing.load();
        if standing
            .as_ref()
            .is_some_and(|standing| standing.is_fine(&endpoint))
        {
            return false;
        }
        let mut records = self.records.lock();
        // What has failed since then is newer.
        let record = records.get_mut(&endpoint);
        let Some(record) = record.filter(|record| record.failed <= start) else {
            return false;
        };
        let was_ejected = record.was_ejected();
        if responded {
            record.succeed(Instant::now());
        } else if !was_ejected {
            record.left_out = None;
        }
        self.standing.store(None);
        responded && was_ejected
    }

    /// Records the result of health checks of `endpoint`. Returns whether it is another one than before.
    pub(super) fn checked(&self, endpoint: SocketAddr, healthy: bool, now: Instant) -> bool {
        if healthy && !self.noted.load(Ordering::Relaxed) {
            return false;
        }
        let mut records = self.records.lock();
        let record = match records.get_mut(&endpoint) {
            Some(record) => record,
            None if healthy => return false,
            None => records.entry(endpoint).or_insert_with(|| Record::new(now)),
        };
        let changed = record.unhealthy == healthy;
        if changed {
            record.set_unhealthy(!healthy, now);
            self.standing.store(None);
            self.noted.store(true, Ordering::Relaxed);
        }
        changed
    }

    /// The states of these endpoints, in their order.
    pub(super) fn states(&self, endpoints: &[SocketAddr], now: Instant) -> Vec<EndpointState> {
        if !self.noted.load(Ordering::Relaxed) {
            return vec![EndpointState::Sound; endpoints.len()];
        }
        let records = self.records.lock();
        let states = endpoints.iter().map(|endpoint| {
            let record = records.get(endpoint).filter(|record| !record.is_over(now));
            record.map_or(EndpointState::Sound, |record| record.state(now))
        });
        states.collect()
    }

    /// Endpoints whose health checks have failed.
    pub(super) fn unhealthy(&self) -> usize {
        if !self.noted.load(Ordering::Relaxed) {
            return 0;
        }
        let records = self.records.lock();
        records.values().filter(|record| record.unhealthy).count()
    }

    /// Endpoints that are ejected now.
    pub(super) fn ejected(&self) -> usize {
        if !self.noted.load(Ordering::Relaxed) {
            return 0;
        }
        let (records, now) = (self.records.lock(), Instant::now());
        records
            .values()
            .filter(|record| record.is_ejected(now))
            .count()
    }
}

/// How an endpoint failed that a connection with this `error` was for; `None`: this process is at fault, such as by a shortage.
pub(super) fn failed_by(error: &io::Error) -> Option<Failed> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::TimedOut => Some(Failed::Unreachable),
        // A TLS handshake that ended, or was none.
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Some(Failed::NoResponse),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
