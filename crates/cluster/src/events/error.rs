//! Failures of writing Events.

/// Why an Event was not written.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The API server refused the request or is unreachable.
    #[error("Event {reason} on {object}")]
    Api {
        /// The Event's reason.
        reason: &'static str,
        /// Kind and name of the object.
        object: Box<str>,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// No response in time.
    #[error("Event {reason} on {object}: no response in time")]
    Timeout {
        /// The Event's reason.
        reason: &'static str,
        /// Kind and name of the object.
        object: Box<str>,
    },
}

impl EventError {
    /// Whether a retry would fail as well: forbidden, the namespace is gone, or the Event is invalid.
    pub(super) fn is_lasting(&self) -> bool {
        self.code()
            .is_some_and(|code| (400..500).contains(&code) && !matches!(code, 401 | 408 | 429))
    }

    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::Timeout { .. } => None,
        }
    }

    /// Failures of one kind are logged once.
    pub(super) fn kind(&self) -> &'static str {
        match self.code() {
            Some(403) => "forbidden",
            Some(_) => "refused",
            None => "unreachable",
        }
    }
}
