//! Lookup of a host among the rules of one Ingress, of which there can be ten thousand.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::HostRules;

/// The positions of hosts, if there are many. A few are searched linearly instead, which needs no memory.
#[derive(Debug, Default)]
#[expect(
    clippy::box_collection,
    reason = "tens of thousands of Ingresses have no map, and each would have the size of an empty one"
)]
pub(super) struct Positions(Option<Box<HashMap<Arc<str>, usize, RandomState>>>);

impl Positions {
    /// Maximum number of hosts that are searched linearly.
    const FEW: usize = 16;

    /// The position of `host` in `hosts`.
    pub(super) fn of(&self, host: &str, hosts: &[HostRules]) -> Option<usize> {
        match &self.0 {
            Some(positions) => positions.get(host).copied(),
            None => hosts.iter().position(|known| &*known.host == host),
        }
    }

    /// Adds the last of `hosts`, which is new.
    pub(super) fn added(&mut self, hosts: &[HostRules]) {
        if hosts.len() <= Self::FEW {
            return;
        }
        let positions = self.0.get_or_insert_default();
        let new = hosts.iter().enumerate().skip(positions.len());
        positions.extend(new.map(|(at, rules)| (rules.host.clone(), at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_with_and_without_a_map() {
        let (mut positions, mut hosts) = (Positions::default(), Vec::new());
        for n in 0..3 * Positions::FEW {
            let name = |n: usize| format!("h{n}.example");
            assert_eq!(positions.of(&name(n), &hosts), None);
            hosts.push(HostRules {
                host: name(n).into(),
                paths: Vec::new(),
            });
            positions.added(&hosts);
            for known in 0..=n {
                assert_eq!(positions.of(&name(known), &hosts), Some(known));
            }
        }
    }
}
