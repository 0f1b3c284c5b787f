//! All access to the file system: finding files and reading them.

mod read;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use read::{Content, read};
pub(crate) use walk::{Found, Problem, Walk, walk};

use crate::document::Format;

/// A path that the source was opened with.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// As given.
    pub(crate) path: PathBuf,
    /// The same with links in its directory resolved, as file events name it.
    pub(crate) entry: PathBuf,
    /// It was a directory when the source was opened.
    pub(crate) is_directory: bool,
}

/// A file, ordered as definitions take precedence: by the paths given, then by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileKey {
    /// Index of the path given under which it was found.
    pub(crate) root: usize,
    /// Its path, beginning with the path as given.
    pub(crate) path: PathBuf,
}

impl FileKey {
    /// The format by the file's extension; a file with another extension was given explicitly and is YAML.
    pub(crate) fn format(&self) -> Format {
        if has_extension(&self.path, &["json"]) {
            Format::Json
        } else {
            Format::Yaml
        }
    }

    /// The path, for messages.
    pub(crate) fn display(&self) -> Arc<str> {
        self.path.to_string_lossy().into()
    }
}

/// The part of a file's status that changes with its content. The time of status change covers files that are replaced with
/// their modification time preserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Signature {
    fn of(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Whether a name has an extension of manifests; backups of editors (`x.yaml~`, `.x.yaml.swp`) have none.
fn is_manifest(name: &Path) -> bool {
    has_extension(name, &["yaml", "yml", "json"])
}

/// Whether a walk would return a regular file of this path.
pub(crate) fn is_visible_manifest(path: &Path) -> bool {
    is_manifest(path)
        && !path
            .file_name()
            .is_none_or(|name| is_hidden(Path::new(name)))
}

fn is_hidden(name: &Path) -> bool {
    name.as_os_str().as_encoded_bytes().starts_with(b".")
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .is_some_and(|extension| extensions.iter().any(|known| extension == *known))
}

/// The directory of a path with symbolic links resolved, joined with its last part as it is.
pub(crate) fn entry(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) => Ok(parent.canonicalize()?.join(name)),
        // The root directory, or a path that ends in `..`.
        _ => absolute.canonicalize(),
    }
}

/// The regular file of a path without links, if it still exists.
pub(crate) fn stat(path: &Path) -> Option<Found> {
    let metadata = std::fs::symlink_metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)?;
    Some(Found {
        real_path: path.to_owned(),
        signature: Signature::of(&metadata),
    })
}
