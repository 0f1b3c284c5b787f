//! Heads that are refused.

use headgate_http1::server;
use http::StatusCode;

use crate::limit::Limit;

/// What is wrong with a request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Ambiguous or malformed framing, or not exactly one `Host`.
    Malformed,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// The request line is too long.
    LineTooLong,
    /// A field, their number or the whole head is too large.
    HeadTooLarge,
    /// The head did not arrive in time.
    TooSlow,
}

impl Fault {
    /// Status of the response.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            Self::LineTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// The limit that refused it.
    pub(crate) fn limit(self) -> Limit {
        match self {
            Self::Malformed | Self::UnknownCoding => Limit::Malformed,
            Self::LineTooLong => Limit::RequestLine,
            Self::HeadTooLarge => Limit::HeadSize,
            Self::TooSlow => Limit::HeadTimeout,
        }
    }
}

impl From<server::Fault> for Fault {
    fn from(fault: server::Fault) -> Self {
        match fault {
            server::Fault::Malformed => Self::Malformed,
            server::Fault::UnknownCoding => Self::UnknownCoding,
            server::Fault::LineTooLong => Self::LineTooLong,
            server::Fault::HeadTooLarge => Self::HeadTooLarge,
        }
    }
}
