//! Temporary files for bodies that do not stay in memory, and the space that they may take.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use crate::pipes::Pipe;

/// Bytes that are read or written at once.
pub(super) const PIECE: usize = 256 << 10;

/// Least time between two warnings that files cannot be written.
const WARNINGS: Duration = Duration::from_secs(1);

/// The space of the temporary files of all workers.
#[derive(Debug)]
pub(crate) struct DiskSpace {
    used: AtomicU64,
    /// Bytes for them, unless the settings say how many.
    default: u64,
    warned: Mutex<Option<Instant>>,
}

/// Where a body is stored.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    space: Arc<DiskSpace>,
    /// Most bytes of all files.
    most: u64,
}

impl DiskSpace {
    /// Half of what is free now in the directory for temporary files.
    pub(crate) fn new() -> Arc<Self> {
        // Without an answer, errors of writing are the bound.
        let half = free(&std::env::temp_dir()).map_or(u64::MAX, |free| free / 2);
        Arc::new(Self {
            used: AtomicU64::new(0),
            default: half,
            warned: Mutex::new(None),
        })
    }

    /// With `most` bytes for all files, or else the default, which has room for a body of `largest` bytes at least.
    pub(super) fn disk(self: &Arc<Self>, most: Option<NonZeroU64>, largest: u64) -> Disk {
        Disk {
            space: self.clone(),
            most: most.map_or_else(|| self.default.max(largest), NonZeroU64::get),
        }
    }
}

/// Bytes that are free in the file system of `directory`.
fn free(directory: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(directory).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

impl Disk {
    /// Logs that a body could not be stored: once a second, because a full disk concerns all of them.
    pub(super) fn warn(&self, error: &io::Error) {
        let now = Instant::now();
        let mut warned = self.space.warned.lock();
        if warned.is_none_or(|last| now.duration_since(last) >= WARNINGS) {
            *warned = Some(now);
            tracing::warn!(%error, "cannot store a body in a temporary file");
        }
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        let used = |used: u64| used.checked_add(bytes).filter(|all| *all <= self.most);
        let taken = self.space.used.fetch_update(Relaxed, Relaxed, used);
        taken.map(|_| ()).map_err(|_| {
            let most = self.most;
            let message = format!("client-body-temp-max-size allows {most} bytes for all files");
            io::Error::new(io::ErrorKind::StorageFull, message)
        })
    }
}

/// A file without a name in the system's temporary directory, deleted with its last handle. Reads and writes run on the
/// blocking pool: a slow disk must not delay the other connections of a worker.
#[derive(Clone)]
pub(super) struct Spool(Arc<TemporaryFile>);

struct TemporaryFile {
    file: File,
    disk: Disk,
    /// Bytes that it has of the space: its greatest length.
    taken: AtomicU64,
}

impl Spool {
    /// An empty file.
    pub(super) async fn create(disk: Disk) -> io::Result<Self> {
        let file = joined(spawn_blocking(tempfile::tempfile)).await?;
        Ok(Self(Arc::new(TemporaryFile {
            file,
            disk,
            taken: AtomicU64::new(0),
        })))
    }

    /// Writes all of `chunks` at `offset`, one after the other. There is one writer.
    ///
    /// # Errors
    /// If the files would take more space than they may, or the file cannot be written.
    pub(super) async fn write_at(&self, chunks: Vec<Bytes>, offset: u64) -> io::Result<()> {
        let length: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        self.0.grow(offset.saturating_add(length))?;
        let file = self.0.clone();
        joined(spawn_blocking(move || {
            chunks.iter().try_fold(offset, |offset, chunk| {
                file.file.write_all_at(chunk, offset)?;
                Ok(offset + chunk.len() as u64)
            })
        }))
        .await?;
        Ok(())
    }

    /// Reads at most [`PIECE`] of the `left` bytes after `offset`.
    pub(super) fn read_at(&self, offset: u64, left: u64) -> JoinHandle<io::Result<Bytes>> {
        let file = self.0.clone();
        let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        spawn_blocking(move || {
            let mut buffer = vec![0; length];
            file.file.read_exact_at(&mut buffer, offset)?;
            Ok(Bytes::from(buffer))
        })
    }

    /// Moves at most [`PIECE`] of the `left` bytes after `offset` into `pipe`.
    ///
    /// # Errors
    /// See also [`headgate_http1::refuses_pipes`].
    pub(super) fn fill(
        &self,
        mut pipe: Pipe,
        offset: u64,
        left: u64,
    ) -> JoinHandle<io::Result<Pipe>> {
        let file = self.0.clone();
        spawn_blocking(move || {
            match pipe.fill(&file.file, Some(offset), left.min(PIECE as u64))? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(pipe),
            }
        })
    }
}

impl TemporaryFile {
    fn grow(&self, length: u64) -> io::Result<()> {
        let more = length.saturating_sub(self.taken.load(Relaxed));
        if more > 0 {
            self.disk.take(more)?;
            self.taken.fetch_add(more, Relaxed);
        }
        Ok(())
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let taken = self.taken.load(Relaxed);
        self.disk.space.used.fetch_sub(taken, Relaxed);
    }
}

async fn joined<T>(task: JoinHandle<io::Result<T>>) -> io::Result<T> {
    task.await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[tokio::test]
    async fn files_share_their_space_and_return_it() {
        let space = DiskSpace::new();
        let disk = || space.disk(NonZeroU64::new(10), 0);
        let first = Spool::create(disk()).await.unwrap();
        let second = Spool::create(disk()).await.unwrap();
        let piece = vec![Bytes::from_static(b"123"), Bytes::from_static(b"456")];
        first.write_at(piece.clone(), 0).await.unwrap();
        let error = second.write_at(piece.clone(), 0).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        first.write_at(piece.clone(), 0).await.unwrap();
        first.write_at(piece.clone(), 4).await.unwrap();
        assert_eq!(
            space.used.load(Relaxed),
            10,
            "what is overwritten is counted once"
        );
        let read = first.read_at(4, 6);
        drop(first);
        assert_eq!(read.await.unwrap().unwrap(), "123456");
        second.write_at(piece, 0).await.unwrap();
        assert_eq!(space.used.load(Relaxed), 6);
    }

    #[test]
    fn a_configured_bound_holds_and_the_default_has_room_for_one_body() {
        let space = DiskSpace::new();
        assert!(space.default > 0, "the test has no free space");
        assert_eq!(space.disk(None, 0).most, space.default);
        assert_eq!(space.disk(None, u64::MAX).most, u64::MAX);
        assert_eq!(space.disk(NonZeroU64::new(5), 9).most, 5);
    }
}
