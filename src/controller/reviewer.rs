//! Admission reviews against the state that is served.

use headgate_cluster::webhook::{Unavailable, Validator};
use headgate_compile::{Review, Reviewed, review};
use tokio::sync::{mpsc, oneshot};

use crate::reconciler::Query;

/// Reviews objects by queries to the reconciler, which alone holds the state.
pub(super) struct Reviewer {
    pub(super) queries: mpsc::Sender<Query>,
}

impl Validator for Reviewer {
    async fn review(&self, object: Reviewed) -> Result<Review, Unavailable> {
        let (result, reviewed) = oneshot::channel();
        let query: Query = Box::new(move |view| {
            let review = review(&object, view.compiled, view.snapshot, view.options);
            // Fails if the request was cancelled meanwhile.
            let _ = result.send(review);
        });
        let sent = self.queries.send(query).await;
        sent.map_err(|_| Unavailable::Stopping)?;
        // Queries before the first batch are dropped.
        reviewed.await.map_err(|_| Unavailable::NotReady)
    }
}
