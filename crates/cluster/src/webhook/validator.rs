//! The interface of the webhook to the code that reviews objects.

use headgate_compile::{Review, Reviewed};

/// Decides whether an object may be stored. Called by many connections at once.
pub trait Validator: Send + Sync + 'static {
    /// Reviews `object`. The webhook cancels it after 8 s.
    ///
    /// # Errors
    /// When no review is possible; the API server then follows the webhook's `failurePolicy`.
    fn review(&self, object: Reviewed) -> impl Future<Output = Result<Review, Unavailable>> + Send;
}

/// Why there is no review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The objects of the cluster have not been read yet.
    #[error("the controller has not read the cluster's objects yet")]
    NotReady,
    /// The process is stopping.
    #[error("the controller is stopping")]
    Stopping,
}
