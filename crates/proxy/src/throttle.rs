//! Bodies that are sent at a limited rate (behaviour.md 1.3).

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use headgate_table::ResponseRate;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::upstream::{BodyError, LazyTimer};

/// Most bytes that are waited for before something is sent.
const LARGEST_PART: u64 = 16 << 10;
/// Parts per second of a slow response, so that it moves steadily.
const PARTS: u64 = 4;
const NANOS: u128 = 1_000_000_000;

/// A body that yields no more than `rate` allows: after `t` seconds, `after` and the bytes of `t + 1` seconds, as in nginx.
/// While it waits, it takes nothing from its source.
pub(crate) struct Throttled<B> {
    source: B,
    rate: ResponseRate,
    /// When it was polled first.
    start: Option<Instant>,
    sent: u64,
    /// Taken from the source and not sent.
    held: Bytes,
    timer: LazyTimer,
}

impl<B: HttpBody<Data = Bytes, Error = BodyError> + Unpin> Throttled<B> {
    pub(crate) fn new(source: B, rate: ResponseRate) -> Self {
        Self {
            source,
            rate,
            start: None,
            sent: 0,
            held: Bytes::new(),
            timer: LazyTimer::default(),
        }
    }

    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let start = *self.start.get_or_insert_with(Instant::now);
        while self.held.is_empty() {
            match ready!(Pin::new(&mut self.source).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.held = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let part = (self.rate.bytes.get() / PARTS).clamp(1, LARGEST_PART);
        let wanted = part.min(self.held.len() as u64);
        loop {
            let allowed = self.allowed(start.elapsed());
            if allowed >= wanted {
                let length = usize::try_from(allowed).unwrap_or(usize::MAX);
                let data = self.held.split_to(self.held.len().min(length));
                self.sent = self.sent.saturating_add(data.len() as u64);
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            let due = start + self.due(self.sent.saturating_add(wanted));
            ready!(self.timer.poll_until(due, cx));
        }
    }

    pub(crate) fn is_end(&self) -> bool {
        self.held.is_empty() && self.source.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let (mut hint, held) = (self.source.size_hint(), self.held.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint.set_lower(hint.lower().saturating_add(held));
        hint
    }

    /// Bytes that may be sent now, `elapsed` after the start.
    fn allowed(&self, elapsed: Duration) -> u64 {
        let nanos = elapsed.as_nanos().saturating_add(NANOS);
        let earned = nanos.saturating_mul(self.rate.bytes.get().into()) / NANOS;
        let all = earned.saturating_add(self.rate.after.into());
        u64::try_from(all)
            .unwrap_or(u64::MAX)
            .saturating_sub(self.sent)
    }

    /// The time from the start after which `bytes` in all may have been sent.
    fn due(&self, bytes: u64) -> Duration {
        let limited = u128::from(bytes.saturating_sub(self.rate.after));
        let nanos = limited
            .saturating_mul(NANOS)
            .div_ceil(self.rate.bytes.get().into());
        let nanos = nanos.saturating_sub(NANOS);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use std::collections::VecDeque;
    use std::future::poll_fn;
    use std::num::NonZeroU64;

    use http::HeaderMap;

    use super::*;

    /// Yields its frames at once.
    struct Ready(VecDeque<Frame<Bytes>>);

    impl Ready {
        fn of(lengths: &[usize]) -> Self {
            let frames = lengths
                .iter()
                .map(|length| Frame::data(vec![b'x'; *length].into()));
            Self(frames.collect())
        }
    }

    impl HttpBody for Ready {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
        }

        fn size_hint(&self) -> SizeHint {
            let frames = self.0.iter().filter_map(Frame::data_ref);
            SizeHint::with_exact(frames.map(|data| data.len() as u64).sum())
        }
    }

    fn throttled(source: Ready, bytes: u64, after: u64) -> Throttled<Ready> {
        let bytes = NonZeroU64::new(bytes).unwrap();
        Throttled::new(source, ResponseRate { bytes, after })
    }

    async fn next(body: &mut Throttled<Ready>) -> Option<Frame<Bytes>> {
        poll_fn(|cx| body.poll_next(cx)).await.map(Result::unwrap)
    }

    /// The bytes sent and the milliseconds until then, for every frame.
    async fn sent(mut body: Throttled<Ready>) -> Vec<(u64, u128)> {
        let (start, mut times, mut bytes) = (Instant::now(), Vec::new(), 0);
        let expected = body.size_hint().exact().unwrap();
        while let Some(frame) = next(&mut body).await {
            bytes += frame.into_data().unwrap().len() as u64;
            assert_eq!(body.size_hint().exact(), Some(expected - bytes));
            times.push((bytes, start.elapsed().as_millis()));
        }
        assert!(body.is_end() && bytes == expected);
        times
    }

    #[tokio::test(start_paused = true)]
    async fn the_bytes_of_a_second_are_sent_at_once_and_then_the_rate_holds() {
        let times = sent(throttled(Ready::of(&[5000]), 2000, 0)).await;
        assert_eq!(
            times,
            [
                (2000, 0),
                (2500, 250),
                (3000, 500),
                (3500, 750),
                (4000, 1000),
                (4500, 1250),
                (5000, 1500)
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_begins_after_so_many_bytes() {
        let times = sent(throttled(Ready::of(&[3000, 3000, 3000]), 1000, 6000)).await;
        assert_eq!(times.first(), Some(&(3000, 0)));
        assert_eq!(times.get(1), Some(&(6000, 0)));
        assert_eq!(times.last(), Some(&(9000, 2000)));
        assert!(
            times
                .iter()
                .all(|(bytes, millis)| u128::from(*bytes) <= 7000 + millis)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_within_the_rate_is_not_divided() {
        let times = sent(throttled(Ready::of(&[100, 100, 1]), 1024, 0)).await;
        assert_eq!(times, [(100, 0), (200, 0), (201, 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn extreme_rates_neither_overflow_nor_stop() {
        let times = sent(throttled(Ready::of(&[1 << 20]), u64::MAX, u64::MAX)).await;
        assert_eq!(times, [(1 << 20, 0)]);
        let times = sent(throttled(Ready::of(&[3]), 1, 0)).await;
        assert_eq!(times, [(1, 0), (2, 1000), (3, 2000)]);
    }

    #[tokio::test(start_paused = true)]
    async fn trailers_follow_the_last_byte() {
        let mut source = Ready::of(&[1500]);
        source.0.push_back(Frame::trailers(HeaderMap::new()));
        let mut body = throttled(source, 1000, 0);
        let start = Instant::now();
        while next(&mut body).await.unwrap().is_data() {}
        assert_eq!(start.elapsed().as_millis(), 500);
        assert!(next(&mut body).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_taken_from_the_source_while_it_waits() {
        let mut body = throttled(Ready::of(&[1000, 1000, 1000]), 1000, 0);
        next(&mut body).await.unwrap();
        let waiting = poll_fn(|cx| Poll::Ready(body.poll_next(cx).is_pending())).await;
        assert!(waiting && body.source.0.len() == 1 && !body.is_end());
    }
}
