//! Why an Event was not written.

/// Why an Event was not written.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The API server refused it or could not be asked.
    #[error("Event {reason} on {object}")]
    Api {
        /// The Event's reason.
        reason: &'static str,
        /// Kind and name of the object that it is about.
        object: Box<str>,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// No answer in time.
    #[error("Event {reason} on {object}: no answer in time")]
    Timeout {
        /// The Event's reason.
        reason: &'static str,
        /// Kind and name of the object that it is about.
        object: Box<str>,
    },
}

impl EventError {
    /// Whether trying again would end the same way: forbidden, the namespace is gone, or the Event is not acceptable.
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

    /// Same for failures that are the same in the log.
    pub(super) fn kind(&self) -> &'static str {
        match self.code() {
            Some(403) => "forbidden",
            Some(_) => "refused",
            None => "unreachable",
        }
    }
}
