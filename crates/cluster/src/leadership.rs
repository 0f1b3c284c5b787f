//! Who leads, for everything that only the leader does. The election itself is in [`lease`](crate::lease).

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// Who leads.
#[derive(Clone, Debug)]
pub enum Leadership {
    /// Another replica, by identity, or none that is known.
    Follower(Option<Arc<str>>),
    /// We do, as long as the token says so.
    Leader(Leader),
}

impl Leadership {
    /// The token, when we lead now.
    pub fn leader(&self, now: Instant) -> Option<&Leader> {
        match self {
            Self::Leader(leader) if leader.is_current(now) => Some(leader),
            Self::Leader(_) | Self::Follower(_) => None,
        }
    }

    /// The other that leads, if that is known.
    pub(super) fn holder(&self) -> Option<&str> {
        match self {
            Self::Follower(holder) => holder.as_deref(),
            Self::Leader(_) => None,
        }
    }
}

/// Stands for a claim to lead. Whoever writes as the leader looks at it right before each write: it ends by itself when
/// the claim is not renewed in time.
#[derive(Clone, Debug)]
pub struct Leader {
    until: Arc<Mutex<Option<Instant>>>,
}

impl Leader {
    /// A claim that holds until then.
    pub fn new(until: Instant) -> Self {
        Self {
            until: Arc::new(Mutex::new(Some(until))),
        }
    }

    /// Whether the claim holds.
    pub fn is_current(&self, now: Instant) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| now < until)
    }

    /// When it ends unless it is renewed; the past when it ended.
    pub(super) fn until(&self) -> Instant {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.unwrap_or_else(Instant::now)
    }

    pub(super) fn extend(&self, until: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// The claim ends now.
    pub fn end(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
