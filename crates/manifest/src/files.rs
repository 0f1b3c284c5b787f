//! Which files there are and what is in them: all access to the file system.

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
    /// The same with its folder resolved, as file events name it.
    pub(crate) entry: PathBuf,
    /// It was a folder when the source was opened.
    pub(crate) is_folder: bool,
}

/// A file, ordered as definitions take precedence: by the paths given, then by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileKey {
    /// Index of the path given under which it was found.
    pub(crate) root: usize,
    /// Path from there, beginning with the path as given.
    pub(crate) path: PathBuf,
}

impl FileKey {
    /// How the file is written, by its name; what is named otherwise was named explicitly and is YAML.
    pub(crate) fn format(&self) -> Format {
        if has_extension(&self.path, &["json"]) {
            Format::Json
        } else {
            Format::Yaml
        }
    }

    /// For people.
    pub(crate) fn display(&self) -> Arc<str> {
        self.path.to_string_lossy().into()
    }
}

/// What of a file's status changes when its content does. The time of status change is there for files that are replaced
/// with their modification time preserved.
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

/// Names of manifests; hidden files and what editors leave around (`.#x`, `x.yaml~`, `.x.yaml.swp`) are none.
fn is_manifest(name: &Path) -> bool {
    has_extension(name, &["yaml", "yml", "json"])
}

/// Whether a walk would take a regular file of this path.
pub(crate) fn is_wanted(path: &Path) -> bool {
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

/// The folder of a path with symbolic links resolved, joined with its last part as it is.
pub(crate) fn entry(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) => Ok(parent.canonicalize()?.join(name)),
        // The root folder, or a path that ends in `..`.
        _ => absolute.canonicalize(),
    }
}

/// A file by its path without links, if there still is one.
pub(crate) fn stat(path: &Path) -> Option<Found> {
    let metadata = std::fs::symlink_metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)?;
    Some(Found {
        real_path: path.to_owned(),
        signature: Signature::of(&metadata),
    })
}
