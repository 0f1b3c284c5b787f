//! Where the counters of each route were at the last tick.

use std::sync::Arc;

use super::counts::Counts;

/// By how many entries the list grows: twice as much at a time would waste memory.
const GROWTH: usize = 1024;

/// The sides of all routes, by route.
#[derive(Default)]
pub(super) struct Sides(Vec<Side>);

/// The primary of a route, or a canary.
struct Side {
    route: u64,
    /// 0 for the primary; others of the route have other numbers.
    part: u32,
    canary: Option<Arc<str>>,
    counters: Counts,
    /// The step in which it was read last.
    step: u64,
}

/// A side whose counters have grown.
pub(super) struct Active {
    pub(super) route: u64,
    pub(super) part: u32,
    /// Number of its host.
    pub(super) host: Option<u32>,
    pub(super) requests: u32,
    pub(super) counts: Counts,
}

impl Sides {
    /// Number of sides.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Sets the counters of a side, and returns how they have grown, if they have. The host is left to the caller.
    pub(super) fn update(
        &mut self,
        (route, canary): (u64, Option<&Arc<str>>),
        counters: &Counts,
        step: u64,
    ) -> Option<Active> {
        let begin = self.0.partition_point(|side| side.route < route);
        let (mut index, mut part) = (begin, u32::from(canary.is_some()));
        let former = loop {
            match self.0.get_mut(index).filter(|side| side.route == route) {
                Some(side) if side.canary.as_ref() == canary => break Some(side),
                Some(side) => part = part.max(side.part + u32::from(canary.is_some())),
                None => break None,
            }
            index += 1;
        };
        let grown = match former {
            Some(side) => {
                side.step = step;
                let former = std::mem::replace(&mut side.counters, *counters);
                part = side.part;
                counters.since(&former)
            }
            None => {
                if self.0.len() == self.0.capacity() {
                    self.0.reserve_exact(GROWTH);
                }
                let side = Side {
                    route,
                    part,
                    canary: canary.cloned(),
                    counters: *counters,
                    step,
                };
                self.0.insert(index, side);
                *counters
            }
        };
        (!grown.is_zero()).then_some(Active {
            route,
            part,
            host: None,
            requests: u32::try_from(grown.requests()).unwrap_or(u32::MAX),
            counts: grown,
        })
    }

    /// Forgets the sides that were not read in `step`: their routes are gone.
    pub(super) fn end(&mut self, step: u64) {
        self.0.retain(|side| side.step == step);
    }

    /// The number of a side of a route; `None`: it has had no requests.
    pub(super) fn part(&self, route: u64, canary: Option<&str>) -> Option<u32> {
        let begin = self.0.partition_point(|side| side.route < route);
        let mut sides = self.0.iter().skip(begin);
        let mut of_route = sides.by_ref().take_while(|side| side.route == route);
        let found = of_route.find(|side| side.canary.as_deref() == canary);
        found.map(|side| side.part)
    }
}
