//! One timer for all deadlines of a connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

/// A timer that is moved only when it fires or when a deadline comes before it, not with every request: a keep-alive
/// connection in steady use re-arms it about once in a keep-alive time.
pub(super) struct Deadline {
    sleep: Pin<Box<Sleep>>,
    armed: bool,
}

impl Deadline {
    /// A timer that is not armed.
    pub(super) fn new() -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep_until(Instant::now())),
            armed: false,
        }
    }

    /// Ready once `due` has passed. When not, the task is woken no later than `due`.
    pub(super) fn poll_passed(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        loop {
            if self.armed && !self.sleep.is_elapsed() && self.sleep.deadline() <= due {
                return Poll::Pending;
            }
            if self.sleep.is_elapsed() && self.sleep.deadline() >= due && self.armed {
                self.armed = false;
                return Poll::Ready(());
            }
            if !self.armed || self.sleep.deadline() != due {
                self.sleep.as_mut().reset(due);
                self.armed = true;
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_deadlines_that_move() {
        let start = Instant::now();
        let mut deadline = Deadline::new();
        let far = start + Duration::from_secs(75);
        let near = start + Duration::from_secs(10);
        assert!(
            poll_fn(|cx| Poll::Ready(deadline.poll_passed(cx, far)))
                .await
                .is_pending()
        );
        poll_fn(|cx| deadline.poll_passed(cx, near)).await;
        assert_eq!(
            Instant::now() - start,
            Duration::from_secs(10),
            "moved forward"
        );
        assert!(
            poll_fn(|cx| Poll::Ready(deadline.poll_passed(cx, near + Duration::from_secs(5))))
                .await
                .is_pending()
        );
        poll_fn(|cx| deadline.poll_passed(cx, far)).await;
        assert_eq!(
            Instant::now() - start,
            Duration::from_secs(75),
            "moved back"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_in_the_past_has_passed() {
        let mut deadline = Deadline::new();
        let past = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        poll_fn(|cx| deadline.poll_passed(cx, past)).await;
    }
}
