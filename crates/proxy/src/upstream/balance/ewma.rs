//! The better of two random endpoints, by an exponentially weighted moving average of response times.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use foldhash::quality::RandomState;
use tokio::time::Instant;

use super::Shares;
use super::random::two;

/// Time in which an old observation loses about two thirds of its weight, seconds.
const DECAY: f64 = 10.0;

/// Averages of response times, by endpoint.
#[derive(Default)]
pub(super) struct Scores(HashMap<SocketAddr, Score, RandomState>);

#[derive(Clone, Copy)]
struct Score {
    /// Seconds.
    average: f64,
    at: Instant,
}

impl Scores {
    /// Adds a response time to the average of `endpoint`.
    pub(super) fn observe(&mut self, endpoint: SocketAddr, seconds: f64, now: Instant) {
        let start = self.of(endpoint, now);
        let weight = self.0.get(&endpoint).map_or(1.0, |score| score.weight(now));
        // A single observation would weigh too much, so the first is averaged with the mean of the others.
        let weight = if self.0.contains_key(&endpoint) {
            weight
        } else {
            0.5
        };
        let average = start * weight + seconds.max(0.0) * (1.0 - weight);
        self.0.insert(endpoint, Score { average, at: now });
    }

    /// The better of two random `endpoints` that are not in `tried`, as long as there are some.
    pub(super) fn pick(
        &self,
        endpoints: &[SocketAddr],
        tried: &[SocketAddr],
        shares: Option<&Shares>,
        now: Instant,
    ) -> Option<SocketAddr> {
        let (one, other) = two(endpoints, tried, shares)?;
        Some(if self.of(other, now) < self.of(one, now) {
            other
        } else {
            one
        })
    }

    /// All averages.
    pub(super) fn averages(&self, now: Instant) -> HashMap<SocketAddr, Duration, RandomState> {
        let scores = self.0.iter();
        let averages = scores.map(|(endpoint, score)| {
            let seconds = score.average * score.weight(now);
            (
                *endpoint,
                Duration::try_from_secs_f64(seconds).unwrap_or_default(),
            )
        });
        averages.collect()
    }

    /// Removes all but `endpoints`.
    pub(super) fn retain(&mut self, endpoints: &[SocketAddr]) {
        self.0.retain(|endpoint, _| endpoints.contains(endpoint));
    }

    /// The average of `endpoint`; for a new one the mean of the others, so that it gets neither all requests nor none.
    fn of(&self, endpoint: SocketAddr, now: Instant) -> f64 {
        match self.0.get(&endpoint) {
            Some(score) => score.average * score.weight(now),
            None if self.0.is_empty() => 0.0,
            None => {
                self.0
                    .values()
                    .map(|score| score.average * score.weight(now))
                    .sum::<f64>()
                    / self.0.len() as f64
            }
        }
    }
}

impl Score {
    fn weight(&self, now: Instant) -> f64 {
        (-now.saturating_duration_since(self.at).as_secs_f64() / DECAY).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(i: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, i], 80))
    }

    #[test]
    fn the_faster_of_two_is_taken() {
        let now = Instant::now();
        let mut scores = Scores::default();
        for _ in 0..5 {
            scores.observe(endpoint(1), 0.5, now);
            scores.observe(endpoint(2), 0.01, now);
        }
        let both = [endpoint(1), endpoint(2)];
        for _ in 0..20 {
            assert_eq!(scores.pick(&both, &[], None, now), Some(endpoint(2)));
            let tried = [endpoint(2)];
            assert_eq!(scores.pick(&both, &tried, None, now), Some(endpoint(1)));
        }
        assert!(scores.pick(&both, &both, None, now).is_some());
        assert_eq!(scores.pick(&[], &[], None, now), None);
    }

    #[test]
    fn a_new_endpoint_starts_at_the_mean() {
        let now = Instant::now();
        let mut scores = Scores::default();
        scores.observe(endpoint(1), 0.4, now);
        scores.observe(endpoint(2), 0.2, now);
        let mean = (scores.of(endpoint(1), now) + scores.of(endpoint(2), now)) / 2.0;
        assert!((scores.of(endpoint(3), now) - mean).abs() < 1e-9);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_is_starting_gets_its_share_however_fast_it_is() {
        const TIME: Duration = Duration::from_secs(30);
        let endpoints = [1, 2, 3, 4].map(endpoint);
        let starting = super::super::starting::Starting::default();
        starting.follow(&endpoints[..3], &endpoints, TIME);
        let (mut scores, now) = (Scores::default(), Instant::now());
        let shares = starting.shares(TIME);
        let picked = |scores: &Scores| {
            let picks = (0..10_000).map(|_| scores.pick(&endpoints, &[], shares.as_ref(), now));
            picks.filter(|one| *one == Some(endpoint(4))).count()
        };
        // As fast as the others: 0.1 of 3.1.
        assert!((230..420).contains(&picked(&scores)));
        for (one, seconds) in endpoints.into_iter().zip([0.1, 0.1, 0.1, 0.001]) {
            scores.observe(one, seconds, now);
        }
        // Faster: it is one of two that are drawn.
        assert!((500..780).contains(&picked(&scores)));
    }

    #[test]
    fn slowness_is_forgiven_with_time() {
        let now = Instant::now();
        let mut scores = Scores::default();
        scores.observe(endpoint(1), 5.0, now);
        let before = scores.of(endpoint(1), now);
        assert!(scores.of(endpoint(1), now + Duration::from_secs(30)) < before / 15.0);
        scores.retain(&[endpoint(2)]);
        assert!(scores.0.is_empty());
    }
}
