//! Temporary files for bodies that do not stay in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes that are read or written at once.
pub(super) const PIECE: usize = 64 << 10;

/// A file without a name in the system's temporary directory, deleted with its last handle. Reads and writes run on the
/// blocking pool: a slow disk must not delay the other connections of a worker.
#[derive(Clone)]
pub(super) struct Spool {
    file: Arc<File>,
}

impl Spool {
    /// An empty file.
    pub(super) async fn create() -> io::Result<Self> {
        let file = joined(spawn_blocking(tempfile::tempfile)).await?;
        Ok(Self {
            file: Arc::new(file),
        })
    }

    /// Writes all of `bytes` at `offset`.
    pub(super) async fn write_at(&self, bytes: Bytes, offset: u64) -> io::Result<()> {
        let file = self.file.clone();
        joined(spawn_blocking(move || file.write_all_at(&bytes, offset))).await
    }

    /// Reads at most [`PIECE`] of the `left` bytes after `offset`.
    pub(super) fn read_at(&self, offset: u64, left: u64) -> JoinHandle<io::Result<Bytes>> {
        let file = self.file.clone();
        let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        spawn_blocking(move || {
            let mut buffer = vec![0; length];
            file.read_exact_at(&mut buffer, offset)?;
            Ok(Bytes::from(buffer))
        })
    }
}

async fn joined<T>(task: JoinHandle<io::Result<T>>) -> io::Result<T> {
    task.await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}
