//! Bodies of requests, with bounds on the size of one, the memory of all, and the time that one may take.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Bodies of this many bytes and more are refused (behaviour.md 9.1). A review of an update carries two objects,
/// of which etcd keeps none beyond 1.5 MiB.
pub(super) const TOO_LARGE: usize = 9 << 20;
/// Up to so many bytes a body is read without a permit; nearly all reviews are smaller, so that clients with large ones only
/// keeps other large ones waiting.
const SMALL: usize = 128 << 10;
/// Bodies beyond that at once; the memory of all is bounded by them.
const LARGE_AT_ONCE: usize = 8;
/// Bound on one body, from the head of its request to its end.
pub(super) const TIME: Duration = Duration::from_secs(5);

/// Room for large bodies.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<Semaphore>);

/// A body, and its place among the large ones.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// To be kept for as long as anything made from the bytes.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is larger than any review.
    TooLarge,
    /// The client did not send it in time.
    TooSlow,
    /// Others are in its place.
    NoMemory,
    /// Its framing is wrong, or the client went away.
    Broken,
}

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_AT_ONCE)))
    }
}

impl Memory {
    /// Reads `incoming` to its end.
    pub(super) async fn read(&self, mut incoming: Incoming) -> Result<Body, Refused> {
        let deadline = Instant::now() + TIME;
        let announced = incoming.size_hint().lower();
        if announced >= TOO_LARGE as u64 {
            return Err(Refused::TooLarge);
        }
        let mut body = Body {
            bytes: Vec::new(),
            place: None,
        };
        loop {
            let frame = match timeout_at(deadline, incoming.frame()).await {
                Err(_) => return Err(Refused::TooSlow),
                Ok(None) => return Ok(body),
                Ok(Some(Err(_))) => return Err(Refused::Broken),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if body.bytes.len() + data.len() >= TOO_LARGE {
                return Err(Refused::TooLarge);
            }
            if body.bytes.len() + data.len() > SMALL && body.place.is_none() {
                let place = timeout_at(deadline, self.0.clone().acquire_owned()).await;
                let Ok(Ok(place)) = place else {
                    return Err(Refused::NoMemory);
                };
                body.place = Some(place);
                // In one piece rather than by doubling, where the client says how much there is.
                let announced = usize::try_from(announced)
                    .unwrap_or(TOO_LARGE)
                    .min(TOO_LARGE);
                body.bytes
                    .reserve_exact(announced.saturating_sub(body.bytes.len()));
            }
            body.bytes.extend_from_slice(&data);
        }
    }
}
