//! Failures of writing to the API server and finding addresses.

use std::time::Duration;

use headgate_compile::Name;

/// Why a status or object was not written, or no address was found.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server refused the request or is unreachable.
    #[error("{action} {kind} {name}")]
    Api {
        /// Such as `reading` or `writing the status of`.
        action: &'static str,
        /// Kind of the object.
        kind: &'static str,
        /// The object.
        name: Name,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// No response in time.
    #[error("{action} {kind} {name}: no response within {} s", .timeout.as_secs())]
    Timeout {
        /// `reading`, `listing` or `writing the status of`.
        action: &'static str,
        /// Kind of the object.
        kind: &'static str,
        /// The object.
        name: Name,
        /// The timeout.
        timeout: Duration,
    },
    /// No ready pod has an address.
    #[error("no node with a ready pod of this controller has an address")]
    NoAddress,
    /// Leadership ended before it was written.
    #[error("no longer the leader")]
    NotLeader,
}

/// What follows from a failed write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryPolicy {
    /// The object is gone or was replaced, or the status is invalid: no retry until the object changes.
    Skip,
    /// Permission is missing.
    Forbidden,
    /// Retry, after at least this time.
    Retry(Duration),
    /// This replica no longer leads.
    Drop,
}

impl WriteError {
    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        let later = RetryPolicy::Retry(Duration::ZERO);
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => match status.code {
                    403 => RetryPolicy::Forbidden,
                    400 | 404 | 405 | 409 | 410 | 413 | 422 => RetryPolicy::Skip,
                    _ => {
                        let details = status.details.as_ref();
                        let seconds = details.map_or(0, |details| details.retry_after_seconds);
                        RetryPolicy::Retry(Duration::from_secs(seconds.into()))
                    }
                },
                _ => later,
            },
            Self::Timeout { .. } | Self::NoAddress => later,
            Self::NotLeader => RetryPolicy::Drop,
        }
    }

    pub(crate) fn is_conflict(&self) -> bool {
        self.has_code(409)
    }

    pub(crate) fn is_missing(&self) -> bool {
        self.has_code(404)
    }

    pub(super) fn is_forbidden(&self) -> bool {
        self.has_code(403)
    }

    fn has_code(&self, code: u16) -> bool {
        let Self::Api { source, .. } = self else {
            return false;
        };
        matches!(&**source, kube::Error::Api(status) if status.code == code)
    }
}
