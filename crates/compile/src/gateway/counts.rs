//! How many routes each listener has, and the statuses that say so.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::state::{Route, State};
use super::universe::reference;
use crate::{Kind, Name};

/// The numbers of attached routes by Gateway and the index of the listener.
#[derive(Default)]
pub(super) struct Counts(HashMap<Name, Vec<u32>, RandomState>);

impl Counts {
    /// Counts a route that is attached.
    pub(super) fn add(&mut self, route: &Route) {
        for (gateway, listener) in route.listeners() {
            let counts = self.0.entry(gateway.clone()).or_default();
            if counts.len() <= listener {
                counts.resize(listener + 1, 0);
            }
            if let Some(count) = counts.get_mut(listener) {
                *count += 1;
            }
        }
    }

    /// Forgets a route that was counted.
    pub(super) fn remove(&mut self, route: &Route) {
        for (gateway, listener) in route.listeners() {
            let counts = self.0.get_mut(gateway);
            if let Some(count) = counts.and_then(|counts| counts.get_mut(listener)) {
                *count = count.saturating_sub(1);
            }
            let is_unused = |counts: &Vec<u32>| counts.iter().all(|count| *count == 0);
            if self.0.get(gateway).is_some_and(is_unused) {
                self.0.remove(gateway);
            }
        }
    }

    /// The numbers of the listeners of a Gateway by their indexes; those that are missing are 0.
    pub(super) fn of(&self, gateway: &Name) -> &[u32] {
        self.0.get(gateway).map_or(&[], Vec::as_slice)
    }
}

impl State {
    /// Has the routes of a Gateway and of its ListenerSets counted.
    pub(super) fn recount(&mut self, gateway: &Name) {
        let sets = self.gateways.get(gateway).into_iter();
        let sets = sets.flat_map(|gateway| &gateway.sets);
        let sets = sets.map(|set| reference(Kind::ListenerSet, &set.object.name));
        let all = sets.chain([reference(Kind::Gateway, gateway)]);
        self.uncounted.extend(all);
    }

    /// Has the routes counted of the parents of the listeners that a route is attached to.
    pub(super) fn recount_parents(&mut self, route: &Route) {
        for (gateway, listener) in route.listeners() {
            let gateway = self.gateways.get(gateway);
            let listener = gateway.and_then(|gateway| gateway.listeners.get(listener));
            self.uncounted
                .extend(listener.map(|one| one.parent.clone()));
        }
    }
}
