//! Finding a host among the rules of one Ingress, which may be ten thousand.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::HostRules;

/// Where which host is among thousands; a few are looked through instead, which takes no room.
#[derive(Debug, Default)]
#[expect(
    clippy::box_collection,
    reason = "tens of thousands of Ingresses have none, and each would hold the room of an empty map"
)]
pub(super) struct Positions(Option<Box<HashMap<Arc<str>, usize, RandomState>>>);

impl Positions {
    /// Hosts that are looked through.
    const FEW: usize = 16;

    /// Where `host` is in `hosts`.
    pub(super) fn of(&self, host: &str, hosts: &[HostRules]) -> Option<usize> {
        match &self.0 {
            Some(positions) => positions.get(host).copied(),
            None => hosts.iter().position(|known| &*known.host == host),
        }
    }

    /// The last of `hosts` is new.
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
    fn found_before_and_after_there_are_many() {
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
