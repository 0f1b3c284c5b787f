//! Slow start: an endpoint that joins others, or comes back, gets fewer requests than they do for a time.
//!
//! Its share rises from a tenth to the whole. It has joined when the first request after a change of the endpoints finds it, so
//! one that gets no requests does not start either. While no endpoint is starting, a request reads one pointer.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use foldhash::quality::RandomState;
use tokio::time::Instant;

/// Share of an endpoint that begins.
const FIRST: f64 = 0.1;

/// The endpoints of an upstream that are starting; shared by the workers.
#[derive(Default)]
pub(super) struct Starting {
    /// `None`: there is none.
    begun: ArcSwapOption<Begun>,
}

type Begins = HashMap<SocketAddr, Instant, RandomState>;

struct Begun {
    /// When each of them began, also those that have become like others since.
    begins: Begins,
    /// When the last of them did.
    last: Instant,
}

/// The shares of endpoints at a moment.
pub(in super::super) struct Shares {
    begun: Arc<Begun>,
    /// How long a start takes.
    time: Duration,
    now: Instant,
}

impl Starting {
    /// Begins with those of the `new` endpoints that are not among the `former` ones. Where none is, there are no others that
    /// could have more requests meanwhile.
    pub(super) fn follow(&self, former: &[SocketAddr], new: &[SocketAddr], time: Duration) {
        let former: HashSet<SocketAddr, RandomState> = former.iter().copied().collect();
        let mut kept: HashSet<SocketAddr, RandomState> = new.iter().copied().collect();
        let joined: Vec<_> = kept
            .extract_if(|endpoint| !former.contains(endpoint))
            .collect();
        if kept.is_empty() {
            return self.begun.store(None);
        }
        let now = Instant::now();
        self.change(|begins| {
            let is_starting = |began: Instant| now.saturating_duration_since(began) < time;
            begins.retain(|endpoint, began| kept.contains(endpoint) && is_starting(*began));
            begins.extend(joined.iter().map(|endpoint| (*endpoint, now)));
        });
    }

    /// Begins with `endpoint`, which has come back.
    pub(super) fn begin(&self, endpoint: SocketAddr) {
        let now = Instant::now();
        self.change(|begins| {
            begins.insert(endpoint, now);
        });
    }

    /// The shares of the endpoints now, if a start takes `time`; `None`: none is starting.
    pub(super) fn shares(&self, time: Duration) -> Option<Shares> {
        let known = self.begun.load();
        let begun = known.as_ref()?;
        let now = Instant::now();
        if now.saturating_duration_since(begun.last) >= time {
            // Unless another has begun meanwhile.
            self.begun.compare_and_swap(&*known, None);
            return None;
        }
        Some(Shares {
            begun: begun.clone(),
            time,
            now,
        })
    }

    fn change(&self, change: impl Fn(&mut Begins)) {
        self.begun.rcu(|begun| {
            let begins = begun.as_ref().map(|begun| &begun.begins);
            let mut begins = begins.cloned().unwrap_or_default();
            change(&mut begins);
            let last = begins.values().max().copied()?;
            Some(Arc::new(Begun { begins, last }))
        });
    }
}

impl Shares {
    /// The share of `endpoint`, from a tenth to 1.
    pub(in super::super) fn of(&self, endpoint: &SocketAddr) -> f64 {
        let Some(began) = self.begun.begins.get(endpoint) else {
            return 1.0;
        };
        let elapsed = self.now.saturating_duration_since(*began);
        (FIRST + (1.0 - FIRST) * elapsed.as_secs_f64() / self.time.as_secs_f64()).min(1.0)
    }

    /// How long it takes until `endpoint` has its whole share; `None`: it has.
    pub(in super::super) fn left(&self, endpoint: &SocketAddr) -> Option<Duration> {
        let began = self.begun.begins.get(endpoint)?;
        let elapsed = self.now.saturating_duration_since(*began);
        self.time
            .checked_sub(elapsed)
            .filter(|left| !left.is_zero())
    }

    /// Whether `endpoint` gets the request that would be its own without a slow start: at random, as often as its share says.
    pub(in super::super) fn admit(&self, endpoint: &SocketAddr) -> bool {
        let share = self.of(endpoint);
        share >= 1.0 || fastrand::f64() < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(30);

    fn endpoints(numbers: impl IntoIterator<Item = u8>) -> Vec<SocketAddr> {
        let address = |number| SocketAddr::from(([10, 0, 0, number], 80));
        numbers.into_iter().map(address).collect()
    }

    /// The shares of the first four endpoints, percent.
    fn percent(starting: &Starting) -> [u32; 4] {
        let shares = starting.shares(TIME);
        [1, 2, 3, 4].map(|number| {
            let share = |shares: &Shares| shares.of(&endpoints([number])[0]);
            (shares.as_ref().map_or(1.0, share) * 100.0).round() as u32
        })
    }

    #[tokio::test(start_paused = true)]
    async fn the_share_of_a_new_endpoint_rises_from_a_tenth_to_the_whole() {
        let starting = Starting::default();
        starting.follow(&endpoints(1..=2), &endpoints(1..=3), TIME);
        assert_eq!(percent(&starting), [100, 100, 10, 100]);
        tokio::time::advance(TIME / 3).await;
        assert_eq!(percent(&starting), [100, 100, 40, 100]);
        // Another joins; the one before it goes on.
        starting.follow(&endpoints(1..=3), &endpoints(1..=4), TIME);
        assert_eq!(percent(&starting), [100, 100, 40, 10]);
        let shares = starting.shares(TIME);
        let left = |number| shares.as_ref()?.left(&endpoints([number])[0]);
        assert_eq!([2, 3, 4].map(left), [None, Some(TIME * 2 / 3), Some(TIME)]);
        tokio::time::advance(TIME * 2 / 3).await;
        assert_eq!(percent(&starting), [100, 100, 100, 70]);
        tokio::time::advance(TIME / 3).await;
        assert!(starting.shares(TIME).is_none());
        assert!(starting.begun.load().is_none(), "requests read one pointer");
    }

    #[tokio::test(start_paused = true)]
    async fn endpoints_without_others_are_like_any() {
        let starting = Starting::default();
        starting.follow(&[], &endpoints(1..=3), TIME);
        assert!(starting.shares(TIME).is_none());
        starting.follow(&endpoints(1..=2), &endpoints(3..=4), TIME);
        assert!(starting.shares(TIME).is_none(), "all were replaced at once");
        starting.follow(&endpoints(1..=2), &endpoints(2..=4), TIME);
        assert_eq!(percent(&starting), [100, 100, 10, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_comes_back_starts_again() {
        let starting = Starting::default();
        starting.begin(endpoints([1])[0]);
        tokio::time::advance(TIME / 3).await;
        assert_eq!(percent(&starting)[0], 40);
        starting.begin(endpoints([1])[0]);
        assert_eq!(percent(&starting)[0], 10);
        // Gone and back.
        tokio::time::advance(TIME / 3).await;
        starting.follow(&endpoints(1..=2), &endpoints([2]), TIME);
        assert_eq!(percent(&starting)[0], 100);
        starting.follow(&endpoints([2]), &endpoints(1..=2), TIME);
        assert_eq!(percent(&starting)[..2], [10, 100]);
    }
}
