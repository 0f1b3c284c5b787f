//! The files under the paths given, and the folders in which a change could concern them.
//!
//! Symbolic links are followed, because a mounted ConfigMap consists of them: `app.yaml` links to `..data/app.yaml`, and
//! `..data` to the folder of the current version. A folder or file reached twice counts once, so loops end.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{FileType, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{FileKey, Root, Signature, entry, is_hidden, is_manifest};

/// Folders within folders that are searched.
const MAX_DEPTH: usize = 64;
/// Links from one to the next that are followed, as in the kernel.
const MAX_LINKS: usize = 40;

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// The files.
    pub(crate) files: BTreeMap<FileKey, Found>,
    /// Folders whose entries matter, without links in their paths.
    pub(crate) folders: BTreeSet<PathBuf>,
    /// Links on the way to files and folders; where one leads may change.
    pub(crate) links: HashSet<PathBuf>,
    /// What could not be searched. The files known from there are to be kept.
    pub(crate) problems: Vec<Problem>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its path without links.
    pub(crate) real_path: PathBuf,
    /// Its status.
    pub(crate) signature: Signature,
}

/// A path that could not be searched.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Index of the path given.
    pub(crate) root: usize,
    /// Which.
    pub(crate) path: PathBuf,
    /// Why.
    pub(crate) message: String,
    /// Whether the files known from there stay known.
    pub(crate) keep: bool,
}

/// Searches all paths given.
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

/// Something found: its path as shown, without links, and its status.
struct Entry<'a> {
    path: &'a Path,
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
            // A missing folder is more likely an accident than the wish to serve nothing; a missing file was removed.
            Err(error) => {
                let keep = root.is_folder || error.kind() != ErrorKind::NotFound;
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
            return self.visit_folder(entry.path, &entry.real_path, depth);
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

    fn visit_folder(&mut self, path: &Path, real_path: &Path, depth: usize) {
        if depth == MAX_DEPTH {
            return self.problem(path, format!("is more than {MAX_DEPTH} folders deep"), true);
        }
        self.walk.folders.insert(real_path.to_owned());
        match entries(path) {
            Ok(entries) => entries
                .iter()
                .for_each(|(path, kind)| self.visit_entry(path, *kind, real_path, depth + 1)),
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn visit_entry(&mut self, path: &Path, kind: FileType, folder: &Path, depth: usize) {
        // Only links cost more than a look at the entry itself: folders may hold very many files.
        let found = match path.file_name() {
            _ if kind.is_symlink() => self.follow(path),
            Some(name) if kind.is_dir() || is_manifest(path) => {
                std::fs::symlink_metadata(path).map(|metadata| (metadata, folder.join(name)))
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

    /// The path without links; the folders through which the links lead are watched too, since one of these links may be
    /// replaced.
    fn real_path(&mut self, path: &Path) -> std::io::Result<PathBuf> {
        let mut link = path.to_owned();
        for _ in 0..MAX_LINKS {
            let Ok(target) = std::fs::read_link(&link) else {
                break;
            };
            let entry = entry(&link)?;
            let Some(folder) = entry.parent() else { break };
            self.walk.folders.insert(folder.to_owned());
            self.walk.links.insert(entry.clone());
            self.watch_links_within(folder, &target);
            link = folder.join(target);
        }
        let real = link.canonicalize()?;
        if link != path {
            self.walk.folders.extend(real.parent().map(Path::to_owned));
        }
        Ok(real)
    }

    /// In `..data/app.yaml`, `..data` is a link too, and is what is replaced.
    fn watch_links_within(&mut self, folder: &Path, target: &Path) {
        let mut path = folder.to_owned();
        for part in target.parent().into_iter().flat_map(Path::components) {
            path.push(part);
            let Some(link) = path.is_symlink().then(|| entry(&path).ok()).flatten() else {
                continue;
            };
            self.walk.folders.extend(link.parent().map(Path::to_owned));
            self.walk.links.insert(link);
        }
    }

    /// What vanished while we looked is gone; a link without a target is as if it were not there.
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

/// The entries of a folder that are not hidden, in the order of their names.
fn entries(folder: &Path) -> std::io::Result<Vec<(PathBuf, FileType)>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !is_hidden(Path::new(&entry.file_name())) {
            entries.push((entry.path(), entry.file_type()?));
        }
    }
    entries.sort_by(|(left, _), (right, _)| left.file_name().cmp(&right.file_name()));
    Ok(entries)
}
