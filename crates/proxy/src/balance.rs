//! Which worker serves a new connection.
//!
//! The kernel spreads connections over the sockets of the workers by a hash of their addresses. Of many connections each worker
//! gets its share; of the eight HTTP/2 connections of a balancer one worker may get all. So a worker that clearly has more than
//! its share hands a new connection over to another. What a connection will cost is not known when it is accepted: their number
//! decides, as long as the workers are about equally busy. Where they are not, the time that they need decides, lest a thousand
//! idle connections of one worker send all the busy ones to another.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::sync::AtomicUsize;

/// Busy all the time.
const ALL: usize = 1 << 16;
/// How far two workers may be apart and are about equally busy.
const MARGIN: usize = ALL / 8;
/// A worker may have so many more connections than the average: this part of it. Of few connections this is none.
const SLACK: usize = 16;
/// What a connection that is handed over adds to how busy its worker is, until that is measured: it bounds their number if many
/// arrive meanwhile.
const GUESS: usize = ALL / 1024;
/// The part of a worker's busy time that the last measurement is; the others have been before. With ten a second it is that of
/// about the last second.
const RECENT: usize = 8;

/// The load of all workers.
pub(crate) struct Loads {
    workers: Box<[Load]>,
    /// The sum of how busy they are.
    busy: AtomicUsize,
}

/// The load of a worker. Others write it only when they hand it a connection over, so it has a cache line of its own.
#[repr(align(128))]
struct Load {
    /// Its connections and UDP sessions.
    open: AtomicUsize,
    /// The part of its time in which it has something to do, of [`ALL`], when that was measured.
    busy: AtomicUsize,
    /// Its connections at that time.
    then: AtomicUsize,
    /// The fewest that it has had since. New ones may have come in the place of others that have ended: they are not those that
    /// made it busy.
    still: AtomicUsize,
}

/// What is left of `busy` when of the `then` connections that it was for only `still` are sure to be open. While that is half of
/// them, others come and go, and do as much.
fn left_of(busy: usize, then: usize, still: usize) -> usize {
    let (then, still) = (then.max(1), still.saturating_mul(2));
    busy.saturating_mul(still.min(then)) / then
}

impl Load {
    /// How busy it is with those connections that are still open: what made it busy may have ended just now.
    fn busy(&self) -> usize {
        let (then, still) = (self.then.load(Relaxed), self.still.load(Relaxed));
        left_of(self.busy.load(Relaxed), then, still)
    }
}

impl Loads {
    /// Of so many workers, which have nothing to do.
    pub(crate) fn new(workers: usize) -> Self {
        let load = || Load {
            open: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            then: AtomicUsize::new(0),
            still: AtomicUsize::new(0),
        };
        Self {
            workers: (0..workers).map(|_| load()).collect(),
            busy: AtomicUsize::new(0),
        }
    }

    /// Counts another connection of `worker`.
    pub(crate) fn begin(&self, worker: usize) {
        if let Some(load) = self.workers.get(worker) {
            load.open.fetch_add(1, Relaxed);
        }
    }

    /// A connection of `worker` has ended.
    pub(crate) fn end(&self, worker: usize) {
        if let Some(load) = self.workers.get(worker) {
            let left = load.open.fetch_sub(1, Relaxed).saturating_sub(1);
            load.still.fetch_min(left, Relaxed);
        }
    }

    /// A new connection of the worker `from` is one of `to`.
    pub(crate) fn hand_over(&self, from: usize, to: usize) {
        self.end(from);
        self.begin(to);
        if let Some(load) = self.workers.get(to) {
            load.busy.fetch_add(GUESS, Relaxed);
            self.busy.fetch_add(GUESS, Relaxed);
        }
    }

    /// How busy `worker` is by its [`Meter`], which gets the number of its connections, and the fewest since the last time.
    pub(crate) fn measured(&self, worker: usize, measure: impl FnOnce(usize, usize) -> usize) {
        if let Some(load) = self.workers.get(worker) {
            let open = load.open.load(Relaxed);
            let still = load.still.swap(open, Relaxed);
            let busy = measure(open, still);
            let before = load.busy.swap(busy, Relaxed);
            load.then.store(open, Relaxed);
            self.busy.fetch_add(busy.wrapping_sub(before), Relaxed);
        }
    }

    /// The worker that `own` hands its next connection over to; `None`: it serves that itself. `all` are the connections of all
    /// workers.
    pub(crate) fn lighter(&self, own: usize, all: usize) -> Option<usize> {
        let load = self.workers.get(own)?;
        let (open, busy) = (load.open.load(Relaxed), load.busy());
        let times = |part: usize| part.saturating_mul(self.workers.len());
        let is_crowded = times(open) > all.saturating_add(all / SLACK);
        let is_busier = times(busy) > self.busy.load(Relaxed).saturating_add(MARGIN);
        if !is_crowded && !is_busier {
            return None; // as nearly always
        }
        let idler = || self.fewest(own, busy.checked_sub(MARGIN)?);
        let equal = || self.fewest(own, busy.saturating_add(MARGIN));
        let found = is_busier.then(idler).flatten();
        let found = found.or_else(|| equal().filter(|(_, fewest)| is_crowded && *fewest < open));
        found.map(|(index, _)| index)
    }

    /// Of the workers except `own` that are at most so busy, the one with the fewest connections, and their number.
    fn fewest(&self, own: usize, busy: usize) -> Option<(usize, usize)> {
        let others = self.workers.iter().enumerate();
        others
            .filter(|(index, load)| *index != own && load.busy() <= busy)
            .map(|(index, load)| (index, load.open.load(Relaxed)))
            .min_by_key(|(_, open)| *open)
    }
}

/// Measures how busy a worker is.
pub(crate) struct Meter {
    since: Instant,
    /// Its busy time until then.
    total: Duration,
    busy: usize,
    /// Its connections then.
    open: usize,
}

impl Meter {
    /// A worker that has had nothing to do until `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            total: Duration::ZERO,
            busy: 0,
            open: 0,
        }
    }

    /// How busy it has been lately with its `open` connections, by the time that it has been busy in all. There were `still` or
    /// more since the last time: what the others did is over.
    pub(crate) fn measure(
        &mut self,
        now: Instant,
        total: Duration,
        open: usize,
        still: usize,
    ) -> usize {
        let passed = now.saturating_duration_since(self.since).as_nanos().max(1);
        let busy = total.saturating_sub(self.total).as_nanos();
        let part = busy.saturating_mul(ALL as u128) / passed;
        let part = usize::try_from(part).unwrap_or(ALL).min(ALL);
        let before = left_of(self.busy, self.open, still);
        self.busy = (before * (RECENT - 1) + part) / RECENT;
        (self.since, self.total, self.open) = (now, total, open);
        self.busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections that arrive one after the other at the workers that the kernel chooses; each closes after `lasting` others.
    struct World {
        loads: Loads,
        open: Vec<usize>,
        handed_over: usize,
    }

    impl World {
        fn new(workers: usize) -> Self {
            Self {
                loads: Loads::new(workers),
                open: vec![0; workers],
                handed_over: 0,
            }
        }

        /// So many idle connections of `worker` that have been there before.
        fn has(&mut self, worker: usize, connections: usize) {
            (0..connections).for_each(|_| self.begin(worker));
        }

        fn begin(&mut self, worker: usize) {
            self.loads.begin(worker);
            self.open[worker] += 1;
        }

        fn end(&mut self, worker: usize) {
            self.loads.end(worker);
            self.open[worker] -= 1;
        }

        /// Accepted by a worker. Returns which serves it.
        fn accepted(&mut self, worker: usize) -> usize {
            let to = self.loads.lighter(worker, self.open.iter().sum());
            self.begin(worker);
            if let Some(to) = to {
                self.loads.hand_over(worker, to);
                self.open[worker] -= 1;
                self.open[to] += 1;
                self.handed_over += 1;
            }
            to.unwrap_or(worker)
        }
    }

    #[test]
    fn few_connections_are_spread_whatever_worker_accepts_them() {
        let spread = |workers, connections| {
            let mut world = World::new(workers);
            for _ in 0..connections {
                world.accepted(0);
            }
            world.open
        };
        assert_eq!(spread(2, 8), [4; 2]);
        assert_eq!(spread(8, 8), [1; 8]);
        for (workers, connections) in [(2, 100), (3, 30), (64, 256)] {
            let open = spread(workers, connections);
            let (most, fewest) = (open.iter().max(), open.iter().min());
            let about = connections / workers;
            assert!(most <= Some(&(about + about / 8 + 1)), "{open:?}");
            assert!(fewest >= Some(&(about - about / 8 - 1)), "{open:?}");
        }
    }

    #[test]
    fn a_worker_alone_keeps_all() {
        let mut world = World::new(1);
        world.loads.measured(0, |_, _| ALL);
        assert!((0..100).all(|_| world.accepted(0) == 0));
    }

    #[test]
    fn what_the_kernel_spreads_evenly_is_hardly_touched() {
        let mut dice = fastrand::Rng::with_seed(4);
        for lasting in [64, 1000, 20_000] {
            let mut world = World::new(4);
            let mut open = std::collections::VecDeque::new();
            for _ in 0..100_000 {
                open.push_back(world.accepted(dice.usize(..4)));
                if open.len() > lasting
                    && let Some(worker) = open.pop_front()
                {
                    world.end(worker);
                }
                // What is handed over in a tick is forgotten with the next one.
                (0..4).for_each(|worker| world.loads.measured(worker, |_, _| ALL / 2));
            }
            let part = world.handed_over as f64 / 100_000.0;
            assert!(part < 0.2, "{part} of {lasting}");
        }
    }

    #[test]
    fn idle_connections_send_no_more_elsewhere_than_that_has_time_for() {
        let mut world = World::new(2);
        world.has(0, 1000);
        assert_eq!(world.accepted(0), 1, "it has none");
        assert_eq!(world.accepted(1), 1);
        world.loads.measured(1, |_, _| MARGIN);
        assert_eq!(world.accepted(0), 1, "it has little to do");
        for busy in [MARGIN + 1, ALL / 2, ALL] {
            world.loads.measured(1, |_, _| busy);
            assert_eq!([0, 1].map(|worker| world.accepted(worker)), [0, 0]);
        }
        world.loads.measured(0, |_, _| ALL);
        assert_eq!(world.accepted(0), 1, "both have as much to do");
        world.loads.measured(1, |_, _| 0);
        assert_eq!([0, 1].map(|worker| world.accepted(worker)), [1, 1]);
    }

    #[test]
    fn a_flood_does_not_follow_an_old_measurement() {
        let mut world = World::new(2);
        world.has(0, 1);
        world.loads.measured(0, |_, _| ALL);
        world.has(1, 10_000);
        let handed_over = (0..10_000).filter(|_| world.accepted(0) == 1).count();
        assert_eq!(handed_over, (ALL - MARGIN) / GUESS);
    }

    #[test]
    fn busy_is_the_part_of_the_last_second() {
        let begin = Instant::now();
        let mut meter = Meter::new(begin);
        let tick = Duration::from_millis(100);
        let mut busy = 0;
        for ticks in 1..=10 {
            busy = meter.measure(begin + tick * ticks, tick * ticks / 2, 3, 3);
        }
        assert!((ALL * 3 / 10..ALL / 2).contains(&busy), "{busy}");
        for ticks in 11..=100 {
            busy = meter.measure(begin + tick * ticks, tick * ticks / 2, 3, 3);
        }
        assert!((ALL * 49 / 100..=ALL / 2).contains(&busy), "{busy}");
        let busy = meter.measure(begin + tick * 101, tick * 10_000, 3, 3);
        assert!(busy < ALL, "no more than all of the time: {busy}");
    }

    #[test]
    fn a_worker_whose_connections_have_ended_is_not_busy() {
        let mut world = World::new(2);
        for _ in 0..5 {
            assert_eq!(spread_by(&mut world), [4, 4]);
            // One has been busy for longer than the other.
            world.loads.measured(0, |_, _| ALL);
            world.loads.measured(1, |_, _| ALL / 2);
            for worker in [0, 1] {
                (0..4).for_each(|_| world.end(worker));
            }
        }
        let begin = Instant::now();
        let mut meter = Meter::new(begin);
        let second = Duration::from_secs(1);
        assert!(meter.measure(begin + second, second, 8, 0) > 0);
        assert_eq!(meter.measure(begin + 2 * second, second, 0, 0), 0);
    }

    #[test]
    fn connections_that_come_when_others_end_are_not_taken_for_them() {
        let mut world = World::new(2);
        assert_eq!(spread_by(&mut world), [4, 4]);
        world.loads.measured(0, |_, _| ALL);
        world.end(0);
        world.begin(0);
        assert_eq!(world.accepted(0), 1, "most of those are still there");
        world.end(1);
        for worker in [0, 1] {
            (0..4).for_each(|_| world.end(worker));
            (0..4).for_each(|_| world.begin(worker));
        }
        assert_eq!(world.accepted(0), 0);
        let mut seen = None;
        world.loads.measured(0, |open, still| {
            seen = Some((open, still));
            ALL
        });
        assert_eq!(seen, Some((5, 0)));
        let begin = Instant::now();
        let mut meter = Meter::new(begin);
        let second = Duration::from_secs(1);
        let busy = meter.measure(begin + second, second, 4, 0);
        assert_eq!(busy, ALL / RECENT);
        let kept = meter.measure(begin + 2 * second, second, 4, 2);
        assert_eq!(kept, busy * 7 / 8, "half of them have come and gone");
        assert_eq!(meter.measure(begin + 3 * second, second, 4, 0), 0);
    }

    /// Eight connections that the first worker accepts.
    fn spread_by(world: &mut World) -> Vec<usize> {
        (0..8).for_each(|_| {
            world.accepted(0);
        });
        world.open.clone()
    }
}
