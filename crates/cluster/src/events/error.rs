//! Failures of writing Events.

use kube::core::Status;

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

    /// Whether the namespace is being deleted or is gone, which takes the object and its Events with it.
    pub(super) fn is_of_deleted_namespace(&self) -> bool {
        let Some(status) = self.status() else {
            return false;
        };
        let details = status.details.as_ref();
        match status.code {
            403 => details.is_some_and(|details| {
                let mut causes = details.causes.iter();
                causes.any(|cause| cause.reason == "NamespaceTerminating")
            }),
            404 => details.is_some_and(|details| details.kind == "namespaces"),
            _ => false,
        }
    }

    pub(super) fn code(&self) -> Option<u16> {
        self.status().map(|status| status.code)
    }

    fn status(&self) -> Option<&Status> {
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status),
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
