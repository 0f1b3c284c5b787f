//! The state of all files, updated file by file.

pub(crate) mod file;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::RandomState;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headgate_compile::{Finding, Object, ObjectRef, Severity, SharedData, Subject};

use crate::files::{self, Content, FileKey, Found, Root, Walk};
use crate::index::Index;
use crate::watch::{Hint, Watches};
use file::FileState;

/// Maximum of walks in a row because new directories were found; later ones are found by their events.
const MAX_WALKS: usize = 8;

/// The state of all files.
pub(crate) struct Store {
    roots: Vec<Root>,
    watches: Watches,
    files: BTreeMap<Arc<FileKey>, FileState>,
    by_real_path: HashMap<PathBuf, Arc<FileKey>>,
    /// Links on the way to files and directories.
    links: HashSet<PathBuf>,
    index: Index,
    /// Findings about paths rather than documents.
    path_findings: Vec<Finding>,
    /// All findings as of the last refresh.
    findings: Vec<Finding>,
    hasher: RandomState,
    shared: SharedData,
}

/// What to do about a file.
enum Step {
    Read(Arc<FileKey>, Found),
    Remove(Arc<FileKey>),
    Nothing,
}

/// Result of a refresh.
#[derive(Debug, Default)]
pub(crate) struct Refreshed {
    /// Objects of files that were read, as defined now; `None`: deleted.
    pub(crate) objects: Vec<(ObjectRef, Option<Object>)>,
    pub(crate) findings_changed: bool,
}

impl Store {
    pub(crate) fn new(roots: Vec<Root>, watches: Watches) -> Self {
        Self {
            roots,
            watches,
            files: BTreeMap::new(),
            by_real_path: HashMap::new(),
            links: HashSet::new(),
            index: Index::default(),
            path_findings: Vec::new(),
            findings: Vec::new(),
            hasher: RandomState::new(),
            shared: SharedData::default(),
        }
    }

    /// Reads what may have changed.
    pub(crate) fn refresh(&mut self, hint: &Hint) -> Refreshed {
        match self.steps(hint) {
            Some(steps) => steps.into_iter().for_each(|step| self.apply(step)),
            None => self.refresh_all(hint),
        }
        let objects = self.index.take_read();
        let findings = self.current_findings();
        let findings_changed = findings != self.findings;
        self.findings = findings;
        Refreshed {
            objects,
            findings_changed,
        }
    }

    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether the file system reports changes as events.
    pub(crate) fn has_events(&self) -> bool {
        self.watches.has_events()
    }

    /// The steps for a hint that names only known manifests and files that are not manifests: they need no walk, however
    /// many files there are. `None`: a walk is needed.
    fn steps(&self, hint: &Hint) -> Option<Vec<Step>> {
        if hint.all {
            return None;
        }
        let paths = hint.paths.iter();
        let complete = paths.filter(|path| !hint.unclosed.contains(*path));
        complete.map(|path| self.step(path)).collect()
    }

    fn step(&self, path: &Path) -> Option<Step> {
        let needs_walk = self.links.contains(path) || self.watches.is_watched(path);
        if needs_walk || self.roots.iter().any(|root| root.entry == *path) {
            return None;
        }
        let key = self.by_real_path.get(path).cloned();
        match (std::fs::symlink_metadata(path), key) {
            (Ok(metadata), _) if !metadata.is_file() => None,
            (Ok(_), Some(key)) => Some(Step::Read(key, files::stat(path)?)),
            (Ok(_), None) if files::is_visible_manifest(path) => None,
            (Err(error), Some(key)) if error.kind() == ErrorKind::NotFound => {
                Some(Step::Remove(key))
            }
            (Err(_), Some(_)) => None,
            (_, None) => Some(Step::Nothing),
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Read(key, found) => self.read(key, found),
            Step::Remove(key) => self.remove(&key),
            Step::Nothing => {}
        }
    }

    fn refresh_all(&mut self, hint: &Hint) {
        self.watches.forget(hint);
        let walk = self.walk();
        self.path_findings = walk.problems.iter().map(path_finding).collect();
        self.remove_missing(&walk);
        self.links = walk.links;
        for (key, found) in walk.files {
            let key = Arc::new(key);
            let changed = self
                .files
                .get(&key)
                .is_none_or(|known| known.found() != Some(&found));
            let is_complete = !hint.unclosed.contains(&found.real_path);
            if is_complete && (changed || hint.paths.contains(&found.real_path)) {
                self.read(key, found);
            }
        }
    }

    /// Walks the directories, and again while there are new ones: files created in a directory before it was watched cause
    /// no event.
    fn walk(&mut self) -> Walk {
        let mut walk = files::walk(&self.roots);
        for _ in 0..MAX_WALKS {
            let entries: Vec<_> = self.roots.iter().map(|root| root.entry.clone()).collect();
            if !self.watches.watch(&entries, &walk.directories) {
                break;
            }
            walk = files::walk(&self.roots);
        }
        walk
    }

    fn remove_missing(&mut self, walk: &Walk) {
        let kept = |key: &FileKey| {
            let above = |problem: &&files::Problem| {
                problem.root == key.root && key.path.starts_with(&problem.path)
            };
            walk.files.contains_key(key)
                || walk
                    .problems
                    .iter()
                    .filter(above)
                    .any(|problem| problem.keep)
        };
        let missing: Vec<_> = self
            .files
            .keys()
            .filter(|key| !kept(key))
            .cloned()
            .collect();
        missing.iter().for_each(|key| self.remove(key));
    }

    fn remove(&mut self, key: &Arc<FileKey>) {
        let Some(file) = self.files.remove(key) else {
            return;
        };
        self.forget(key, &file);
        self.index.remove(key, file.objects());
    }

    fn forget(&mut self, key: &Arc<FileKey>, file: &FileState) {
        if let Some(found) = file.found() {
            self.remove_real_path(key, &found.real_path);
        }
    }

    /// Removes the path unless it already leads to another file.
    fn remove_real_path(&mut self, key: &Arc<FileKey>, path: &Path) {
        if self.by_real_path.get(path) == Some(key) {
            self.by_real_path.remove(path);
        }
    }

    fn read(&mut self, key: Arc<FileKey>, found: Found) {
        let content = files::read(&found.real_path);
        if matches!(content, Content::Gone) {
            return self.remove(&key);
        }
        let before = self.files.remove(&key);
        if let Some(before) = &before {
            self.forget(&key, before);
        }
        self.by_real_path
            .insert(found.real_path.clone(), Arc::clone(&key));
        let file = FileState::update(
            before,
            found,
            &content,
            &key,
            &mut self.index,
            (&self.hasher, &mut self.shared),
        );
        self.files.insert(key, file);
    }

    fn current_findings(&self) -> Vec<Finding> {
        let of_files = self.files.iter().flat_map(|(key, file)| file.findings(key));
        let mut findings: Vec<_> = self
            .path_findings
            .iter()
            .cloned()
            .chain(of_files)
            .chain(self.index.findings())
            .collect();
        findings.sort_by(|left, right| {
            left.subject
                .cmp(&right.subject)
                .then_with(|| left.cmp(right))
        });
        findings.dedup();
        findings
    }
}

/// The finding about a path that cannot be read.
pub(crate) fn path_finding(problem: &files::Problem) -> Finding {
    let consequence = if problem.keep {
        "; its objects stay in service as last read"
    } else {
        ""
    };
    Finding {
        severity: if problem.keep {
            Severity::Error
        } else {
            Severity::Warning
        },
        subject: Subject::Document {
            file: problem.path.to_string_lossy().into(),
            document: 1,
            line: 1,
        },
        field: "".into(),
        message: format!("{}{consequence}", problem.message).into(),
    }
}
