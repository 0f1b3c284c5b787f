//! The traffic of the last hour, in bounded memory.
//!
//! Counters only grow; the caller reads them every [`STEP`] seconds and gives them to [`History::tick`], which keeps the
//! differences: of the routes for ten minutes, of the hosts by the minute for an hour, and of all requests for both. A step has
//! a fixed size in bytes and holds the busiest; what does not fit is not known, which is not the same as no requests. There is
//! no clock here: time is an argument.

mod counts;
mod hosts;
mod ring;
mod sides;

use std::sync::Arc;

pub use self::counts::{Bounds, Counts};
use self::hosts::Hosts;
use self::ring::{Kept, Ring};
use self::sides::{Active, Sides};
use crate::model::{Point, Series, Traffic};

/// Seconds between two ticks.
pub const STEP: u64 = 10;
/// Seconds of a point of the last hour.
const MINUTE: u64 = 60;
/// Points of ten minutes, and of an hour.
const POINTS: usize = 60;
/// Steps that the numbers of routes and hosts are about.
const WINDOW: usize = 6;
/// Bytes of a step of ten minutes, for about 3,000 routes.
const ROUTE_BYTES: usize = 16 << 10;
/// Bytes of a minute, for about 6,000 hosts.
const HOST_BYTES: usize = 32 << 10;

/// The counters of one route, host and side of a canary.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Number of the route.
    pub route: u64,
    /// Its host.
    pub host: Option<&'a Arc<str>>,
    /// The canary; `None`: the primary.
    pub canary: Option<&'a Arc<str>>,
    /// Responses with a status from 400 to 499.
    pub client_errors: u64,
    /// Responses with a status from 500.
    pub server_errors: u64,
    /// Requests by duration, as [`Bounds`] has them.
    pub times: &'a [u64],
}

/// The traffic of the last hour.
pub struct History {
    bounds: Bounds,
    sides: Sides,
    hosts: Hosts,
    /// Routes, by step.
    routes: Ring,
    /// Hosts, by minute.
    minutes: Ring,
    /// All requests, by step.
    all: Totals,
    /// All requests, by minute.
    all_minutes: Totals,
    /// All requests of the current minute.
    minute: Counts,
    /// Number of the last step; `None`: the first tick only reads where the counters are.
    last: Option<u64>,
}

/// Requests of everything, oldest first.
type Totals = std::collections::VecDeque<Counts>;

/// A tick in progress.
pub struct Tick<'h> {
    history: &'h mut History,
    step: u64,
    is_first: bool,
    active: Vec<Active>,
}

impl History {
    /// Nothing is known yet. The times of samples have these upper bounds, in seconds.
    pub fn new(bounds: &[f64]) -> Self {
        Self {
            bounds: Bounds::new(bounds),
            sides: Sides::default(),
            hosts: Hosts::default(),
            routes: Ring::new(POINTS, ROUTE_BYTES),
            minutes: Ring::new(POINTS, HOST_BYTES),
            all: Totals::new(),
            all_minutes: Totals::new(),
            minute: Counts::default(),
            last: None,
        }
    }

    /// Begins the tick at `now`, in Unix seconds; `None` if that is within the step of the last one, or before it.
    pub fn tick(&mut self, now: u64) -> Option<Tick<'_>> {
        let step = now / STEP;
        if self.last.is_some_and(|last| step <= last) {
            return None;
        }
        Some(Tick {
            is_first: self.last.is_none(),
            // As many as may be, because a list that doubles would waste memory.
            active: Vec::with_capacity(self.sides.len()),
            history: self,
            step,
        })
    }

    /// All requests of the last step.
    pub fn traffic(&self) -> Traffic {
        let counts = self.all.back().copied().unwrap_or_default();
        let seconds = if self.all.is_empty() { 0 } else { STEP };
        self.bounds.traffic(&counts, seconds)
    }

    /// All requests of the last ten minutes.
    pub fn recent(&self) -> Series {
        self.series(STEP, self.all.iter().map(|counts| Some(*counts)))
    }

    /// All requests of the last hour.
    pub fn hour(&self) -> Series {
        self.series(MINUTE, self.all_minutes.iter().map(|counts| Some(*counts)))
    }

    /// The requests of a route of the last ten minutes.
    pub fn route(&self, route: u64) -> Series {
        let steps = self.routes.steps();
        self.series(STEP, steps.map(|step| step.sum(|kept| kept.key == route)))
    }

    /// The requests of a host of the last hour; without points where samples have no hosts.
    pub fn host(&self, name: &str) -> Series {
        if self.hosts.are_unknown() {
            return Series::default();
        }
        let key = self.hosts.key(name);
        let steps = self.minutes.steps();
        self.series(
            MINUTE,
            steps.map(|step| step.sum(|kept| Some(kept.key) == key)),
        )
    }

    /// The requests of all routes of the last minute.
    pub fn window(&self) -> Window<'_> {
        self.last_steps(WINDOW)
    }

    /// The requests of all routes of the last ten minutes.
    pub fn all_steps(&self) -> Window<'_> {
        self.last_steps(POINTS)
    }

    fn last_steps(&self, steps: usize) -> Window<'_> {
        let count = self.routes.steps().count();
        let mut window = Window {
            history: self,
            seconds: count.min(steps) as u64 * STEP,
            is_complete: true,
            kept: Vec::new(),
        };
        for step in self.routes.steps().skip(count.saturating_sub(steps)) {
            window.is_complete &= step.is_complete();
            window.kept.extend(step.iter());
        }
        window
            .kept
            .sort_unstable_by_key(|kept| (kept.key, kept.part));
        window.kept.dedup_by(|next, sum| {
            let is_same = (next.key, next.part) == (sum.key, sum.part);
            if is_same {
                sum.counts.add(&next.counts);
            }
            is_same
        });
        window
    }

    fn series(&self, step: u64, counts: impl Iterator<Item = Option<Counts>>) -> Series {
        let points: Vec<Point> = counts
            .map(|counts| self.bounds.point(counts.as_ref(), step))
            .collect();
        let end = self.last.map_or(0, |last| (last * STEP) / step * step);
        Series {
            step_seconds: step,
            end_unix_seconds: if points.is_empty() { 0 } else { end },
            points,
        }
    }
}

impl Tick<'_> {
    /// Adds the counters of a side of a route.
    pub fn add(&mut self, sample: &Sample<'_>) {
        let History {
            sides,
            hosts,
            bounds,
            ..
        } = &mut *self.history;
        let counts = bounds.counts(sample);
        let key = (sample.route, sample.canary);
        let Some(grown) = sides.update(key, &counts, self.step) else {
            return;
        };
        // What was counted before the first tick is not of interest.
        if !self.is_first {
            let host = sample.host.map(|name| hosts.intern(name));
            self.active.push(Active { host, ..grown });
        }
    }

    /// Ends the tick: routes without a sample are forgotten.
    pub fn finish(self) {
        let Self {
            history,
            step,
            mut active,
            ..
        } = self;
        history.sides.end(step);
        let Some(last) = history.last.replace(step) else {
            return;
        };
        // The counters were not read meanwhile: their growth counts as that of this step.
        for _ in 0..(step - last - 1).min(POINTS as u64) {
            push(&mut history.all, Counts::default());
            history.routes.push(std::iter::empty());
        }
        let mut all = Counts::default();
        for side in &active {
            all.add(&side.counts);
            if let Some(host) = side.host {
                history.hosts.add(host, &side.counts);
            }
        }
        history.minute.add(&all);
        push(&mut history.all, all);
        active.sort_unstable_by_key(|side| std::cmp::Reverse(side.requests));
        let kept = active.iter().map(|side| Kept {
            key: side.route,
            part: side.part,
            counts: side.counts,
        });
        history.routes.push(kept);
        drop(active);
        history.end_minutes(step * STEP / MINUTE - last * STEP / MINUTE);
    }
}

impl History {
    /// Ends this number of minutes.
    fn end_minutes(&mut self, minutes: u64) {
        for _ in 0..minutes.min(POINTS as u64) {
            push(&mut self.all_minutes, std::mem::take(&mut self.minute));
            let busiest = self.hosts.end_minute(POINTS as u32);
            self.minutes.push(busiest.into_iter());
        }
    }
}

fn push(totals: &mut Totals, counts: Counts) {
    if totals.len() >= POINTS {
        totals.pop_front();
    }
    totals.push_back(counts);
}

/// The requests of all routes of some time until now.
pub struct Window<'h> {
    history: &'h History,
    seconds: u64,
    is_complete: bool,
    /// By route and side, each once.
    kept: Vec<Kept>,
}

impl Window<'_> {
    /// Its time.
    pub fn seconds(&self) -> u64 {
        self.seconds
    }

    /// The requests of a route; `None`: not kept, because others were busier.
    pub fn route(&self, route: u64) -> Option<Counts> {
        self.sum(self.of_route(route))
    }

    /// The requests of a route that a canary served, or the primary (`None`). `None`: not kept.
    pub fn side(&self, route: u64, canary: Option<&str>) -> Option<Counts> {
        let part = self.history.sides.part(route, canary);
        let kept = self.of_route(route);
        self.sum(kept.filter(|kept| Some(kept.part) == part))
    }

    /// The requests of several routes together; `None`: not all are kept.
    pub fn routes(&self, routes: impl Iterator<Item = u64>) -> Option<Counts> {
        self.sum(routes.flat_map(|route| self.of_route(route)))
    }

    /// The traffic that counts are.
    pub fn traffic(&self, counts: &Counts) -> Traffic {
        self.history.bounds.traffic(counts, self.seconds)
    }

    fn of_route(&self, route: u64) -> impl Iterator<Item = &Kept> {
        let begin = self.kept.partition_point(|kept| kept.key < route);
        let rest = self.kept.iter().skip(begin);
        rest.take_while(move |kept| kept.key == route)
    }

    fn sum<'k>(&self, kept: impl Iterator<Item = &'k Kept>) -> Option<Counts> {
        let mut any = false;
        let mut counts = Counts::default();
        for kept in kept {
            any = true;
            counts.add(&kept.counts);
        }
        (any || self.is_complete).then_some(counts)
    }
}

#[cfg(test)]
mod tests;
