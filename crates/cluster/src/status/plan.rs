//! Which statuses to write, decided without an API server.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_compile::Name;

use super::{Address, Observed, StatusInput};

/// Lists of addresses that are remembered as once published.
const REMEMBERED: usize = 8;
/// So often within an interval a status is written again that another changed back.
const REPAIRS: u8 = 1;

/// A status to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// Whose.
    pub(super) ingress: Name,
    /// The desired status.
    pub(super) wanted: Wanted,
    /// What it was.
    pub(super) before: Observed,
}

/// The desired status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// These addresses, sorted.
    Addresses(Arc<[Address]>),
    /// None of ours.
    Nothing,
}

/// What is known of the Ingresses.
#[derive(Default)]
pub(super) struct StatusPlan {
    ours: BTreeSet<Name>,
    /// No longer ours; what we wrote there must go.
    released: BTreeSet<Name>,
    /// The latest addresses, the present ones last. Another installation writes by the same manager, so that only
    /// these addresses distinguish our statuses from its own.
    published: VecDeque<Arc<[Address]>>,
    /// What was written in this interval.
    written: HashMap<Name, Written, RandomState>,
}

struct Written {
    write: Write,
    times: u8,
}

impl StatusPlan {
    /// Takes in which Ingresses were adopted and which released.
    pub(super) fn take(&mut self, input: StatusInput) {
        for name in input.released {
            self.ours.remove(&name);
            self.written.remove(&name);
            self.released.insert(name);
        }
        for name in input.adopted {
            self.released.remove(&name);
            self.written.remove(&name);
            self.ours.insert(name);
        }
    }

    /// An interval begins.
    pub(super) fn begin_interval(&mut self) {
        self.written.clear();
    }

    /// What to write so that statuses become what they should be. Without addresses those of ours are released alone.
    pub(super) fn writes(
        &mut self,
        observed: impl Fn(&Name) -> Option<Observed>,
        addresses: Option<&Arc<[Address]>>,
    ) -> Vec<Write> {
        if let Some(addresses) = addresses {
            self.remember(addresses);
            // What another wrote there meanwhile is theirs.
            let published = &self.published;
            self.released.retain(|name| {
                observed(name).is_some_and(|observed| is_left_over(&observed, published))
            });
        }
        let released = self.released.iter().map(|name| (name, Wanted::Nothing));
        let ours = addresses.into_iter().flat_map(|addresses| {
            let wanted = Wanted::Addresses(addresses.clone());
            self.ours.iter().map(move |name| (name, wanted.clone()))
        });
        released
            .chain(ours)
            .filter_map(|(name, wanted)| {
                let before = observed(name)?;
                let write = Write {
                    ingress: name.clone(),
                    wanted,
                    before,
                };
                (self.is_needed(&write) && self.is_due(&write)).then_some(write)
            })
            .collect()
    }

    /// What to write so that no status points here any more.
    pub(super) fn clearing_writes(
        &self,
        observed: impl Fn(&Name) -> Option<Observed>,
        addresses: Option<&Arc<[Address]>>,
    ) -> Vec<Write> {
        let is_ours = |observed: &Observed| {
            let same = addresses.is_some_and(|addresses| is_same(&observed.entries, addresses));
            !observed.entries.is_empty() && (observed.ours || same)
        };
        let ours = self.ours.iter().filter_map(|name| {
            let before = observed(name).filter(is_ours)?;
            Some(Write {
                ingress: name.clone(),
                wanted: Wanted::Nothing,
                before,
            })
        });
        ours.collect()
    }

    /// It was written, or will not be as long as the Ingress is what it was.
    pub(super) fn done(&mut self, write: Write) {
        if write.wanted == Wanted::Nothing {
            self.released.remove(&write.ingress);
            return;
        }
        let before = self.written.remove(&write.ingress);
        let again = before.filter(|written| {
            let is_same = written.write.before.uid == write.before.uid;
            is_same && written.write.wanted == write.wanted
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
        if self.published.len() > REMEMBERED {
            self.published.pop_front();
        }
    }

    fn is_needed(&self, write: &Write) -> bool {
        match &write.wanted {
            Wanted::Addresses(addresses) => !is_same(&write.before.entries, addresses),
            Wanted::Nothing => is_left_over(&write.before, &self.published),
        }
    }

    /// Whether a needed write is due now.
    fn is_due(&self, write: &Write) -> bool {
        let Some(written) = self.written.get(&write.ingress) else {
            return true;
        };
        let is_another = written.write.before.uid != write.before.uid;
        if is_another || written.write.wanted != write.wanted {
            return true;
        }
        // What was written has not been observed yet; or it was, and another changed it since.
        written.write.before != write.before && written.times <= REPAIRS
    }
}

/// Whether what we wrote is still there.
fn is_left_over(observed: &Observed, published: &VecDeque<Arc<[Address]>>) -> bool {
    let is_told = || {
        published
            .iter()
            .any(|addresses| is_same(&observed.entries, addresses))
    };
    observed.ours && !observed.entries.is_empty() && is_told()
}

/// Whether they are the same, in any order.
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

    type Cluster = HashMap<Name, Observed, RandomState>;

    fn addresses(texts: &[&str]) -> Arc<[Address]> {
        super::super::addresses::listed(texts.iter().map(|text| Address::parse(text)))
    }

    fn name(number: usize) -> Name {
        Name::new("shop", &format!("web-{number}"))
    }

    fn observed(entries: &[&str], ours: bool) -> Observed {
        Observed {
            uid: "uid".into(),
            entries: entries.iter().map(|text| Address::parse(text)).collect(),
            ours,
        }
    }

    /// As the API server does it.
    fn play(write: &Write, cluster: &mut Cluster) {
        let observed = match &write.wanted {
            Wanted::Addresses(addresses) => Observed {
                entries: addresses.clone(),
                ours: true,
                ..write.before.clone()
            },
            Wanted::Nothing => observed(&[], false),
        };
        cluster.insert(write.ingress.clone(), observed);
    }

    fn some_observed() -> impl Strategy<Value = Observed> {
        let entries = prop::collection::vec(
            prop::sample::select(vec!["192.0.2.1", "192.0.2.2", "lb.example"]),
            0..3,
        );
        (entries, any::<bool>()).prop_map(|(entries, ours)| observed(&entries, ours))
    }

    proptest! {
        /// After the writes everything of ours is as wanted, released ones have no address that we published, statuses of others are
        /// untouched, and nothing more is to be written.
        #[test]
        fn writing_what_is_planned_is_enough_and_nothing_more(
            before in prop::collection::vec((some_observed(), 0..3_u8), 1..20),
            wanted in prop::sample::select(vec![vec![], vec!["192.0.2.2", "192.0.2.1"], vec!["lb.example"]]),
        ) {
            let wanted = addresses(&wanted);
            let mut plan = StatusPlan::default();
            let mut cluster = Cluster::default();
            for (number, (observed, place)) in before.iter().enumerate() {
                cluster.insert(name(number), observed.clone());
                let mut input = StatusInput::default();
                match place {
                    0 => input.adopted.push(name(number)),
                    1 => input.released.push(name(number)),
                    _ => {}
                }
                plan.take(input);
            }
            let writes = plan.writes(|name| cluster.get(name).cloned(), Some(&wanted));
            for write in writes {
                play(&write, &mut cluster);
                plan.done(write);
            }
            for (number, (observed, place)) in before.iter().enumerate() {
                let after = &cluster[&name(number)];
                match place {
                    0 => prop_assert!(is_same(&after.entries, &wanted)),
                    1 if observed.ours && is_same(&observed.entries, &wanted) => {
                        prop_assert!(after.entries.is_empty());
                    }
                    _ => prop_assert_eq!(after, observed),
                }
            }
            prop_assert!(plan.writes(|name| cluster.get(name).cloned(), Some(&wanted)).is_empty());
            plan.begin_interval();
            prop_assert!(plan.writes(|name| cluster.get(name).cloned(), Some(&wanted)).is_empty());
        }
    }

    #[test]
    fn a_write_is_not_repeated_before_it_is_seen_and_a_quarrel_is_slow() {
        let wanted = addresses(&["192.0.2.1"]);
        let mut plan = StatusPlan::default();
        plan.take(StatusInput {
            adopted: vec![name(0)],
            released: vec![],
        });
        let empty = |_: &Name| Some(observed(&[], false));
        let other = |_: &Name| Some(observed(&["192.0.2.7"], false));
        let mut writes = plan.writes(empty, Some(&wanted));
        plan.done(writes.remove(0));
        assert!(plan.writes(empty, Some(&wanted)).is_empty(), "not seen yet");
        let mut writes = plan.writes(other, Some(&wanted));
        assert_eq!(writes.len(), 1, "undone once");
        plan.done(writes.remove(0));
        assert!(plan.writes(empty, Some(&wanted)).is_empty(), "undone again");
        let next = addresses(&["192.0.2.2"]);
        assert_eq!(
            plan.writes(empty, Some(&next)).len(),
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
            plan.writes(again, Some(&wanted)).len(),
            1,
            "deleted and made again"
        );
        plan.begin_interval();
        assert_eq!(plan.writes(empty, Some(&wanted)).len(), 1);
    }

    #[test]
    fn what_left_is_cleaned_once_and_only_of_what_was_told() {
        let (old, new) = (addresses(&["192.0.2.1"]), addresses(&["192.0.2.2"]));
        let mut plan = StatusPlan::default();
        let adopted = vec![name(0), name(1), name(2)];
        plan.take(StatusInput {
            adopted: adopted.clone(),
            released: vec![],
        });
        let before = |_: &Name| Some(observed(&["192.0.2.1"], true));
        assert!(plan.writes(before, Some(&old)).is_empty());
        plan.take(StatusInput {
            adopted: vec![],
            released: adopted,
        });
        // One has addresses that we published before, one what another installation wrote by the same manager, one was emptied.
        let after = |asked: &Name| {
            let entries: &[&str] = match asked {
                asked if *asked == name(0) => &["192.0.2.1"],
                asked if *asked == name(1) => &["192.0.2.99"],
                _ => &[],
            };
            Some(observed(entries, true))
        };
        let mut writes = plan.writes(after, Some(&new));
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].ingress, name(0));
        plan.done(writes.remove(0));
        plan.begin_interval();
        assert!(
            plan.writes(before, Some(&new)).is_empty(),
            "another may have written the same by now"
        );
    }

    #[test]
    fn without_addresses_nothing_is_known_and_nothing_written() {
        let mut plan = StatusPlan::default();
        plan.take(StatusInput {
            adopted: vec![name(0)],
            released: vec![],
        });
        assert!(
            plan.writes(|_| Some(observed(&["192.0.2.1"], true)), None)
                .is_empty()
        );
    }
}
