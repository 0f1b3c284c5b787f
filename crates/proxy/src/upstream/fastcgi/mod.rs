//! FastCGI endpoints (version 1 of its specification; behaviour.md 1.12).
//!
//! A connection serves one request, as with nginx's default `fastcgi_keep_conn off`. It is an HTTP/1 connection to everything
//! above: [`Responder`] translates, so that timeouts, retries, bodies and the checks of responses are those of HTTP.

mod head;
mod record;
mod request;
mod responder;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::io;

pub(crate) use request::Params;
pub(super) use request::Request;
pub(super) use responder::Responder;

use super::CallError;

/// What an endpoint did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("a record of version {0}, not 1")]
    Version(u8),
    #[error("a record of type {0}, which is no response")]
    Kind(u8),
    #[error("a record for another request")]
    Id,
    #[error("an end record of {0} bytes, not 8")]
    End(usize),
    #[error("the response ended before its head")]
    NoHead,
    #[error("the application is overloaded")]
    Overloaded,
    #[error("the application refused the request")]
    Refused,
    #[error("the Status field is no status of a final response")]
    Status,
    #[error("the name of a field holds a space or control character")]
    Field,
    #[error("the head has more than {0} bytes (proxy-buffer-size)")]
    HeadTooLarge(usize),
}

impl Malformed {
    /// The error of the call.
    pub(super) fn error(self) -> CallError {
        match self {
            Self::HeadTooLarge(_) => CallError::HeadTooLarge,
            _ => CallError::InvalidResponse,
        }
    }

    /// The reason among the sources of an error of a connection.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut source = Some(error);
        while let Some(error) = source {
            let inner = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            if let Some(malformed) = inner.and_then(|inner| inner.downcast_ref()) {
                return Some(*malformed);
            }
            source = error.source();
        }
        None
    }
}

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, malformed)
    }
}
