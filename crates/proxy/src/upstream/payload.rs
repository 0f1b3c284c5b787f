//! Request bodies before they are sent: in memory, in a temporary file, or a stream.

use std::rc::Rc;

use bytes::Bytes;
use http_body::Body as HttpBody;
use tokio::time::Instant;

use super::Upstreams;
use super::collect::{Collected, Collecting, Incomplete};
use super::gather::{Gathered, gather};
use super::options::CallOptions;
use super::replay::Replay;
use super::request_body::{
    BodyRules, BodyStream, ClientBody, RequestBody, RequestBodyError, Watch,
};
use super::request_buffers::Held;
use super::spool::PIECE;
use super::stored_body::Stored;
use crate::incoming::Incoming;

/// The body of a request to an upstream: the client's, or one of the process itself.
pub(crate) struct Payload(Kind);

enum Kind {
    Empty,
    Memory(Bytes),
    Held(Rc<Held>),
    Stored(Stored),
    /// With its length, if that is known. `None` once a connection has taken it: it cannot be sent again.
    Stream(Option<BodyStream>, Option<u64>),
    /// With its length, if that is known.
    Replay(Replay, Option<u64>),
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// There is no body; the method needs no framing field.
    None,
    /// Bytes.
    Exact(u64),
    /// Not known before the end.
    Unknown,
}

impl Payload {
    /// No body.
    pub(crate) fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// These bytes, which can be sent any number of times.
    pub(crate) fn bytes(bytes: Bytes) -> Self {
        Self(Kind::Memory(bytes))
    }

    /// What `body` yields, sent as it comes, once. `length` in bytes, if it is known.
    pub(crate) fn stream(body: BodyStream, length: Option<u64>) -> Self {
        Self(Kind::Stream(Some(body), length))
    }

    /// A client's body under `rules`. It is read to its end first if they, or the options of its call, require that.
    ///
    /// # Errors
    /// If it is longer than the rules allow, or announced to be, or cannot be read to its end.
    pub(crate) async fn receive(
        incoming: Incoming,
        rules: BodyRules,
        options: &CallOptions<'_>,
        upstreams: &Upstreams,
    ) -> Result<Self, RequestBodyError> {
        let length = incoming.size_hint().exact();
        if length
            .zip(rules.limit)
            .is_some_and(|(length, limit)| length > limit)
        {
            return Err(RequestBodyError::TooLarge);
        }
        if incoming.is_end_stream() {
            return Ok(Self::empty());
        }
        let streams = options.is_http2() || options.upgrade;
        let needs_length = options.needs_length() && length.is_none();
        if streams || !(rules.buffered || needs_length) {
            // Its rate is that of the endpoint, too.
            let rules = BodyRules {
                min_rate: None,
                ..rules
            };
            let body = ClientBody::new(incoming, rules).through(upstreams.pipes.clone());
            return Ok(Self::stream(Box::pin(body), length));
        }
        let body = ClientBody::new(incoming, rules);
        let places = upstreams.places(rules.memory, rules.limit.unwrap_or(0));
        Ok(Self::gathered(
            gather(body, length, places).await?,
            upstreams,
        ))
    }

    /// The same in a form that the protocol can frame: without chunks, a body of unknown length is read to its end first.
    pub(super) async fn framable(
        self,
        options: &CallOptions<'_>,
        upstreams: &Upstreams,
    ) -> Result<Self, RequestBodyError> {
        match self.0 {
            Kind::Stream(Some(body), None) if options.needs_length() => {
                let places = upstreams.places(PIECE, 0);
                Ok(Self::gathered(gather(body, None, places).await?, upstreams))
            }
            kind => Ok(Self(kind)),
        }
    }

    fn gathered(body: Gathered, upstreams: &Upstreams) -> Self {
        Self(match body {
            Gathered::Bytes(bytes) => Kind::Memory(bytes),
            Gathered::Held(held) => Kind::Held(Rc::new(held)),
            Gathered::Spooled(spool, length) => Kind::Stored(Stored {
                spool,
                length,
                pipes: upstreams.pipes.clone(),
            }),
        })
    }

    /// Another payload with the same content; `None` for a stream, of which only one can read (see [`Self::collect`]).
    pub(crate) fn duplicate(&self) -> Option<Self> {
        Some(Self(match &self.0 {
            Kind::Empty => Kind::Empty,
            Kind::Memory(bytes) => Kind::Memory(bytes.clone()),
            Kind::Held(held) => Kind::Held(held.clone()),
            Kind::Stored(stored) => Kind::Stored(stored.clone()),
            Kind::Stream(..) | Kind::Replay(..) => return None,
        }))
    }

    /// The same, but a stream can be sent again while no more than `memory` bytes of it were read.
    #[must_use]
    pub(crate) fn replayable(self, memory: usize) -> Self {
        match self.0 {
            Kind::Stream(Some(body), length)
                if memory > 0 && length.is_none_or(|length| length <= memory as u64) =>
            {
                Self(Kind::Replay(Replay::new(body, memory), length))
            }
            kind => Self(kind),
        }
    }

    /// Collects the content of a stream while it is sent, up to `limit` bytes, and gives it to `done` at its end. The stream
    /// neither waits for that nor fails with it.
    pub(crate) fn collect(&mut self, limit: usize, done: Collected) {
        match &mut self.0 {
            Kind::Stream(stream @ Some(_), _) => {
                *stream = stream
                    .take()
                    .map(|body| -> BodyStream { Box::pin(Collecting::new(body, limit, done)) });
            }
            _ => done(Err(Incomplete::Aborted)),
        }
    }

    pub(crate) fn length(&self) -> Length {
        match &self.0 {
            Kind::Empty => Length::None,
            Kind::Memory(bytes) => Length::Exact(bytes.len() as u64),
            Kind::Held(held) => Length::Exact(held.len()),
            Kind::Stored(stored) => Length::Exact(stored.length),
            Kind::Stream(_, Some(length)) | Kind::Replay(_, Some(length)) => Length::Exact(*length),
            Kind::Stream(_, None) | Kind::Replay(_, None) => Length::Unknown,
        }
    }

    /// The body for one attempt, and its progress. `None` if it is gone.
    pub(super) fn body(&mut self, now: Instant) -> Option<(RequestBody, Option<Rc<Watch>>)> {
        let watch = Watch::new(now);
        let body = match &mut self.0 {
            Kind::Empty => return Some((RequestBody::empty(), None)),
            // A connection does not poll an empty body, so its progress would never show that it is sent.
            Kind::Memory(bytes) if bytes.is_empty() => return Some((RequestBody::empty(), None)),
            Kind::Memory(bytes) => RequestBody::memory(bytes.clone(), watch.clone()),
            Kind::Held(held) => RequestBody::held(held.clone(), watch.clone()),
            Kind::Stored(stored) => RequestBody::stored(stored.clone(), watch.clone()),
            Kind::Stream(body, _) => RequestBody::stream(body.take()?, watch.clone()),
            Kind::Replay(replay, _) => RequestBody::stream(replay.body()?, watch.clone()),
        };
        Some((body, Some(watch)))
    }

    /// Puts back a body that was not sent.
    pub(super) fn restore(&mut self, body: RequestBody) {
        if let Kind::Stream(stream, _) = &mut self.0 {
            *stream = body.into_stream();
        }
    }

    /// Whether there is still a body to send.
    pub(super) fn can_be_sent(&self) -> bool {
        match &self.0 {
            Kind::Stream(body, _) => body.is_some(),
            Kind::Replay(replay, _) => replay.can_be_sent(),
            Kind::Empty | Kind::Memory(_) | Kind::Held(_) | Kind::Stored(_) => true,
        }
    }
}
