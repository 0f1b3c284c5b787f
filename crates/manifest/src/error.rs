//! Why a source cannot be opened.

use std::path::PathBuf;

/// A path that nothing can be served from. Everything that goes wrong later is a finding, not an error.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The path is missing, or a folder above it must not be searched.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path is a socket, a pipe or a device.
    #[error("{} is neither a file nor a folder", path.display())]
    NotAFile {
        /// The path as given.
        path: PathBuf,
    },
}
