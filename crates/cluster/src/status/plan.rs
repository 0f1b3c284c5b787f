//! Decides which statuses to write, without an API server.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_compile::Name;

use super::{Address, Observed, StatusInput};

/// Most address lists remembered as once published.
const MAX_PUBLISHED: usize = 8;
/// How often within an interval a status is written again after another client changed it.
const REPAIRS: u8 = 1;

/// A status to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) ingress: Name,
    pub(super) desired: Desired,
    /// The observed status.
    pub(super) before: Observed,
}

/// The desired status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Desired {
    /// These addresses, sorted.
    Addresses(Arc<[Address]>),
    /// No addresses of this controller.
    Cleared,
}

/// The state from which writes are decided.
#[derive(Default)]
pub(super) struct StatusPlan {
    adopted: BTreeSet<Name>,
    /// No longer of this controller; the addresses that it wrote there must be removed.
    released: BTreeSet<Name>,
    /// The latest address lists, the present one last. Another installation writes with the same field manager, so that
    /// only the addresses distinguish this installation's statuses from its own.
    published: VecDeque<Arc<[Address]>>,
    /// The writes of this interval.
    written: HashMap<Name, Written, RandomState>,
}

struct Written {
    write: Write,
    times: u8,
}

impl StatusPlan {
    /// Updates the sets of adopted and released Ingresses.
    pub(super) fn apply(&mut self, input: StatusInput) {
        for name in input.released {
            self.adopted.remove(&name);
            self.written.remove(&name);
            self.released.insert(name);
        }
        for name in input.adopted {
            self.released.remove(&name);
            self.written.remove(&name);
            self.adopted.insert(name);
        }
    }

    /// Allows repairs again.
    pub(super) fn begin_interval(&mut self) {
        self.written.clear();
    }

    /// For each Ingress the write that is due, if one is. Without addresses, statuses of adopted Ingresses are left alone.
    pub(super) fn writes<'p>(
        &'p mut self,
        observed: impl Fn(&Name) -> Option<Observed> + 'p,
        addresses: Option<&'p Arc<[Address]>>,
    ) -> impl Iterator<Item = Option<Write>> + 'p {
        if let Some(addresses) = addresses {
            self.remember(addresses);
            // A status that another client wrote meanwhile is left to it.
            let published = &self.published;
            self.released.retain(|name| {
                observed(name).is_some_and(|observed| is_left_over(&observed, published))
            });
        }
        let plan = &*self;
        let released = plan.released.iter().map(|name| (name, Desired::Cleared));
        let adopted = addresses.into_iter().flat_map(|addresses| {
            let desired = Desired::Addresses(addresses.clone());
            plan.adopted.iter().map(move |name| (name, desired.clone()))
        });
        released.chain(adopted).map(move |(name, desired)| {
            let before = observed(name)?;
            let write = Write {
                ingress: name.clone(),
                desired,
                before,
            };
            (plan.is_needed(&write) && plan.is_due(&write)).then_some(write)
        })
    }

    /// The writes that remove this controller's addresses from all statuses.
    pub(super) fn clearing_writes(
        &self,
        observed: impl Fn(&Name) -> Option<Observed>,
        addresses: Option<&Arc<[Address]>>,
    ) -> Vec<Write> {
        let must_clear = |observed: &Observed| {
            let same = addresses.is_some_and(|addresses| is_same(&observed.entries, addresses));
            !observed.entries.is_empty() && (observed.managed || same)
        };
        let writes = self.adopted.iter().filter_map(|name| {
            let before = observed(name).filter(must_clear)?;
            Some(Write {
                ingress: name.clone(),
                desired: Desired::Cleared,
                before,
            })
        });
        writes.collect()
    }

    /// Records a write that succeeded, or that is not retried until the Ingress changes.
    pub(super) fn done(&mut self, write: Write) {
        if write.desired == Desired::Cleared {
            self.released.remove(&write.ingress);
            return;
        }
        let before = self.written.remove(&write.ingress);
        let again = before.filter(|written| {
            let is_same = written.write.before.uid == write.before.uid;
            is_same && written.write.desired == write.desired
        });
        let times = again.map_or(1, |written| written.times.saturating_add(1));
        self.written
            .insert(write.ingress.clone(), Written { write, times });
    }

    fn remember(&mut self, addresses: &Arc<[Address]>) {
        if self.published.back() == Some(addresses) {
            return;
        }
        self.published.retain(|known| known != addresses);
        self.published.push_back(addresses.clone());
        if self.published.len() > MAX_PUBLISHED {
            self.published.pop_front();
        }
    }

    fn is_needed(&self, write: &Write) -> bool {
        match &write.desired {
            Desired::Addresses(addresses) => !is_same(&write.before.entries, addresses),
            Desired::Cleared => is_left_over(&write.before, &self.published),
        }
    }

    /// Whether a needed write is due now.
    fn is_due(&self, write: &Write) -> bool {
        let Some(written) = self.written.get(&write.ingress) else {
            return true;
        };
        let is_another = written.write.before.uid != write.before.uid;
        if is_another || written.write.desired != write.desired {
            return true;
        }
        // The last write is not observed yet while the observation is unchanged; afterwards another client wrote.
        written.write.before != write.before && written.times <= REPAIRS
    }
}

/// Whether the status still has addresses that this installation wrote.
fn is_left_over(observed: &Observed, published: &VecDeque<Arc<[Address]>>) -> bool {
    let is_published = || {
        published
            .iter()
            .any(|addresses| is_same(&observed.entries, addresses))
    };
    observed.managed && !observed.entries.is_empty() && is_published()
}

/// Whether the lists are equal apart from their order.
pub(super) fn is_same(observed: &[Address], sorted: &[Address]) -> bool {
    if observed.is_sorted() {
        return observed == sorted;
    }
    let mut observed = observed.to_vec();
    observed.sort();
    observed == sorted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl StatusPlan {
        fn due(
            &mut self,
            observed: impl Fn(&Name) -> Option<Observed>,
            addresses: Option<&Arc<[Address]>>,
        ) -> Vec<Write> {
            self.writes(observed, addresses).flatten().collect()
        }
    }

    type Cluster = HashMap<Name, Observed, RandomState>;

    fn addresses(texts: &[&str]) -> Arc<[Address]> {
        super::super::addresses::sorted(texts.iter().map(|text| Address::parse(text)))
    }

    fn name(number: usize) -> Name {
        Name::new("shop", &format!("web-{number}"))
    }

    fn observed(entries: &[&str], managed: bool) -> Observed {
        Observed {
            uid: "uid".into(),
            entries: entries.iter().map(|text| Address::parse(text)).collect(),
            managed,
        }
    }

    /// As the API server does.
    fn execute(write: &Write, cluster: &mut Cluster) {
        let observed = match &write.desired {
            Desired::Addresses(addresses) => Observed {
                entries: addresses.clone(),
                managed: true,
                ..write.before.clone()
            },
            Desired::Cleared => observed(&[], false),
        };
        cluster.insert(write.ingress.clone(), observed);
    }

    fn some_observed() -> impl Strategy<Value = Observed> {
        let entries = prop::collection::vec(
            prop::sample::select(vec!["192.0.2.1", "192.0.2.2", "lb.example"]),
            0..3,
        );
        (entries, any::<bool>()).prop_map(|(entries, managed)| observed(&entries, managed))
    }

    proptest! {
        /// After the writes adopted Ingresses have the desired addresses, released ones have no published address, other
        /// statuses are unchanged, and no further write is due.
        #[test]
        fn the_planned_writes_reach_the_desired_state(
            before in prop::collection::vec((some_observed(), 0..3_u8), 1..20),
            desired in prop::sample::select(vec![vec![], vec!["192.0.2.2", "192.0.2.1"], vec!["lb.example"]]),
        ) {
            let desired = addresses(&desired);
            let mut plan = StatusPlan::default();
            let mut cluster = Cluster::default();
            for (number, (observed, change)) in before.iter().enumerate() {
                cluster.insert(name(number), observed.clone());
                let mut input = StatusInput::default();
                match change {
                    0 => input.adopted.push(name(number)),
                    1 => input.released.push(name(number)),
                    _ => {}
                }
                plan.apply(input);
            }
            let writes = plan.due(|name| cluster.get(name).cloned(), Some(&desired));
            for write in writes {
                execute(&write, &mut cluster);
                plan.done(write);
            }
            for (number, (observed, change)) in before.iter().enumerate() {
                let after = &cluster[&name(number)];
                match change {
                    0 => prop_assert!(is_same(&after.entries, &desired)),
                    1 if observed.managed && is_same(&observed.entries, &desired) => {
                        prop_assert!(after.entries.is_empty());
                    }
                    _ => prop_assert_eq!(after, observed),
                }
            }
            prop_assert!(plan.due(|name| cluster.get(name).cloned(), Some(&desired)).is_empty());
            plan.begin_interval();
            prop_assert!(plan.due(|name| cluster.get(name).cloned(), Some(&desired)).is_empty());
        }
    }

    #[test]
    fn a_write_is_not_repeated_before_it_is_observed_and_repairs_are_limited() {
        let desired = addresses(&["192.0.2.1"]);
        let mut plan = StatusPlan::default();
        plan.apply(StatusInput {
            adopted: vec![name(0)],
            released: vec![],
        });
        let empty = |_: &Name| Some(observed(&[], false));
        let other = |_: &Name| Some(observed(&["192.0.2.7"], false));
        let mut writes = plan.due(empty, Some(&desired));
        plan.done(writes.remove(0));
        assert!(
            plan.due(empty, Some(&desired)).is_empty(),
            "not observed yet"
        );
        let mut writes = plan.due(other, Some(&desired));
        assert_eq!(writes.len(), 1, "changed once");
        plan.done(writes.remove(0));
        assert!(plan.due(empty, Some(&desired)).is_empty(), "changed again");
        let next = addresses(&["192.0.2.2"]);
        assert_eq!(
            plan.due(empty, Some(&next)).len(),
            1,
            "other addresses are written at once"
        );
        let again = |_: &Name| {
            Some(Observed {
                uid: "another".into(),
                ..observed(&[], false)
            })
        };
        assert_eq!(
            plan.due(again, Some(&desired)).len(),
            1,
            "deleted and created again"
        );
        plan.begin_interval();
        assert_eq!(plan.due(empty, Some(&desired)).len(), 1);
    }

    #[test]
    fn a_released_status_is_cleared_once_and_only_of_published_addresses() {
        let (old, new) = (addresses(&["192.0.2.1"]), addresses(&["192.0.2.2"]));
        let mut plan = StatusPlan::default();
        let adopted = vec![name(0), name(1), name(2)];
        plan.apply(StatusInput {
            adopted: adopted.clone(),
            released: vec![],
        });
        let before = |_: &Name| Some(observed(&["192.0.2.1"], true));
        assert!(plan.due(before, Some(&old)).is_empty());
        plan.apply(StatusInput {
            adopted: vec![],
            released: adopted,
        });
        // One has addresses that this installation published, one was written by another installation with the same field
        // manager, one was emptied.
        let after = |ingress: &Name| {
            let entries: &[&str] = match ingress {
                ingress if *ingress == name(0) => &["192.0.2.1"],
                ingress if *ingress == name(1) => &["192.0.2.99"],
                _ => &[],
            };
            Some(observed(entries, true))
        };
        let mut writes = plan.due(after, Some(&new));
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].ingress, name(0));
        plan.done(writes.remove(0));
        plan.begin_interval();
        assert!(
            plan.due(before, Some(&new)).is_empty(),
            "another installation may have written the same by now"
        );
    }

    #[test]
    fn without_addresses_nothing_is_written() {
        let mut plan = StatusPlan::default();
        plan.apply(StatusInput {
            adopted: vec![name(0)],
            released: vec![],
        });
        assert!(
            plan.due(|_| Some(observed(&["192.0.2.1"], true)), None)
                .is_empty()
        );
    }
}
