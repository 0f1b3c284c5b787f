//! A request body that is collected while it is sent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use headgate_http1::Piped;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::request_body::{BodyStream, RequestBodyError};

/// Gets the content of a body, once.
pub(crate) type Collected = Box<dyn FnOnce(Result<Bytes, Incomplete>)>;

/// Why a body was not collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incomplete {
    /// It is longer than the limit.
    TooLarge,
    /// It was not read to its end.
    Aborted,
}

/// `body`, whose content is collected.
pub(super) struct Collecting {
    body: BodyStream,
    held: BytesMut,
    limit: usize,
    /// `None` once it is known what becomes of the content.
    done: Option<Collected>,
}

impl Collecting {
    pub(super) fn new(body: BodyStream, limit: usize, done: Collected) -> Self {
        Self {
            body,
            held: BytesMut::new(),
            limit,
            done: Some(done),
        }
    }

    fn finish(&mut self, result: Result<(), Incomplete>) {
        let content = std::mem::take(&mut self.held).freeze();
        if let Some(done) = self.done.take() {
            done(result.map(|()| content));
        }
    }

    fn add(&mut self, data: &[u8]) {
        if self.done.is_none() {
            return;
        }
        if data.len() > self.limit - self.held.len() {
            return self.finish(Err(Incomplete::TooLarge));
        }
        self.held.extend_from_slice(data);
    }
}

impl HttpBody for Collecting {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let frame = ready!(self.body.as_mut().poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.add(data);
                }
                // A body of known length is not polled after its last byte.
                if self.body.is_end_stream() {
                    self.finish(Ok(()));
                }
            }
            Some(Err(_)) => self.finish(Err(Incomplete::Aborted)),
            None => self.finish(Ok(())),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// It is read, so it is not moved past this.
impl Piped for Collecting {}

impl Drop for Collecting {
    fn drop(&mut self) {
        self.finish(Err(Incomplete::Aborted));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::future::poll_fn;
    use std::rc::Rc;

    use super::*;

    struct Frames(VecDeque<Result<&'static str, RequestBodyError>>);

    impl Piped for Frames {}

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = RequestBodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
            let frame = self.0.pop_front();
            Poll::Ready(
                frame.map(|frame| {
                    frame.map(|text| Frame::data(Bytes::from_static(text.as_bytes())))
                }),
            )
        }
    }

    type Sent = Vec<Result<Bytes, Incomplete>>;

    /// What is collected of a body with these frames of which `polls` are read, with a limit of four bytes.
    async fn collected(
        frames: &[Result<&'static str, RequestBodyError>],
        polls: usize,
    ) -> (usize, Sent) {
        let results = Rc::new(RefCell::new(Sent::new()));
        let kept = results.clone();
        let done = Box::new(move |result| kept.borrow_mut().push(result));
        let body = Box::pin(Frames(frames.iter().copied().collect()));
        let mut body = Box::pin(Collecting::new(body, 4, done));
        let mut read = 0;
        for _ in 0..polls {
            if let Some(Ok(frame)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                read += frame.data_ref().map_or(0, Bytes::len);
            }
        }
        drop(body);
        (read, results.take())
    }

    #[tokio::test]
    async fn the_content_is_given_once_at_the_end() {
        let whole = collected(&[Ok("ab"), Ok("cd")], 3).await;
        assert_eq!(whole, (4, vec![Ok(Bytes::from_static(b"abcd"))]));
        let dropped = collected(&[Ok("ab"), Ok("cd")], 1).await;
        assert_eq!(dropped, (2, vec![Err(Incomplete::Aborted)]));
        let failed = collected(&[Ok("ab"), Err(RequestBodyError::Gone)], 2).await;
        assert_eq!(failed, (2, vec![Err(Incomplete::Aborted)]));
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_sent_all_the_same() {
        let long = collected(&[Ok("abc"), Ok("de"), Ok("f")], 4).await;
        assert_eq!(long, (6, vec![Err(Incomplete::TooLarge)]));
    }
}
