//! Errors of opening a source.

use std::path::PathBuf;

/// A path that cannot be opened. Later failures are findings, not errors.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The path is missing, or a directory above it denies access.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The path is a socket, a pipe or a device.
    #[error("{} is neither a file nor a directory", path.display())]
    NotAFile {
        /// The path as given.
        path: PathBuf,
    },
}
