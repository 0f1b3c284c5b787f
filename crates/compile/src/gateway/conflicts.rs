//! Which earlier listener another one conflicts with, found without comparing it with all of them (gateway-api.md 2.3): a Gateway
//! can have many ListenerSets.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::condition::Problem;
use super::hostname::Hostname;
use super::listener::{Family, Listener};

/// Listeners by what others conflict with.
#[derive(Default)]
pub(super) struct Taken(HashMap<(u16, Family), Port, RandomState>);

/// The listeners of one port and family, by their indexes.
struct Port {
    first: usize,
    by_hostname: HashMap<Hostname, usize, RandomState>,
}

impl Taken {
    /// Adds a listener that comes after those before.
    pub(super) fn add(&mut self, index: usize, listener: &Listener) {
        let Some(protocol) = listener.protocol else {
            return;
        };
        let key = (listener.port, protocol.family());
        let port = self.0.entry(key).or_insert_with(|| Port {
            first: index,
            by_hostname: HashMap::default(),
        });
        let hostname = listener.hostname.clone();
        port.by_hostname.entry(hostname).or_insert(index);
    }

    /// The conflict of `listener` with the first of `listeners`, those that were added, that it conflicts with.
    pub(super) fn conflict(&self, listener: &Listener, listeners: &[Listener]) -> Option<Problem> {
        let family = listener.protocol?.family();
        let found = Family::ALL.into_iter().filter_map(|other| {
            let port = self.0.get(&(listener.port, other))?;
            if other == family {
                port.by_hostname.get(&listener.hostname).copied()
            } else {
                Some(port.first)
            }
        });
        let mut found: SmallVec<[usize; 4]> = found.collect();
        found.sort_unstable();
        let others = found.into_iter().filter_map(|index| listeners.get(index));
        others
            .into_iter()
            .find_map(|other| listener.conflict_with(other))
    }
}
