//! Who decides, as the webhook needs it.

use headgate_compile::Review;
use k8s_openapi::api::networking::v1::Ingress;

/// Decides whether an Ingress may be stored. Asked by many connections at once.
pub trait Judge: Send + Sync + 'static {
    /// The verdict on `ingress`. The webhook stops waiting after 8 s.
    ///
    /// # Errors
    /// When there is nobody to decide; the API server then does what the webhook's `failurePolicy` says.
    fn review(&self, ingress: Ingress) -> impl Future<Output = Result<Review, Unavailable>> + Send;
}

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The objects of the cluster have not been read yet.
    #[error("the controller has not read the cluster's objects yet")]
    NotReady,
    /// The process ends.
    #[error("the controller is stopping")]
    Stopping,
}
