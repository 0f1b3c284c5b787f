//! `headgate serve PATH...`: objects from files and folders, watched.

use anyhow::Result;
use headgate_manifest::Source;

use crate::app::{self, Serving};
use crate::reconciler::{Batch, Feed};

/// Serves the objects of `source` until SIGTERM or SIGINT.
pub(crate) async fn run(serving: Serving, source: Source) -> Result<()> {
    app::run(serving, Files(source), |_| ()).await
}

struct Files(Source);

impl Feed for Files {
    async fn next(&mut self) -> Batch {
        let batch = self.0.changes().await;
        Batch {
            changes: batch.changes,
            documents: batch.findings,
            arrived: batch.arrived,
        }
    }
}
