//! Which endpoints of an upstream should get no requests for now.
//!
//! An endpoint that cannot be connected to is left out for [`PAUSE`]. Then it is due: the first attempt of one request at
//! a time may try it, and the retries of that request go to sound endpoints. So endpoints that vanish at once fail no
//! request once each of them was tried. It is a preference: where no other endpoint is left, all of them are used.
//!
//! The workers share what they know. While nothing is wrong, a request reads one flag.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use foldhash::quality::RandomState;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long an endpoint is left out after it could not be connected to, and from one trial to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of the endpoints of one upstream. It outlives tables.
#[derive(Default)]
pub(super) struct Health {
    /// Whether any endpoint has a record.
    noted: AtomicBool,
    records: Mutex<Records>,
    /// Derived from the records; `None` after a change of them. Only the holder of their lock stores it.
    standing: ArcSwapOption<Standing>,
}

/// The endpoints that have failed.
type Records = HashMap<SocketAddr, Record, RandomState>;

#[derive(Clone, Copy, Debug)]
struct Record {
    /// When it last failed.
    failed: Instant,
    /// When it is due.
    until: Instant,
}

/// A set of endpoints, divided by what is known of them.
pub(super) struct Standing {
    /// The set, by identity.
    endpoints: Arc<[SocketAddr]>,
    /// Those without a record, in their order.
    sound: Box<[SocketAddr]>,
    /// Sound and due ones, in their order.
    open: Box<[SocketAddr]>,
    /// Those with a record, and whether they are due.
    due: HashMap<SocketAddr, bool, RandomState>,
    /// When the next one becomes due.
    next: Option<Instant>,
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
        let standing = Standing::new(endpoints, &records, now);
        if standing.due.len() < records.len() {
            // An endpoint that was removed is forgotten.
            records.retain(|endpoint, _| standing.due.contains_key(endpoint));
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
        let due = record.until <= now;
        if due {
            record.until = now + PAUSE;
            self.standing.store(None);
        }
        due
    }

    /// Records that `endpoint` could not be connected to.
    pub(super) fn unreachable(&self, endpoint: SocketAddr, now: Instant) {
        let mut records = self.records.lock();
        let until = now + PAUSE;
        let failed = now;
        records.insert(endpoint, Record { failed, until });
        self.standing.store(None);
        self.noted.store(true, Ordering::Relaxed);
    }

    /// Records that an attempt at `endpoint` that began at `start` was successful.
    pub(super) fn reached(&self, endpoint: SocketAddr, start: Instant) {
        if self.noted.load(Ordering::Relaxed) {
            self.forgive(endpoint, start);
        }
    }

    fn forgive(&self, endpoint: SocketAddr, start: Instant) {
        let standing = self.standing.load();
        if standing
            .as_ref()
            .is_some_and(|standing| standing.is_sound(&endpoint))
        {
            return;
        }
        let mut records = self.records.lock();
        // What has failed since then is newer.
        if records
            .get(&endpoint)
            .is_some_and(|record| record.failed <= start)
        {
            records.remove(&endpoint);
            self.standing.store(None);
            self.noted.store(!records.is_empty(), Ordering::Relaxed);
        }
    }
}

impl Standing {
    fn new(endpoints: &Arc<[SocketAddr]>, records: &Records, now: Instant) -> Self {
        let (mut sound, mut open) = (Vec::new(), Vec::new());
        let (mut due, mut next) = (HashMap::default(), None);
        for endpoint in endpoints.iter() {
            let until = records.get(endpoint).map(|record| record.until);
            let is_due = until.is_none_or(|until| until <= now);
            match until {
                None => sound.push(*endpoint),
                Some(until) => {
                    due.insert(*endpoint, is_due);
                    next = [next, Some(until)]
                        .into_iter()
                        .flatten()
                        .filter(|at| *at > now)
                        .min();
                }
            }
            if is_due {
                open.push(*endpoint);
            }
        }
        Self {
            endpoints: endpoints.clone(),
            sound: sound.into(),
            open: open.into(),
            due,
            next,
        }
    }

    /// Whether this is the standing of the very allocation `endpoints`, and still true.
    fn holds(&self, endpoints: &Arc<[SocketAddr]>, now: Instant) -> bool {
        Arc::ptr_eq(&self.endpoints, endpoints) && self.next.is_none_or(|next| now < next)
    }

    /// The endpoints without a record.
    pub(super) fn sound(&self) -> &[SocketAddr] {
        &self.sound
    }

    /// The endpoints that the first attempt of a request may go to.
    pub(super) fn open(&self) -> &[SocketAddr] {
        &self.open
    }

    /// Whether nothing is known of `endpoint`.
    pub(super) fn is_sound(&self, endpoint: &SocketAddr) -> bool {
        !self.due.contains_key(endpoint)
    }

    /// Whether the first attempt of a request may go to `endpoint`.
    pub(super) fn is_open(&self, endpoint: &SocketAddr) -> bool {
        self.due.get(endpoint).is_none_or(|due| *due)
    }
}

/// Whether `error` says that an endpoint cannot be connected to, rather than that this process cannot connect to any.
pub(super) fn is_unreachable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    fn endpoints(n: u8) -> Arc<[SocketAddr]> {
        (1..=n)
            .map(|i| SocketAddr::from(([10, 0, 0, i], 80)))
            .collect()
    }

    #[test]
    fn an_unreachable_endpoint_is_left_out_and_then_tried_by_one_request_at_a_time() {
        let (health, all, start) = (Health::default(), endpoints(3), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(health.standing(&all).is_none());
        health.unreachable(all[1], at(0));
        let left = [all[0], all[2]];
        let standing = health.standing_at(&all, at(999)).unwrap();
        assert_eq!((standing.sound(), standing.open()), (&left[..], &left[..]));
        assert!(!health.claim(all[1], at(999)), "not due yet");
        let standing = health.standing_at(&all, at(1000)).unwrap();
        assert_eq!((standing.sound(), standing.open()), (&left[..], &all[..]));
        assert!(health.claim(all[1], at(1000)) && !health.claim(all[1], at(1001)));
        let standing = health.standing_at(&all, at(1001)).unwrap();
        assert_eq!(standing.open(), left, "another request has the trial");
        health.reached(all[1], at(1000));
        assert!(health.standing(&all).is_none());
    }

    #[test]
    fn an_attempt_that_began_before_the_failure_proves_nothing() {
        let (health, all, start) = (Health::default(), endpoints(2), Instant::now());
        health.unreachable(all[0], start + Duration::from_millis(2));
        health.reached(all[0], start);
        health.reached(all[1], start + Duration::from_millis(3));
        assert!(health.standing(&all).is_some());
    }

    #[test]
    fn what_is_known_follows_the_endpoints() {
        let (health, all, start) = (Health::default(), endpoints(3), Instant::now());
        health.unreachable(all[0], start);
        health.unreachable(all[2], start);
        // The first endpoint stays, the last is removed, and is new when it comes back.
        assert!(health.standing_at(&endpoints(2), start).is_some());
        let standing = health.standing_at(&all, start).unwrap();
        assert_eq!(standing.sound(), &all[1..]);
        assert!(health.standing_at(&all[1..].into(), start).is_none());
        assert!(health.standing(&all).is_none());
    }

    #[test]
    fn shortages_of_this_process_are_no_fault_of_an_endpoint() {
        for (errno, unreachable) in [
            (rustix::io::Errno::CONNREFUSED, true),
            (rustix::io::Errno::HOSTUNREACH, true),
            (rustix::io::Errno::TIMEDOUT, true),
            (rustix::io::Errno::MFILE, false),
            (rustix::io::Errno::ADDRNOTAVAIL, false),
            (rustix::io::Errno::NOBUFS, false),
        ] {
            assert_eq!(is_unreachable(&errno.into()), unreachable, "{errno}");
        }
    }
}
