//! How many requests an upstream has got, and how many of these were retries, in the times of a [`RetryRate`].

use std::time::Duration;

use headgate_table::RetryRate;
use tokio::time::Instant;

/// What an upstream was sent: over the time of the percentage, and over that of the number.
#[derive(Default)]
pub(super) struct RetryWindow {
    all: Sliding,
    retries: Sliding,
    retries_by_number: Sliding,
}

impl RetryWindow {
    /// Counts a request that is sent for the first time.
    pub(super) fn add(&mut self, rate: RetryRate, now: Instant) {
        self.all.add(rate.interval, now);
    }

    /// Counts a retry, if there may be another one.
    pub(super) fn retry(&mut self, rate: RetryRate, now: Instant) -> bool {
        let next = |retries: &mut Sliding, time| retries.count(time, now) + 1.0;
        let part = next(&mut self.retries, rate.interval);
        let all = next(&mut self.all, rate.interval);
        let is_part = rate.percent >= 100 || part * 100.0 <= all * f64::from(rate.percent);
        let number = next(&mut self.retries_by_number, rate.per);
        let allowed = is_part || number <= f64::from(rate.minimum);
        if allowed {
            self.all.add(rate.interval, now);
            self.retries.add(rate.interval, now);
            self.retries_by_number.add(rate.per, now);
        }
        allowed
    }
}

/// A count over the last time of some length: that of the current period, and of the former one the part that is not over yet,
/// as if it had been even.
#[derive(Default)]
struct Sliding {
    start: Option<Instant>,
    current: u32,
    former: u32,
}

impl Sliding {
    fn add(&mut self, time: Duration, now: Instant) {
        self.advance(time, now);
        self.current = self.current.saturating_add(1);
    }

    fn count(&mut self, time: Duration, now: Instant) -> f64 {
        let over = self.advance(time, now).as_secs_f64() / time.as_secs_f64();
        f64::from(self.current) + f64::from(self.former) * (1.0 - over.clamp(0.0, 1.0))
    }

    /// Begins the period of `now`; returns how much of it is over.
    fn advance(&mut self, time: Duration, now: Instant) -> Duration {
        let start = *self.start.get_or_insert(now);
        let over = now.saturating_duration_since(start);
        if over < time {
            return over;
        }
        let is_next = over < time.saturating_mul(2);
        self.former = if is_next { self.current } else { 0 };
        self.current = 0;
        // A period without requests ends nowhere in particular.
        self.start = Some(if is_next { start + time } else { now });
        if is_next { over - time } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: RetryRate = RetryRate {
        percent: 20,
        interval: Duration::from_secs(10),
        minimum: 3,
        per: Duration::from_secs(1),
    };

    fn allowed(window: &mut RetryWindow, rate: RetryRate, now: Instant) -> usize {
        let most = 0..1000;
        most.take_while(|_| window.retry(rate, now)).count()
    }

    #[test]
    fn a_part_of_the_requests_or_a_number_may_be_retries() {
        let now = Instant::now();
        let after = |seconds: f64| now + Duration::from_secs_f64(seconds);
        let mut window = RetryWindow::default();
        assert_eq!(
            allowed(&mut window, RATE, now),
            3,
            "without requests, the number"
        );
        assert_eq!(allowed(&mut window, RATE, after(0.9)), 0);
        assert_eq!(allowed(&mut window, RATE, after(2.0)), 3);
        // 98 of 492 are a fifth; 6 were already.
        (0..394).for_each(|_| window.add(RATE, after(2.0)));
        assert_eq!(allowed(&mut window, RATE, after(2.0)), 92);
        // The number of a second counts beside that.
        assert_eq!(allowed(&mut window, RATE, after(4.1)), 3);
        // All is over.
        assert_eq!(allowed(&mut window, RATE, after(40.0)), 3);
    }

    #[test]
    fn what_is_over_counts_less_and_less() {
        let now = Instant::now();
        let mut sliding = Sliding::default();
        let time = Duration::from_secs(10);
        (0..100).for_each(|_| sliding.add(time, now));
        for (seconds, count) in [(0, 100), (9, 100), (10, 100), (15, 50), (19, 10), (20, 0)] {
            let found = sliding.count(time, now + Duration::from_secs(seconds));
            assert_eq!(found.round() as u32, count, "{seconds}");
        }
    }

    #[test]
    fn all_may_be_retries() {
        let now = Instant::now();
        let all = RetryRate {
            percent: 100,
            ..RATE
        };
        assert_eq!(allowed(&mut RetryWindow::default(), all, now), 1000);
    }
}
