//! Data derived from a set of endpoints, built at first use and kept until the set changes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use foldhash::quality::RandomState;
use headgate_table::{Balance, may_be_endpoint};

use super::least_conn::InFlight;
use super::ring::Ring;
use super::{affinity, random};

/// A set of endpoints with its rings.
pub(in super::super) struct View {
    source: Arc<[SocketAddr]>,
    derived: Arc<Derived>,
}

/// What depends on the addresses alone, not on the allocation that holds them.
struct Derived {
    endpoints: Arc<[SocketAddr]>,
    subset: Option<NonZeroUsize>,
    ring: OnceLock<Ring>,
    groups: OnceLock<Groups>,
    keys: OnceLock<HashMap<String, SocketAddr, RandomState>>,
    in_flight: OnceLock<InFlight>,
}

struct Groups {
    members: Vec<Vec<SocketAddr>>,
    ring: Ring,
}

impl View {
    /// The view of those of `source` that may be endpoints.
    pub(in super::super) fn new(
        source: &Arc<[SocketAddr]>,
        balance: &Balance,
        loopback: bool,
    ) -> Self {
        let allowed = |endpoint: &SocketAddr| may_be_endpoint(endpoint.ip(), loopback);
        let endpoints = if source.iter().all(allowed) {
            source.clone()
        } else {
            source.iter().copied().filter(allowed).collect()
        };
        let derived = Derived {
            endpoints,
            subset: subset(balance),
            ring: OnceLock::new(),
            groups: OnceLock::new(),
            keys: OnceLock::new(),
            in_flight: OnceLock::new(),
        };
        Self {
            source: source.clone(),
            derived: Arc::new(derived),
        }
    }

    /// The same after `former`, whose requests go on.
    pub(super) fn after(self, former: &Self) -> Self {
        if let Some(in_flight) = former.derived.in_flight.get() {
            let in_flight = InFlight::new(self.endpoints(), Some(in_flight));
            // A new view has none.
            let _ = self.derived.in_flight.set(in_flight);
        }
        self
    }

    /// Whether this is the view of the very allocation `source`. Compares no addresses, because it is called per request.
    pub(super) fn is_of(&self, source: &Arc<[SocketAddr]>, balance: &Balance) -> bool {
        Arc::ptr_eq(&self.source, source) && self.derived.subset == subset(balance)
    }

    /// The view of `source` with the data of this one, if the addresses are the same.
    pub(super) fn moved_to(&self, source: &Arc<[SocketAddr]>, balance: &Balance) -> Option<Self> {
        let same = self.source == *source && self.derived.subset == subset(balance);
        same.then(|| Self {
            source: source.clone(),
            derived: self.derived.clone(),
        })
    }

    pub(in super::super) fn endpoints(&self) -> &[SocketAddr] {
        &self.derived.endpoints
    }

    /// The endpoints, by an allocation that is the same while the addresses are.
    pub(super) fn shared(&self) -> &Arc<[SocketAddr]> {
        &self.derived.endpoints
    }

    /// The requests of each endpoint.
    pub(in super::super) fn in_flight(&self) -> &InFlight {
        let new = || InFlight::new(self.endpoints(), None);
        self.derived.in_flight.get_or_init(new)
    }

    /// The endpoint that `hash` belongs to, or the next one that `suits`.
    pub(in super::super) fn by_hash(
        &self,
        hash: u64,
        suits: impl Fn(&SocketAddr) -> bool,
    ) -> Option<SocketAddr> {
        let endpoints = self.endpoints();
        let ring = self
            .derived
            .ring
            .get_or_init(|| Ring::new(endpoints.iter()));
        let suits = |node: usize| endpoints.get(node).is_some_and(&suits);
        endpoints.get(ring.find(hash, suits)?).copied()
    }

    /// A random endpoint, preferably one that `suits`, of the group that `hash` belongs to, or of the next group with one.
    pub(super) fn by_subset(
        &self,
        hash: u64,
        suits: impl Fn(&SocketAddr) -> bool,
    ) -> Option<SocketAddr> {
        let groups = self
            .derived
            .groups
            .get_or_init(|| Groups::new(self.endpoints(), self.derived.subset));
        let members = |group: usize| {
            groups
                .members
                .get(group)
                .map(Vec::as_slice)
                .unwrap_or_default()
        };
        let any_suits = |group: usize| members(group).iter().any(&suits);
        random(members(groups.ring.find(hash, any_suits)?), suits)
    }

    /// The endpoint whose key in persistent sessions of `upstream` is `key`.
    pub(in super::super) fn by_key(&self, upstream: &str, key: &str) -> Option<SocketAddr> {
        let keyed =
            |endpoint: &SocketAddr| (affinity::persistent_key(upstream, *endpoint), *endpoint);
        self.derived
            .keys
            .get_or_init(|| self.endpoints().iter().map(keyed).collect())
            .get(key)
            .copied()
    }
}

fn subset(balance: &Balance) -> Option<NonZeroUsize> {
    match balance {
        Balance::Hash { subset, .. } => *subset,
        Balance::RoundRobin | Balance::Ewma | Balance::LeastConn => None,
    }
}

impl Groups {
    /// Groups of `size` in the order of the endpoints; the last is filled up from the first ones.
    fn new(endpoints: &[SocketAddr], size: Option<NonZeroUsize>) -> Self {
        let size = size
            .map_or(endpoints.len(), NonZeroUsize::get)
            .clamp(1, endpoints.len().max(1));
        let group = |chunk: &[SocketAddr]| {
            let rest = endpoints.iter().take(size - chunk.len());
            chunk.iter().chain(rest).copied().collect()
        };
        let members: Vec<Vec<SocketAddr>> = endpoints.chunks(size).map(group).collect();
        let ring = Ring::new((0..members.len()).map(|group| format!("group {group}")));
        Self { members, ring }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use headgate_table::Template;
    use std::collections::HashSet;

    fn endpoints(n: u8) -> Arc<[SocketAddr]> {
        (1..=n)
            .map(|i| SocketAddr::from(([10, 0, 0, i], 80)))
            .collect()
    }

    fn by_hash(subset: usize) -> Balance {
        Balance::Hash {
            key: Template::literal("k"),
            subset: NonZeroUsize::new(subset),
        }
    }

    #[test]
    fn a_key_stays_within_its_group() {
        let view = View::new(&endpoints(7), &by_hash(3), false);
        let picked: HashSet<_> = (0..200)
            .map(|_| view.by_subset(99, |_| true).unwrap())
            .collect();
        assert_eq!(picked.len(), 3);
        let groups = view.derived.groups.get().unwrap();
        assert_eq!(
            groups.members.iter().map(Vec::len).collect::<Vec<_>>(),
            [3, 3, 3]
        );
    }

    #[test]
    fn a_view_follows_endpoints_and_settings() {
        let set = endpoints(3);
        let view = View::new(&set, &by_hash(2), false);
        assert!(view.is_of(&set, &by_hash(2)));
        assert!(!view.is_of(&set, &by_hash(3)) && view.moved_to(&set, &by_hash(3)).is_none());
        assert!(view.moved_to(&endpoints(4), &by_hash(2)).is_none());
        // The same addresses in another table: derived data stays.
        let other = endpoints(3);
        let moved = view.moved_to(&other, &by_hash(2)).unwrap();
        assert!(!view.is_of(&other, &by_hash(2)) && moved.is_of(&other, &by_hash(2)));
        assert!(Arc::ptr_eq(&moved.derived, &view.derived));
    }

    #[test]
    fn refused_addresses_are_left_out() {
        let set: Arc<[SocketAddr]> = ["127.0.0.1:80", "10.0.0.1:80", "169.254.1.1:80"]
            .map(|a| a.parse().unwrap())
            .into();
        assert_eq!(
            View::new(&set, &Balance::RoundRobin, false).endpoints(),
            &set[1..2]
        );
        assert_eq!(
            View::new(&set, &Balance::RoundRobin, true).endpoints(),
            &set[..2]
        );
    }
}
