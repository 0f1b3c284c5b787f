//! A set of endpoints, divided by what is known of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::RandomState;
use tokio::time::Instant;

use super::record::{Record, Records};

/// How long a division is used at most: records end without an event.
const LONGEST: Duration = Duration::from_secs(10);

/// A set of endpoints, divided by what is known of them.
pub(in super::super) struct Standing {
    /// The set, by identity.
    endpoints: Arc<[SocketAddr]>,
    /// Those that are not left out, in their order.
    sound: Box<[SocketAddr]>,
    /// The same and those that are due for a trial.
    open: Box<[SocketAddr]>,
    known: HashMap<SocketAddr, Known, RandomState>,
    /// When it is outdated.
    until: Instant,
}

/// What is known of an endpoint that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It had a success since.
    Fine,
    /// It is not left out.
    Failing,
    /// It is due for a trial.
    Due,
    LeftOut,
}

impl Known {
    fn of(record: &Record, now: Instant) -> Self {
        match record.failures {
            _ if record.is_left_out(now) => Self::LeftOut,
            _ if record.is_due(now) => Self::Due,
            0 => Self::Fine,
            _ => Self::Failing,
        }
    }
}

impl Standing {
    pub(super) fn new(endpoints: &Arc<[SocketAddr]>, records: &Records, now: Instant) -> Self {
        let (mut sound, mut open) = (Vec::new(), Vec::new());
        let mut known = HashMap::default();
        let mut until = now + LONGEST;
        for endpoint in endpoints.iter() {
            let state = match records.get(endpoint) {
                None => Known::Fine,
                Some(record) => {
                    let state = Known::of(record, now);
                    known.insert(*endpoint, state);
                    let left_out = record.left_out.filter(|until| *until > now);
                    until = left_out.map_or(until, |left_out| left_out.min(until));
                    state
                }
            };
            if matches!(state, Known::Fine | Known::Failing) {
                sound.push(*endpoint);
            }
            if state != Known::LeftOut {
                open.push(*endpoint);
            }
        }
        Self {
            endpoints: endpoints.clone(),
            sound: sound.into(),
            open: open.into(),
            known,
            until,
        }
    }

    /// Whether this is the standing of the very allocation `endpoints`, and still true.
    pub(super) fn holds(&self, endpoints: &Arc<[SocketAddr]>, now: Instant) -> bool {
        Arc::ptr_eq(&self.endpoints, endpoints) && now < self.until
    }

    /// How many endpoints have a record.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether `endpoint` has a record.
    pub(super) fn knows(&self, endpoint: &SocketAddr) -> bool {
        self.known.contains_key(endpoint)
    }

    /// Whether a success of `endpoint` changes nothing.
    pub(super) fn is_fine(&self, endpoint: &SocketAddr) -> bool {
        matches!(self.known.get(endpoint), None | Some(Known::Fine))
    }

    /// The endpoints that are not left out.
    pub(in super::super) fn sound(&self) -> &[SocketAddr] {
        &self.sound
    }

    /// The endpoints that the first attempt of a request may go to.
    pub(in super::super) fn open(&self) -> &[SocketAddr] {
        &self.open
    }

    /// Whether `endpoint` is not left out.
    pub(in super::super) fn is_sound(&self, endpoint: &SocketAddr) -> bool {
        !matches!(self.known.get(endpoint), Some(Known::Due | Known::LeftOut))
    }

    /// Whether the first attempt of a request may go to `endpoint`.
    pub(in super::super) fn is_open(&self, endpoint: &SocketAddr) -> bool {
        self.known.get(endpoint) != Some(&Known::LeftOut)
    }
}
