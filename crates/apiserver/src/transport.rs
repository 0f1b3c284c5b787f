//! Responses and their bodies.

use std::io;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

use super::encode;
use super::failure::Failure;
use super::watch::Aborted;

/// A body.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A response, before it is encoded.
pub(crate) struct ApiResponse {
    pub(crate) status: StatusCode,
    pub(crate) content: Content,
    pub(crate) warnings: Vec<String>,
    pub(crate) retry_after: Option<u32>,
    /// Further fields.
    pub(crate) fields: HeaderMap,
}

/// The content of a response.
pub(crate) enum Content {
    /// JSON.
    Whole(Bytes),
    /// Anything else, with its type.
    Other(Bytes, HeaderValue),
    /// Events.
    Events(BoxStream<'static, Result<Bytes, Aborted>>),
}

impl ApiResponse {
    /// 200 with JSON.
    pub(crate) fn ok(body: Bytes) -> Self {
        Self::new(StatusCode::OK, Content::Whole(body))
    }

    pub(crate) fn new(status: StatusCode, content: Content) -> Self {
        Self {
            status,
            content,
            warnings: Vec::new(),
            retry_after: None,
            fields: HeaderMap::new(),
        }
    }

    /// The response for a failure.
    pub(crate) fn refusal(failure: &Failure) -> Self {
        let status =
            StatusCode::from_u16(failure.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            retry_after: failure.retry_after,
            ..Self::new(status, Content::Whole(encode::bytes(&failure.status())))
        }
    }

    /// The HTTP response; `truncated`: with half of the body, then the connection closes.
    pub(crate) fn response(self, truncated: bool) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        if let Some(seconds) = self.retry_after {
            response = response.header(header::RETRY_AFTER, seconds);
        }
        for warning in &self.warnings {
            let text: String = warning.chars().filter(|c| !c.is_control()).collect();
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            response = response.header(header::WARNING, format!("299 - \"{text}\""));
        }
        for (name, value) in &self.fields {
            response = response.header(name, value);
        }
        let json = HeaderValue::from_static("application/json");
        let (kind, body) = match self.content {
            Content::Whole(bytes) => (json, whole(bytes, truncated)),
            Content::Other(bytes, kind) => (kind, whole(bytes, truncated)),
            Content::Events(events) => (json, stream_of(events, truncated)),
        };
        response
            .header(header::CONTENT_TYPE, kind)
            .header(header::CACHE_CONTROL, "no-cache, private")
            .body(body)
            .unwrap_or_else(|_| Response::new(whole(Bytes::new(), false)))
    }
}

fn whole(bytes: Bytes, truncated: bool) -> Body {
    if !truncated {
        return Full::new(bytes)
            .map_err(|never| match never {})
            .boxed_unsync();
    }
    let half = bytes.slice(..bytes.len() / 2);
    StreamBody::new(then_broken(half)).boxed_unsync()
}

fn stream_of(events: BoxStream<'static, Result<Bytes, Aborted>>, truncated: bool) -> Body {
    let pieces = events.map(|piece| match piece {
        Ok(bytes) => Ok(Frame::data(bytes)),
        Err(_) => Err(broken()),
    });
    if !truncated {
        return StreamBody::new(pieces).boxed_unsync();
    }
    let first = pieces.take(1).flat_map(|piece: io::Result<Frame<Bytes>>| {
        let bytes = piece.ok().and_then(|frame| frame.into_data().ok());
        let bytes = bytes.unwrap_or_default();
        then_broken(bytes.slice(..bytes.len() / 2))
    });
    StreamBody::new(first).boxed_unsync()
}

/// A piece, then an error that closes the connection.
fn then_broken(piece: Bytes) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send {
    let end = stream::once(async {
        // The piece is flushed when nothing follows at once.
        tokio::task::yield_now().await;
        Err(broken())
    });
    stream::iter([Ok(Frame::data(piece))]).chain(end)
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "broken by a test")
}
