//! Reads responses of the API server, whole or line by line, always with a timeout.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use tokio::time::timeout;

use super::failure::Failure;
use crate::causes::causes;

/// Most bytes of a line: objects are at most about 3 MiB.
const MAX_LINE: usize = 32 << 20;

/// Most bytes that are read of an error: the API server's are a few hundred long.
const MAX_ERROR: usize = 64 << 10;

/// Sends a request, whose response must begin within `limit`; returns the unread body of a success.
pub(super) async fn send(
    client: &Client,
    request: Request<Vec<u8>>,
    limit: Duration,
) -> Result<Body, Failure> {
    let request = request.map(Body::from);
    let response = timeout(limit, client.send(request)).await;
    let response = response.map_err(|_| Failure::Timeout(limit))?;
    let response = response.map_err(|error| Failure::of_client(&error))?;
    if response.status().is_success() {
        return Ok(response.into_body());
    }
    let (head, body) = response.into_parts();
    let text = start(body, Duration::from_secs(5))
        .await
        .unwrap_or_default();
    Err(Failure::of_response(head.status, &head.headers, &text))
}

/// All of a body; each part must arrive within `limit`.
pub(super) async fn collect(mut body: Body, limit: Duration) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    while let Some(part) = next_part(&mut body, limit).await? {
        all.extend_from_slice(&part);
    }
    Ok(all)
}

/// The start of the body of an error, at most `MAX_ERROR` bytes; each part must arrive within `limit`.
async fn start(mut body: Body, limit: Duration) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    while let Some(part) = next_part(&mut body, limit).await? {
        let room = MAX_ERROR - all.len();
        all.extend_from_slice(part.get(..room).unwrap_or(&part));
        if part.len() >= room {
            break;
        }
    }
    Ok(all)
}

/// The next bytes of a body; `None` at its end.
async fn next_part(body: &mut Body, limit: Duration) -> Result<Option<Bytes>, Failure> {
    loop {
        let frame = timeout(limit, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Failure::Timeout(limit))? else {
            return Ok(None);
        };
        let frame = frame.map_err(|error| Failure::Connection(causes(&error)))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

/// A body as lines.
pub(super) struct Lines {
    body: Body,
    buffer: BytesMut,
    /// No end of line in `buffer` before this offset.
    searched: usize,
}

impl Lines {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            searched: 0,
        }
    }

    /// A line that has arrived already.
    pub(super) fn ready(&mut self) -> Option<Bytes> {
        let rest = self.buffer.get(self.searched..)?;
        let Some(end) = memchr::memchr(b'\n', rest) else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.searched + end + 1).freeze();
        self.searched = 0;
        Some(line)
    }

    /// Waits for more; false at the end of the body. Bytes after the last end of line are not a line: the rest is missing.
    /// Dropping the future loses nothing.
    pub(super) async fn more(&mut self, limit: Duration) -> Result<bool, Failure> {
        if self.buffer.len() > MAX_LINE {
            return Err(Failure::Malformed(format!(
                "a line of more than {MAX_LINE} bytes"
            )));
        }
        let Some(part) = next_part(&mut self.body, limit).await? else {
            return Ok(false);
        };
        self.buffer.extend_from_slice(&part);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

    use super::*;

    #[tokio::test]
    async fn of_an_error_only_the_start_is_read() {
        let limit = Duration::from_secs(1);
        let text = start(Body::from(b"short".to_vec()), limit).await;
        assert_eq!(text.unwrap(), b"short");
        let long = Body::from(vec![b'x'; MAX_ERROR + 1]);
        assert_eq!(start(long, limit).await.unwrap().len(), MAX_ERROR);
    }

    #[tokio::test]
    async fn lines_end_at_their_newlines_and_a_truncated_one_is_dropped() {
        let mut lines = Lines::new(Body::from(b"one\n\ntwo\nthr".to_vec()));
        assert!(lines.ready().is_none());
        assert!(lines.more(Duration::from_secs(1)).await.unwrap());
        let ready: Vec<Bytes> = std::iter::from_fn(|| lines.ready()).collect();
        assert_eq!(ready, ["one\n", "\n", "two\n"]);
        assert!(!lines.more(Duration::from_secs(1)).await.unwrap());
        assert!(lines.ready().is_none());
    }
}
