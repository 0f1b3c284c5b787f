//! Reading what the API server answers: whole, or line by line, never waiting forever.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use tokio::time::timeout;

use super::failure::Failure;
use crate::causes::causes;

/// A line or an error's body that is longer is not the API's; objects are at most 3 MiB or so.
const LONGEST: usize = 32 << 20;

/// Sends a request, whose response must begin within `patience`; it is a success and its body not read yet.
pub(super) async fn send(
    client: &Client,
    request: Request<Vec<u8>>,
    patience: Duration,
) -> Result<Body, Failure> {
    let request = request.map(Body::from);
    let answer = timeout(patience, client.send(request)).await;
    let answer = answer.map_err(|_| Failure::Silent(patience))?;
    let answer = answer.map_err(|error| Failure::of_client(&error))?;
    if answer.status().is_success() {
        return Ok(answer.into_body());
    }
    let (head, body) = answer.into_parts();
    let text = collect(body, Duration::from_secs(5))
        .await
        .unwrap_or_default();
    Err(Failure::of_answer(head.status, &head.headers, &text))
}

/// All of a body; each part must arrive within `patience`.
pub(super) async fn collect(mut body: Body, patience: Duration) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    while let Some(part) = next_part(&mut body, patience).await? {
        all.extend_from_slice(&part);
    }
    Ok(all)
}

/// The next bytes of a body; `None` at its end.
async fn next_part(body: &mut Body, patience: Duration) -> Result<Option<Bytes>, Failure> {
    loop {
        let frame = timeout(patience, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Failure::Silent(patience))? else {
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
    /// In `buffer`, up to here there is no end of line.
    searched: usize,
}

impl Lines {
    /// Of this body.
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            searched: 0,
        }
    }

    /// A line that is here already.
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

    /// Waits until more is here; false at the end. Bytes after the last end of line are not a line: the rest is missing.
    /// Dropping the future loses nothing.
    pub(super) async fn more(&mut self, patience: Duration) -> Result<bool, Failure> {
        if self.buffer.len() > LONGEST {
            return Err(Failure::Garbage("a line without end".to_owned()));
        }
        let Some(part) = next_part(&mut self.body, patience).await? else {
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
    async fn lines_are_cut_at_their_ends_and_a_torn_one_is_none() {
        let mut lines = Lines::new(Body::from(b"one\n\ntwo\nthr".to_vec()));
        assert!(lines.ready().is_none());
        assert!(lines.more(Duration::from_secs(1)).await.unwrap());
        let ready: Vec<Bytes> = std::iter::from_fn(|| lines.ready()).collect();
        assert_eq!(ready, ["one\n", "\n", "two\n"]);
        assert!(!lines.more(Duration::from_secs(1)).await.unwrap());
        assert!(lines.ready().is_none());
    }
}
