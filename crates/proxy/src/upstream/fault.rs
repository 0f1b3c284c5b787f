//! Why an attempt failed, for the log and for the metric of errors.

use std::borrow::Cow;
use std::io;

use super::CallError;

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// One of a fixed set: a label of metrics.
    pub(crate) reason: &'static str,
    /// What exactly, for the log.
    pub(crate) detail: Cow<'static, str>,
}

impl Fault {
    /// A fault with this reason, of which nothing else is known.
    pub(crate) fn new(reason: &'static str) -> Self {
        Self {
            reason,
            detail: Cow::Borrowed(""),
        }
    }

    /// The fault of `error`, of which nothing else is known.
    pub(crate) fn of(error: CallError) -> Self {
        Self {
            reason: reason(error),
            detail: error.to_string().into(),
        }
    }

    /// The fault of `error`, with details.
    pub(super) fn with(error: CallError, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason(error),
            detail: detail.into(),
        }
    }

    /// The fault of a connection that could not be opened.
    pub(super) fn connect(error: &io::Error) -> Self {
        let tls = error
            .get_ref()
            .is_some_and(|inner| inner.is::<rustls::Error>());
        let reason = match error.kind() {
            _ if tls => "tls-failed",
            io::ErrorKind::ConnectionRefused => "connect-refused",
            _ => "connect-failed",
        };
        Self {
            reason,
            detail: error.to_string().into(),
        }
    }
}

fn reason(error: CallError) -> &'static str {
    use super::RequestBodyError as Body;
    match error {
        CallError::NoEndpoints => "no-endpoints",
        CallError::Overloaded(bound) => bound.limit().as_str(),
        CallError::Connect => "connect-failed",
        CallError::ConnectTimeout => "connect-timeout",
        CallError::SendTimeout => "send-timeout",
        CallError::ReadTimeout => "read-timeout",
        CallError::Broken => "closed-early",
        CallError::HeadTooLarge => "response-head-too-large",
        CallError::InvalidResponse => "invalid-response",
        CallError::RequestBody(Body::TooLarge) => "body-too-large",
        CallError::RequestBody(Body::Timeout) => "body-timeout",
        CallError::RequestBody(Body::TooSlow) => "body-rate",
        CallError::RequestBody(Body::Malformed) => "body-malformed",
        CallError::RequestBody(Body::Gone) => "client-gone",
        CallError::RequestBody(Body::NoSpace) => "body-spool",
        CallError::RequestBody(Body::Spool) => "body-not-stored",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_faults_have_reasons() {
        let of = |error: io::Error| Fault::connect(&error).reason;
        assert_eq!(
            of(io::ErrorKind::ConnectionRefused.into()),
            "connect-refused"
        );
        assert_eq!(of(io::ErrorKind::HostUnreachable.into()), "connect-failed");
        let tls = rustls::Error::DecryptError;
        assert_eq!(
            of(io::Error::new(io::ErrorKind::InvalidData, tls)),
            "tls-failed"
        );
    }
}
