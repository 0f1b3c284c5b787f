//! Request bodies before an endpoint is chosen: held in memory, kept in a file, or left to stream.

use std::future::poll_fn;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use headgate_table::{Forwarding, HttpVersion};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::request_body::{BodyRules, ClientBody, RequestBody, RequestBodyError, Watch};
use super::spool::{PIECE, Spool};

/// A request body between tries.
pub(super) enum Payload {
    /// None; the method needs no framing field.
    Empty,
    /// All of it.
    Memory(Bytes),
    /// All of it, with its length.
    Spooled(Spool, u64),
    /// Still at the client. `None` once a connection has taken it: it cannot be sent again.
    Client(Option<Box<ClientBody>>, Option<u64>),
}

/// How the body has to be framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// There is no body and nothing to say about it.
    None,
    /// Exactly so many bytes.
    Exact(u64),
    /// Not known before its end.
    Unknown,
}

impl Payload {
    /// Takes over the client's body: reads all of it where `forwarding` wants it buffered.
    pub(super) async fn receive(
        incoming: Incoming,
        forwarding: &Forwarding,
        rules: BodyRules,
        streams: bool,
    ) -> Result<Self, RequestBodyError> {
        let length = incoming.size_hint().exact();
        if length
            .zip(rules.limit)
            .is_some_and(|(length, limit)| length > limit)
        {
            return Err(RequestBodyError::TooLarge);
        }
        if incoming.is_end_stream() {
            return Ok(Self::Empty);
        }
        let body = ClientBody::new(incoming, rules);
        // Without chunks, a body of unknown length can only be sent once it is known.
        let old = forwarding.http_version == HttpVersion::Http10 && length.is_none();
        if streams || (!forwarding.buffer_request && !old) {
            return Ok(Self::Client(Some(Box::new(body)), length));
        }
        if length.is_some_and(|length| length > forwarding.body_memory as u64) {
            return spooled(body, Bytes::new()).await;
        }
        gathered(body, forwarding.body_memory).await
    }

    /// How it has to be framed.
    pub(super) fn length(&self) -> Length {
        match self {
            Self::Empty => Length::None,
            Self::Memory(bytes) => Length::Exact(bytes.len() as u64),
            Self::Spooled(_, length) | Self::Client(_, Some(length)) => Length::Exact(*length),
            Self::Client(_, None) => Length::Unknown,
        }
    }

    /// The body for one try, and what tells how far it is. `None` when it is gone.
    pub(super) fn body(&mut self, now: Instant) -> Option<(RequestBody, Option<Rc<Watch>>)> {
        let watch = Watch::new(now);
        let body = match self {
            Self::Empty => return Some((RequestBody::empty(), None)),
            // Nobody asks an empty body for a piece, so nothing would tell that it is sent.
            Self::Memory(bytes) if bytes.is_empty() => return Some((RequestBody::empty(), None)),
            Self::Memory(bytes) => RequestBody::memory(bytes.clone(), watch.clone()),
            Self::Spooled(spool, length) => {
                RequestBody::spooled(spool.clone(), *length, watch.clone())
            }
            Self::Client(body, _) => RequestBody::client(body.take()?, watch.clone()),
        };
        Some((body, Some(watch)))
    }

    /// Takes back a body that was not sent.
    pub(super) fn restore(&mut self, body: RequestBody) {
        if let Self::Client(place, _) = self {
            *place = body.into_client();
        }
    }

    /// Whether there is still a body to send.
    pub(super) fn can_be_sent(&self) -> bool {
        !matches!(self, Self::Client(None, _))
    }
}

/// Reads into memory; what does not fit `memory` goes on to a file.
async fn gathered(mut body: ClientBody, memory: usize) -> Result<Payload, RequestBodyError> {
    let Some(first) = next(&mut body).await? else {
        return Ok(Payload::Memory(Bytes::new()));
    };
    // The common small body comes in one piece, which is kept as it is.
    if body.is_end() && first.len() <= memory {
        return Ok(Payload::Memory(first));
    }
    let mut held = BytesMut::from(first);
    while held.len() <= memory {
        match next(&mut body).await? {
            Some(bytes) => held.extend_from_slice(&bytes),
            None => return Ok(Payload::Memory(held.freeze())),
        }
    }
    spooled(body, held.freeze()).await
}

/// Writes `held` and the rest of the body to a file.
async fn spooled(mut body: ClientBody, held: Bytes) -> Result<Payload, RequestBodyError> {
    let failed = |error| {
        tracing::warn!(%error, "a request body could not be kept in a temporary file");
        RequestBodyError::Spool
    };
    let spool = Spool::create().await.map_err(failed)?;
    let mut length = 0;
    let mut held = BytesMut::from(held);
    loop {
        let more = next(&mut body).await?;
        let end = more.is_none();
        held.extend_from_slice(&more.unwrap_or_default());
        if end || held.len() >= PIECE {
            let piece = held.split().freeze();
            let size = piece.len() as u64;
            spool.write_at(piece, length).await.map_err(failed)?;
            length += size;
        }
        if end {
            return Ok(Payload::Spooled(spool, length));
        }
    }
}

/// The next bytes; trailers have no place in a body of known length and are dropped, as nginx does.
async fn next(body: &mut ClientBody) -> Result<Option<Bytes>, RequestBodyError> {
    loop {
        let Some(frame) = poll_fn(|cx| body.poll_next(cx)).await else {
            return Ok(None);
        };
        if let Ok(bytes) = frame?.into_data() {
            return Ok(Some(bytes));
        }
    }
}
