//! Who decides about admission: the state that is being served.

use headgate_cluster::webhook::{Unavailable, Validator};
use headgate_compile::{Review, review};
use k8s_openapi::api::networking::v1::Ingress;
use tokio::sync::{mpsc, oneshot};

use crate::reconciler::Question;

/// Asks the reconciler, whose state nobody else may hold.
pub(super) struct Reviewer {
    pub(super) questions: mpsc::Sender<Question>,
}

impl Validator for Reviewer {
    async fn review(&self, ingress: Ingress) -> Result<Review, Unavailable> {
        let (answer, verdict) = oneshot::channel();
        let question: Question = Box::new(move |view| {
            let review = review(&ingress, view.compiled, view.snapshot, view.options);
            // Whoever asked may have given up.
            let _ = answer.send(review);
        });
        let asked = self.questions.send(question).await;
        asked.map_err(|_| Unavailable::Stopping)?;
        // A question that comes before there is a state is dropped.
        verdict.await.map_err(|_| Unavailable::NotReady)
    }
}
