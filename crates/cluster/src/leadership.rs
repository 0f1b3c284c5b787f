//! Which replica leads, for the tasks that only the leader runs. The election itself is in [`lease`](crate::lease).

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// Which replica leads.
#[derive(Clone, Debug)]
pub enum Leadership {
    /// Another replica, by identity if known.
    Follower(Option<Arc<str>>),
    /// This replica, as long as the token is current.
    Leader(Leader),
}

impl Leadership {
    /// The token, while this replica leads.
    pub fn leader(&self, now: Instant) -> Option<&Leader> {
        match self {
            Self::Leader(leader) if leader.is_current(now) => Some(leader),
            Self::Leader(_) | Self::Follower(_) => None,
        }
    }

    /// Identity of the other replica that leads, if known.
    pub fn holder(&self) -> Option<&str> {
        match self {
            Self::Follower(holder) => holder.as_deref(),
            Self::Leader(_) => None,
        }
    }
}

/// A claim to lead. A task that writes as the leader checks it right before each write: it expires by itself when it is
/// not renewed in time.
#[derive(Clone, Debug)]
pub struct Leader {
    until: Arc<Mutex<Option<Instant>>>,
}

impl Leader {
    /// A claim that expires at `until`.
    pub fn new(until: Instant) -> Self {
        Self {
            until: Arc::new(Mutex::new(Some(until))),
        }
    }

    /// Whether the claim has not expired.
    pub fn is_current(&self, now: Instant) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| now < until)
    }

    /// When it expires unless it is renewed; now if it has ended.
    pub(super) fn until(&self) -> Instant {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.unwrap_or_else(Instant::now)
    }

    pub(super) fn extend(&self, until: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// Ends the claim.
    pub fn end(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
