//! A timer that is often set and rarely fires.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Longest timeout: a year, so that sums of times never overflow.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// One sleep for a series of waits. A later deadline costs nothing: the sleep fires at the old one and is reset then. So
/// a connection sets it once per timeout, not per request.
#[derive(Default)]
pub(crate) struct LazyTimer {
    sleep: Option<Pin<Box<Sleep>>>,
    deadline: Option<Instant>,
}

impl LazyTimer {
    /// Ends the current wait; the next one has a deadline of its own.
    pub(super) fn rest(&mut self) {
        self.deadline = None;
    }

    /// Ready once `bound` has passed since the first call after [`LazyTimer::rest`].
    pub(super) fn poll_elapsed(&mut self, bound: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = match self.deadline {
            Some(deadline) => deadline,
            None => *self.deadline.insert(after(Instant::now(), bound)),
        };
        self.poll_until(deadline, cx)
    }

    /// Ready once it is `deadline`.
    pub(crate) fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

/// `bound` after `start`, at most a year.
pub(crate) fn after(start: Instant, bound: Duration) -> Instant {
    start + bound.min(FOREVER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn a_moved_deadline_is_kept() {
        let start = Instant::now();
        let mut timer = LazyTimer::default();
        poll_fn(|cx| timer.poll_until(start + Duration::from_secs(1), cx)).await;
        poll_fn(|cx| timer.poll_until(start + Duration::from_secs(60), cx)).await;
        assert_eq!(start.elapsed().as_secs(), 60);
        timer.rest();
        poll_fn(|cx| timer.poll_elapsed(Duration::from_secs(5), cx)).await;
        assert_eq!(start.elapsed().as_secs(), 65);
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_deadline_is_not_missed() {
        let start = Instant::now();
        let mut timer = LazyTimer::default();
        let late =
            poll_fn(|cx| Poll::Ready(timer.poll_until(start + Duration::from_secs(60), cx))).await;
        assert!(late.is_pending());
        poll_fn(|cx| timer.poll_until(start + Duration::from_secs(1), cx)).await;
        assert_eq!(start.elapsed().as_secs(), 1);
    }
}
