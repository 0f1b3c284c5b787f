//! A streamed request body that can be sent again as long as it is short.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use headgate_http1::Piped;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::request_body::{BodyStream, RequestBodyError};

/// A body of which everything that was read is kept, up to a bound.
pub(super) struct Replay(Rc<RefCell<Shared>>);

struct Shared {
    body: BodyStream,
    /// What was read; `None` once that was too much, or ended in an error.
    kept: Option<Kept>,
    /// The last attempt. The connection of a former one may still want to read, and must not.
    attempt: u32,
}

struct Kept {
    chunks: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    is_whole: bool,
    /// How much more is kept, bytes.
    room: usize,
}

/// The body as one attempt sends it.
struct Reader {
    shared: Rc<RefCell<Shared>>,
    attempt: u32,
    /// How many of the kept chunks it has read.
    read: usize,
    trailers_read: bool,
}

impl Replay {
    /// Keeps at most `memory` bytes.
    pub(super) fn new(body: BodyStream, memory: usize) -> Self {
        let kept = Kept {
            chunks: Vec::new(),
            trailers: None,
            is_whole: false,
            room: memory,
        };
        Self(Rc::new(RefCell::new(Shared {
            body,
            kept: Some(kept),
            attempt: 0,
        })))
    }

    /// The body from its beginning; `None` if that is not kept. What was returned before ends in an error.
    pub(super) fn body(&self) -> Option<BodyStream> {
        let mut shared = self.0.borrow_mut();
        shared.kept.as_ref()?;
        shared.attempt = shared.attempt.wrapping_add(1);
        Some(Box::pin(Reader {
            shared: self.0.clone(),
            attempt: shared.attempt,
            read: 0,
            trailers_read: false,
        }))
    }

    /// Whether its beginning is kept.
    pub(super) fn can_be_sent(&self) -> bool {
        self.0.borrow().kept.is_some()
    }
}

impl Shared {
    /// The next frame of the body, which is kept if there is room.
    fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let frame = ready!(self.body.as_mut().poll_frame(cx));
        if let Some(kept) = &mut self.kept
            && !kept.keep(frame.as_ref())
        {
            self.kept = None;
        }
        Poll::Ready(frame)
    }
}

impl Kept {
    /// Returns whether there is room for it.
    fn keep(&mut self, frame: Option<&Result<Frame<Bytes>, RequestBodyError>>) -> bool {
        match frame {
            None => self.is_whole = true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => match (frame.data_ref(), frame.trailers_ref()) {
                (Some(data), _) => match self.room.checked_sub(data.len()) {
                    Some(room) => {
                        self.room = room;
                        self.chunks.push(data.clone());
                    }
                    None => return false,
                },
                (None, trailers) => self.trailers = trailers.cloned(),
            },
        }
        true
    }
}

/// It is kept, so it is not moved past this.
impl Piped for Reader {}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = &mut *self;
        let mut shared = this.shared.borrow_mut();
        if shared.attempt != this.attempt {
            return Poll::Ready(Some(Err(RequestBodyError::Gone)));
        }
        if let Some(kept) = &shared.kept {
            if let Some(chunk) = kept.chunks.get(this.read) {
                this.read += 1;
                return Poll::Ready(Some(Ok(Frame::data(chunk.clone()))));
            }
            let trailers = kept.trailers.clone().filter(|_| !this.trailers_read);
            if let Some(trailers) = trailers {
                this.trailers_read = true;
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            if kept.is_whole {
                return Poll::Ready(None);
            }
        }
        let frame = ready!(shared.poll_more(cx));
        this.read += 1;
        this.trailers_read |= matches!(&frame, Some(Ok(frame)) if frame.is_trailers());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let shared = self.shared.borrow();
        let has_more = |kept: &Kept| {
            self.read < kept.chunks.len() || kept.trailers.is_some() && !self.trailers_read
        };
        !shared.kept.as_ref().is_some_and(has_more) && shared.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let shared = self.shared.borrow();
        let mut hint = shared.body.size_hint();
        let chunks = shared.kept.iter().flat_map(|kept| &kept.chunks);
        let again: u64 = chunks.skip(self.read).map(|chunk| chunk.len() as u64).sum();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(again));
        }
        hint.set_lower(hint.lower().saturating_add(again));
        hint
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use headgate_http1::Unpiped;

    fn replay(parts: &[&'static str], memory: usize) -> Replay {
        let frames: Vec<_> = parts
            .iter()
            .map(|part| Ok(Frame::data(Bytes::from_static(part.as_bytes()))))
            .collect();
        Replay::new(
            Box::pin(Unpiped(StreamBody::new(stream::iter(frames)))),
            memory,
        )
    }

    async fn all(body: BodyStream) -> Bytes {
        body.collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn a_short_body_is_sent_again_from_wherever_it_was() {
        let replay = replay(&["ab", "cd", "e"], 5);
        let mut first = replay.body().unwrap();
        first.frame().await.unwrap().unwrap();
        let again = replay.body().unwrap();
        assert_eq!(
            first.frame().await.unwrap().unwrap_err(),
            RequestBodyError::Gone,
            "of two connections one reads"
        );
        assert_eq!(all(again).await, "abcde");
        assert_eq!(all(replay.body().unwrap()).await, "abcde");
        assert!(replay.can_be_sent());
    }

    #[tokio::test]
    async fn a_long_body_is_sent_once() {
        let replay = replay(&["ab", "cd", "e"], 4);
        assert_eq!(all(replay.body().unwrap()).await, "abcde");
        assert!(!replay.can_be_sent() && replay.body().is_none());
    }
}
