//! Why there is no message, or not all of it.

use std::io;

/// Why a connection has not read a message, or not all of it, or has not sent one. It cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed.
    #[error("the connection failed")]
    Io(#[source] io::Error),
    /// The endpoint closed the connection before the end of a head.
    #[error("the connection was closed before the end of the response head")]
    Closed,
    /// The head of a response does not fit into the read buffer, or has more than [`ResponseHead::FIELDS`] fields.
    ///
    /// [`ResponseHead::FIELDS`]: crate::ResponseHead::FIELDS
    #[error("the response head is too large")]
    HeadTooLarge,
    /// The head of a response is not one of HTTP/1, or frames its body in no way or in several ways.
    #[error("invalid response head: {0}")]
    InvalidHead(&'static str),
    /// The endpoint closed the connection before the end of the body.
    #[error("the connection was closed before the end of the body")]
    Truncated,
    /// The chunks of a body are malformed, or what is between them is too large.
    #[error("invalid chunks: {0}")]
    InvalidChunks(&'static str),
    /// The body of the message that is sent failed: its source knows why. What was sent of it is no whole message.
    #[error("the body of the message failed")]
    SentBody,
    /// It ended before the length that its head announces.
    #[error("the body of the message is shorter than its Content-Length")]
    ShortBody,
    /// HTTP/1.0 has no way to frame a body of unknown length.
    #[error("a body of unknown length in a request of HTTP/1.0")]
    NoFraming,
}
