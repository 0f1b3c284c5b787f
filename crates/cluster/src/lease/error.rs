//! Failures of reading and writing the lease.

/// Why the lease could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The API server refused the request or is unreachable.
    #[error("{action} Lease {lease}")]
    Api {
        /// `reading`, `creating` or `writing`.
        action: &'static str,
        /// `namespace/name`.
        lease: Box<str>,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// No response in time.
    #[error("{action} Lease {lease}: no response within {seconds} s")]
    Timeout {
        /// `reading`, `creating` or `writing`.
        action: &'static str,
        /// `namespace/name`.
        lease: Box<str>,
        /// The timeout.
        seconds: f64,
    },
    /// The claim expired during a renewal.
    #[error("the lease was not renewed in time")]
    Late,
}

impl LeaseError {
    /// Whether another client created, changed or deleted the lease since it was read.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self.code(), Some(404 | 409))
    }

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
