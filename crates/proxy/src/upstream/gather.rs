//! Reads a request body to its end before it is sent: in memory, or into a temporary file.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body::Body as HttpBody;

use super::request_body::{BodyRules, ClientBody, RequestBodyError};
use super::request_buffers::{Chunks, Held, RequestBuffers, Share, WHOLE};
use super::spool::{Disk, PIECE, Spool};
use crate::incoming::Incoming;

/// Where bodies are kept.
pub(super) struct Places {
    /// Bytes of a body that stay in memory in any case.
    pub(super) memory: usize,
    /// Memory of all workers for longer ones.
    pub(super) buffers: Arc<RequestBuffers>,
    /// The rest.
    pub(super) disk: Disk,
}

/// A body that was read to its end.
pub(super) enum Gathered {
    /// A single piece.
    Bytes(Bytes),
    /// Several in memory.
    Held(Held),
    /// In a file, with its length.
    Spooled(Spool, u64),
}

/// Reads `body`, which has this length if it announced one.
///
/// # Errors
/// Those of the body, and if there is no room in files for what does not stay in memory.
pub(super) async fn gather<B>(
    mut body: B,
    length: Option<u64>,
    places: Places,
) -> Result<Gathered, RequestBodyError>
where
    B: HttpBody<Data = Bytes, Error = RequestBodyError> + Unpin,
{
    let mut share = Share::new(places.buffers);
    let length = length.map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
    let mut fits = |length: usize| length <= places.memory || share.covers(length);
    let mut received = Chunks::default();
    // Memory is taken for what has arrived, not for what is announced: a client that sends nothing takes none.
    if length <= places.memory.max(WHOLE) {
        let Some(first) = next(&mut body).await? else {
            return Ok(Gathered::Bytes(Bytes::new()));
        };
        // The common small body is a single frame, and needs no list.
        if body.is_end_stream() && first.len() <= places.memory {
            return Ok(Gathered::Bytes(first));
        }
        received.push(first);
        while fits(received.len()) {
            match next(&mut body).await? {
                Some(piece) => received.push(piece),
                None => return Ok(Gathered::Held(Held::new(received, share))),
            }
        }
    }
    spooled(body, received, places.disk).await
}

/// A client's body under `rules`, read to its end into memory, of which their limit is the bound.
///
/// # Errors
/// If it is longer than the rules allow, or announced to be, or cannot be read to its end.
pub(crate) async fn read_body(
    incoming: &mut Incoming,
    rules: BodyRules,
) -> Result<Bytes, RequestBodyError> {
    let announced = incoming.size_hint().lower();
    if rules.limit.is_some_and(|limit| announced > limit) {
        return Err(RequestBodyError::TooLarge);
    }
    let mut body = ClientBody::new(incoming, rules);
    let mut read = BytesMut::new();
    while let Some(bytes) = next(&mut body).await? {
        read.extend_from_slice(&bytes);
    }
    Ok(read.freeze())
}

/// Writes `received` and the rest of the body to a file on `disk`.
async fn spooled<B>(
    mut body: B,
    mut received: Chunks,
    disk: Disk,
) -> Result<Gathered, RequestBodyError>
where
    B: HttpBody<Data = Bytes, Error = RequestBodyError> + Unpin,
{
    let failed = |error| {
        disk.warn(&error);
        RequestBodyError::NoSpace
    };
    let spool = Spool::create(disk.clone()).await.map_err(failed)?;
    let mut length = 0;
    loop {
        let more = next(&mut body).await?;
        let end = more.is_none();
        received.push(more.unwrap_or_default());
        if end || received.len() >= PIECE {
            let size = received.len() as u64;
            spool
                .write_at(received.take(), length)
                .await
                .map_err(failed)?;
            length += size;
        }
        if end {
            return Ok(Gathered::Spooled(spool, length));
        }
    }
}

/// The next bytes. Trailers are impossible after a body of known length and are dropped, as nginx does.
async fn next<B>(body: &mut B) -> Result<Option<Bytes>, RequestBodyError>
where
    B: HttpBody<Data = Bytes, Error = RequestBodyError> + Unpin,
{
    loop {
        let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await else {
            return Ok(None);
        };
        if let Ok(bytes) = frame?.into_data() {
            return Ok(Some(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::pin::pin;

    use futures_util::{FutureExt as _, stream};
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::super::DiskSpace;
    use super::*;

    /// 10 bytes of memory for each body, and what is in `buffers` for all.
    fn places(buffers: &Arc<RequestBuffers>) -> Places {
        Places {
            memory: 10,
            buffers: buffers.clone(),
            disk: DiskSpace::new().disk(None, 0),
        }
    }

    /// Where a body of these pieces goes with 10 bytes of memory for each, and `bound` for all.
    async fn place(pieces: &[usize], announced: bool, bound: usize) -> &'static str {
        let frames: Vec<Result<_, RequestBodyError>> = pieces
            .iter()
            .map(|length| Ok(Frame::data(Bytes::from(vec![b'x'; *length]))))
            .collect();
        let all: usize = pieces.iter().sum();
        let places = places(&Arc::new(RequestBuffers::new(bound)));
        let body = StreamBody::new(stream::iter(frames));
        let length = announced.then_some(all as u64);
        match gather(body, length, places).await.unwrap() {
            Gathered::Bytes(bytes) => {
                assert_eq!(bytes.len(), all);
                "bytes"
            }
            Gathered::Held(held) => {
                assert_eq!(held.len(), all as u64);
                "memory"
            }
            Gathered::Spooled(spool, length) => {
                assert_eq!(length, all as u64);
                let read = spool.read_at(0, length).await.unwrap().unwrap();
                assert_eq!(read.len(), all.min(PIECE));
                "file"
            }
        }
    }

    #[tokio::test]
    async fn memory_while_there_is_some_then_a_file() {
        for announced in [true, false] {
            assert_eq!(place(&[], announced, 0).await, "bytes");
            assert_eq!(place(&[5, 5], announced, 0).await, "memory", "of its route");
            assert_eq!(place(&[5, 6], announced, 0).await, "file");
            assert_eq!(place(&[5000, 5000, 1], announced, 10_001).await, "memory");
            assert_eq!(place(&[5000, 5000, 2], announced, 10_001).await, "file");
            let long = [400 << 10; 3];
            assert_eq!(
                place(&long, announced, usize::MAX).await,
                "file",
                "too long"
            );
        }
    }

    #[tokio::test]
    async fn what_is_only_announced_takes_no_memory() {
        let buffers = Arc::new(RequestBuffers::new(1000));
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, RequestBodyError>>());
        let mut silent = pin!(gather(silent, Some(1000), places(&buffers)));
        assert!(silent.as_mut().now_or_never().is_none());
        let pieces = [500; 2].map(|length| Ok(Frame::data(Bytes::from(vec![b'x'; length]))));
        let body = StreamBody::new(stream::iter(pieces));
        let gathered = gather(body, Some(1000), places(&buffers)).await.unwrap();
        assert!(matches!(gathered, Gathered::Held(_)));
    }
}
