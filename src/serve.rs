//! `headgate serve PATH...`: objects from files and directories, watched for changes.

use anyhow::Result;
use headgate_compile::Snapshot;
use headgate_manifest::Source;

use crate::app::{self, Serving};
use crate::reconciler::{Feed, Input};

/// Serves the objects of `source` until SIGTERM or SIGINT.
pub(crate) async fn run(serving: Serving, source: Source) -> Result<()> {
    app::run(serving, Files(source), |_| ()).await
}

/// Manifests as a feed.
pub(crate) struct Files(pub(crate) Source);

impl Feed for Files {
    async fn next(&mut self) -> Input {
        Input::Batch(self.0.changes().await)
    }

    fn snapshot(&self) -> &Snapshot {
        self.0.snapshot()
    }
}
