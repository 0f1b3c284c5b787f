//! What can go wrong with a status.

use std::time::Duration;

use headgate_compile::Name;

/// Why a status was not written, or an address not found.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The API server refused or could not be asked.
    #[error("{action} {kind} {name}")]
    Api {
        /// `reading`, `listing` or `writing the status of`.
        action: &'static str,
        /// Kind of the object.
        kind: &'static str,
        /// The object.
        name: Name,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// No answer in time.
    #[error("{action} {kind} {name}: no answer within {} s", .patience.as_secs())]
    Timeout {
        /// What was tried.
        action: &'static str,
        /// Kind of the object.
        kind: &'static str,
        /// The object.
        name: Name,
        /// How long was waited.
        patience: Duration,
    },
    /// No ready pod has an address.
    #[error("no node with a ready pod of ours has an address")]
    NoAddress,
    /// Leadership ended before it was written.
    #[error("no longer the leader")]
    NotLeader,
}

/// What an error means for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The object is gone, is another now, or does not take such a status: it is looked at again when it changes.
    Leave,
    /// We may not.
    Forbidden,
    /// Later, and not before this time has passed.
    Retry(Duration),
    /// Not ours to do.
    Drop,
}

impl StatusError {
    pub(super) fn verdict(&self) -> Verdict {
        let later = Verdict::Retry(Duration::ZERO);
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => match status.code {
                    403 => Verdict::Forbidden,
                    400 | 404 | 405 | 409 | 410 | 413 | 422 => Verdict::Leave,
                    _ => {
                        let details = status.details.as_ref();
                        let seconds = details.map_or(0, |details| details.retry_after_seconds);
                        Verdict::Retry(Duration::from_secs(seconds.into()))
                    }
                },
                _ => later,
            },
            Self::Timeout { .. } | Self::NoAddress => later,
            Self::NotLeader => Verdict::Drop,
        }
    }

    pub(super) fn is_conflict(&self) -> bool {
        self.has_code(409)
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
