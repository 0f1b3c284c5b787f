//! `headgate serve PATH...`: objects from files and directories, watched for changes.

use anyhow::Result;
use headgate_manifest::Source;

use crate::app::{self, Serving};
use crate::reconciler::{Batch, Feed, Input};

/// Serves the objects of `source` until SIGTERM or SIGINT.
pub(crate) async fn run(serving: Serving, source: Source) -> Result<()> {
    app::run(serving, Files(source), |_| ()).await
}

struct Files(Source);

impl Feed for Files {
    async fn next(&mut self) -> Input {
        let batch = self.0.changes().await;
        Input::Batch(Batch {
            changes: batch.changes,
            documents: batch.findings,
            arrived: batch.arrived,
            is_stale: false,
        })
    }
}
