//! Request bodies, with bounds on size, total memory and time.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Bodies of this many bytes and more are refused (behaviour.md 9.1). A review of an update carries two objects,
/// of which etcd keeps none beyond 1.5 MiB.
pub(super) const TOO_LARGE: usize = 9 << 20;
/// Larger bodies need a permit. Nearly all reviews are smaller, so that clients with large bodies delay only each other.
const SMALL: usize = 128 << 10;
/// Most large bodies at once, which bounds the memory of all.
const LARGE_AT_ONCE: usize = 8;
/// Timeout of one body, from the head of its request to its end.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// The permits of large bodies.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<Semaphore>);

/// A body, with its permit if it is large.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// Must be kept as long as anything decoded from the bytes.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    TooSlow,
    /// No permit in time.
    NoMemory,
    /// Invalid framing, or a closed connection.
    Broken,
}

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_AT_ONCE)))
    }
}

impl Memory {
    /// Reads `incoming` to its end.
    pub(super) async fn read(&self, mut incoming: Incoming) -> Result<Body, BodyError> {
        let deadline = Instant::now() + TIMEOUT;
        let announced = incoming.size_hint().lower();
        if announced >= TOO_LARGE as u64 {
            return Err(BodyError::TooLarge);
        }
        let mut body = Body {
            bytes: Vec::new(),
            permit: None,
        };
        loop {
            let frame = match timeout_at(deadline, incoming.frame()).await {
                Err(_) => return Err(BodyError::TooSlow),
                Ok(None) => return Ok(body),
                Ok(Some(Err(_))) => return Err(BodyError::Broken),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if body.bytes.len() + data.len() >= TOO_LARGE {
                return Err(BodyError::TooLarge);
            }
            if body.bytes.len() + data.len() > SMALL && body.permit.is_none() {
                let permit = timeout_at(deadline, self.0.clone().acquire_owned()).await;
                let Ok(Ok(permit)) = permit else {
                    return Err(BodyError::NoMemory);
                };
                body.permit = Some(permit);
                // Reserves the announced length at once rather than by doubling.
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
