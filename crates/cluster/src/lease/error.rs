//! What can go wrong with a lease.

/// Why the lease could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The API server refused or could not be asked.
    #[error("{action} Lease {lease}")]
    Api {
        /// What was tried: `reading`, `creating` or `writing`.
        action: &'static str,
        /// `namespace/name`.
        lease: Box<str>,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// No answer in time.
    #[error("{action} Lease {lease}: no answer within {seconds} s")]
    Timeout {
        /// What was tried.
        action: &'static str,
        /// `namespace/name`.
        lease: Box<str>,
        /// How long was waited.
        seconds: f64,
    },
    /// The claim ran out while a renewal was under way.
    #[error("the renewal came too late")]
    Late,
}

impl LeaseError {
    /// Whether somebody else changed, made or deleted the lease since we read it.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self.code(), Some(404 | 409))
    }

    /// Whether there is no such lease.
    pub(super) fn is_absence(&self) -> bool {
        self.code() == Some(404)
    }

    fn code(&self) -> Option<u16> {
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::Timeout { .. } | Self::Late => None,
        }
    }
}
