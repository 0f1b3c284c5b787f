//! Finds the files under the paths given, and the directories in which a change can affect them.
//!
//! Symbolic links are followed, because a mounted ConfigMap consists of them: `app.yaml` links to `..data/app.yaml`, and
//! `..data` to the directory of the current version. A directory or file reached twice counts once, so loops end.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{FileType, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{FileKey, Root, Signature, entry, is_hidden, is_manifest};

/// Maximum depth of directories.
const MAX_DEPTH: usize = 64;
/// Maximum length of a chain of links, as in the kernel.
const MAX_LINKS: usize = 40;

/// Result of a walk.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) files: BTreeMap<FileKey, Found>,
    /// Directories whose entries are relevant, without links in their paths.
    pub(crate) directories: BTreeSet<PathBuf>,
    /// Links on the way to files and directories, whose targets may change.
    pub(crate) links: HashSet<PathBuf>,
    /// Paths that could not be read.
    pub(crate) problems: Vec<Problem>,
}

/// A file found by a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its path without links.
    pub(crate) real_path: PathBuf,
    pub(crate) signature: Signature,
}

/// A path that could not be read.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Index of the path given.
    pub(crate) root: usize,
    pub(crate) path: PathBuf,
    pub(crate) message: String,
    /// Whether the known files below the path stay known.
    pub(crate) keep: bool,
}

/// Walks all paths given.
pub(crate) fn walk(roots: &[Root]) -> Walk {
    let mut walker = Walker::default();
    for (index, root) in roots.iter().enumerate() {
        walker.root = index;
        walker.visit_root(root);
    }
    walker.walk
}

#[derive(Default)]
struct Walker {
    root: usize,
    walk: Walk,
    seen: HashSet<PathBuf>,
}

/// A file or directory and its status.
struct Entry<'a> {
    /// Its path, beginning with the path as given.
    path: &'a Path,
    /// Its path without links.
    real_path: PathBuf,
    metadata: Metadata,
}

impl Walker {
    fn visit_root(&mut self, root: &Root) {
        let path = &root.path;
        match std::fs::metadata(path).and_then(|metadata| Ok((metadata, self.real_path(path)?))) {
            Ok((metadata, real_path)) => self.visit(
                Entry {
                    path,
                    real_path,
                    metadata,
                },
                0,
            ),
            // A missing directory is more likely an accident than a request to serve nothing; a missing file was removed.
            Err(error) => {
                let keep = root.is_directory || error.kind() != ErrorKind::NotFound;
                self.problem(path, format!("cannot be read: {error}"), keep);
            }
        }
    }

    fn visit(&mut self, entry: Entry<'_>, depth: usize) {
        if !(entry.metadata.is_dir() || entry.metadata.is_file())
            || !self.seen.insert(entry.real_path.clone())
        {
            return;
        }
        if entry.metadata.is_dir() {
            return self.visit_directory(entry.path, &entry.real_path, depth);
        }
        let key = FileKey {
            root: self.root,
            path: entry.path.to_owned(),
        };
        let found = Found {
            real_path: entry.real_path,
            signature: Signature::of(&entry.metadata),
        };
        self.walk.files.insert(key, found);
    }

    fn visit_directory(&mut self, path: &Path, real_path: &Path, depth: usize) {
        if depth == MAX_DEPTH {
            return self.problem(
                path,
                format!("is more than {MAX_DEPTH} directories deep"),
                true,
            );
        }
        self.walk.directories.insert(real_path.to_owned());
        match entries(path) {
            Ok(entries) => entries
                .iter()
                .for_each(|(path, kind)| self.visit_entry(path, *kind, real_path, depth + 1)),
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn visit_entry(&mut self, path: &Path, kind: FileType, directory: &Path, depth: usize) {
        // Only links cost more than one stat of the entry: directories may hold very many files.
        let found = match path.file_name() {
            _ if kind.is_symlink() => self.follow(path),
            Some(name) if kind.is_dir() || is_manifest(path) => {
                std::fs::symlink_metadata(path).map(|metadata| (metadata, directory.join(name)))
            }
            _ => return,
        };
        match found {
            Ok((metadata, _)) if metadata.is_file() && !is_manifest(path) => {}
            Ok((metadata, real_path)) => self.visit(
                Entry {
                    path,
                    real_path,
                    metadata,
                },
                depth,
            ),
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn follow(&mut self, link: &Path) -> std::io::Result<(Metadata, PathBuf)> {
        let real_path = self.real_path(link)?;
        Ok((std::fs::metadata(link)?, real_path))
    }

    /// The path without links. The directories of these links become relevant too, since a link may be replaced.
    fn real_path(&mut self, path: &Path) -> std::io::Result<PathBuf> {
        let mut link = path.to_owned();
        for _ in 0..MAX_LINKS {
            let Ok(target) = std::fs::read_link(&link) else {
                break;
            };
            let entry = entry(&link)?;
            let Some(directory) = entry.parent() else {
                break;
            };
            self.walk.directories.insert(directory.to_owned());
            self.walk.links.insert(entry.clone());
            self.add_links_within(directory, &target);
            link = directory.join(target);
        }
        let real = link.canonicalize()?;
        if link != path {
            self.walk
                .directories
                .extend(real.parent().map(Path::to_owned));
        }
        Ok(real)
    }

    /// Adds links among the directories of a target: in `..data/app.yaml`, `..data` is the link that is replaced.
    fn add_links_within(&mut self, directory: &Path, target: &Path) {
        let mut path = directory.to_owned();
        for part in target.parent().into_iter().flat_map(Path::components) {
            path.push(part);
            let Some(link) = path.is_symlink().then(|| entry(&path).ok()).flatten() else {
                continue;
            };
            self.walk
                .directories
                .extend(link.parent().map(Path::to_owned));
            self.walk.links.insert(link);
        }
    }

    /// Entries removed during the walk and dangling links are ignored.
    fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        if error.kind() != ErrorKind::NotFound {
            self.problem(path, format!("cannot be read: {error}"), true);
        }
    }

    fn problem(&mut self, path: &Path, message: String, keep: bool) {
        self.walk.problems.push(Problem {
            root: self.root,
            path: path.to_owned(),
            message,
            keep,
        });
    }
}

/// The entries of a directory that are not hidden, in the order of their names.
fn entries(directory: &Path) -> std::io::Result<Vec<(PathBuf, FileType)>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if !is_hidden(Path::new(&entry.file_name())) {
            entries.push((entry.path(), entry.file_type()?));
        }
    }
    entries.sort_by(|(left, _), (right, _)| left.file_name().cmp(&right.file_name()));
    Ok(entries)
}
