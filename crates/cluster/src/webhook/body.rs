//! Bodies of requests, with bounds on the size of one, the memory of all, and the time that one may take.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Bodies of this many bytes and more are refused (ingress-nginx reference 9.1). A review of an update carries two objects,
/// of which etcd keeps none beyond 1.5 MiB.
pub(super) const TOO_LARGE: usize = 9 << 20;
/// Memory of all bodies together: eight of the largest. It is given as bytes arrive, so that a client which announces
/// much and sends little takes little from the others.
const MEMORY: usize = 8 * TOO_LARGE;
/// Unit in which memory is given.
const UNIT: usize = 4096;
/// Bound on one body, from the head of its request to its end.
pub(super) const TIME: Duration = Duration::from_secs(5);

/// The memory that bodies share.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<Semaphore>);

/// A body, and its share of the memory.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) share: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is larger than any review.
    TooLarge,
    /// The client did not send it in time.
    TooSlow,
    /// Others hold the memory.
    NoMemory,
    /// Its framing is wrong, or the client went away.
    Broken,
}

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MEMORY / UNIT)))
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
            share: None,
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
            self.grow(&mut body, &data, deadline).await?;
        }
    }

    /// Adds `data`, once there is memory for it.
    async fn grow(&self, body: &mut Body, data: &Bytes, deadline: Instant) -> Result<(), Refused> {
        let needed = (body.bytes.len() + data.len()).div_ceil(UNIT);
        let held = body
            .share
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        if needed > held {
            // Twice as much each time, as the buffer grows.
            let wanted = needed.max(2 * held).min(TOO_LARGE / UNIT) - held;
            let more = u32::try_from(wanted).unwrap_or(u32::MAX);
            let more = timeout_at(deadline, self.0.clone().acquire_many_owned(more)).await;
            let Ok(Ok(more)) = more else {
                return Err(Refused::NoMemory);
            };
            match &mut body.share {
                Some(share) => share.merge(more),
                None => body.share = Some(more),
            }
            body.bytes
                .reserve_exact((held + wanted) * UNIT - body.bytes.len());
        }
        body.bytes.extend_from_slice(data);
        Ok(())
    }
}
