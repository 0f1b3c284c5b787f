//! One file: its documents as last read, and the objects kept from them while the file is broken.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use headgate_compile::{Finding, ObjectRef, Severity, SharedData, Subject};

use crate::document::{self, Chunk, Format, Outcome, Problem};
use crate::files::{Content, FileKey, Found};
use crate::index::{Definition, Index, Position};

/// Maximum of objects named in a finding; the rest is counted.
const MAX_NAMED: usize = 3;

/// The reason why a file without text that had objects is not used.
const EMPTY: &str = "is empty: to remove its objects, delete it";

/// A file as last read.
pub(crate) struct FileState {
    /// `None`: it was read once.
    found: Option<Found>,
    documents: Vec<Document>,
    /// Line and reason if it cannot be read; its documents are then the last readable ones.
    unusable: Option<(usize, String)>,
    /// All objects that it defines, including kept ones.
    objects: Vec<ObjectRef>,
}

/// A document as last read.
#[derive(Clone)]
struct Document {
    hash: u64,
    /// Line at which its text begins, from 1.
    line: usize,
    outcome: Arc<Outcome>,
    /// Its text is new in this version of the file.
    is_new: bool,
    /// Revision of the index at which it was new.
    since: u64,
    /// Objects that vanished from the file when this document broke and have not come back.
    kept: Kept,
}

/// Objects kept in service, as last read.
type Kept = Arc<BTreeMap<ObjectRef, Definition>>;

impl Document {
    fn is_broken(&self) -> bool {
        !self.outcome.problems.is_empty()
    }
}

impl FileState {
    /// The file with its current content; updates its definitions in the index.
    pub(crate) fn update(
        before: Option<Self>,
        found: Found,
        content: &Content,
        key: &Arc<FileKey>,
        index: &mut Index,
        (hasher, shared): (&RandomState, &mut SharedData),
    ) -> Self {
        let (known, objects) = before
            .map(|before| (before.documents, before.objects))
            .unwrap_or_default();
        let is_emptied = !objects.is_empty();
        let old: HashMap<_, _> = index.remove(key, &objects).into_iter().collect();
        let (documents, unusable) = match content {
            // A program that writes in place empties the file first; one that fails then leaves it empty.
            Content::Text(text) if is_emptied && text.trim().is_empty() => {
                (known, Some((1, EMPTY.to_owned())))
            }
            Content::Text(text) => {
                let new = NewDocuments {
                    format: key.format(),
                    hasher,
                    shared,
                    since: index.revision(),
                };
                (read_documents(known, text, new), None)
            }
            Content::Unusable(line, reason) => (known, Some((*line, reason.clone()))),
            Content::Gone => (Vec::new(), None),
        };
        let mut file = Self {
            found: Some(found),
            documents,
            unusable,
            objects: Vec::new(),
        };
        file.define(key, old, index);
        file
    }

    /// A file that is not read again: its documents, each with its line, or why it cannot be read. Adds its definitions to the
    /// index.
    pub(crate) fn read_once(
        key: &Arc<FileKey>,
        outcomes: Vec<(usize, Outcome)>,
        unusable: Option<(usize, String)>,
        index: &mut Index,
    ) -> Self {
        let documents = outcomes.into_iter().map(|(line, outcome)| Document {
            hash: 0,
            line,
            outcome: Arc::new(outcome),
            is_new: true,
            since: index.revision(),
            kept: Kept::default(),
        });
        let mut file = Self {
            found: None,
            documents: documents.collect(),
            unusable,
            objects: Vec::new(),
        };
        file.define(key, HashMap::new(), index);
        file
    }

    pub(crate) fn found(&self) -> Option<&Found> {
        self.found.as_ref()
    }

    pub(crate) fn objects(&self) -> &[ObjectRef] {
        &self.objects
    }

    pub(crate) fn findings(&self, key: &FileKey) -> Vec<Finding> {
        if let Some((line, reason)) = &self.unusable {
            let message = format!("{reason}{}", kept_objects(self.objects.iter()));
            return vec![finding(key, (1, *line), "", &message)];
        }
        let numbered = self.documents.iter().zip(1..);
        numbered
            .flat_map(|(document, number)| document.findings(key, number))
            .collect()
    }

    fn define(
        &mut self,
        key: &Arc<FileKey>,
        mut old: HashMap<ObjectRef, Definition>,
        index: &mut Index,
    ) {
        let revision = index.revision();
        for definition in old.values_mut() {
            definition.kept_since.get_or_insert(revision);
        }
        let mut objects = HashSet::new();
        if self.unusable.is_none() {
            objects = self.define_current(key, index);
            old.retain(|object, _| !objects.contains(object));
            old = self.keep(old, &objects);
        }
        objects.extend(old.keys().cloned());
        self.objects = objects.into_iter().collect();
        for (object, definition) in old {
            index.add(object, definition);
        }
    }

    fn define_current(&self, key: &Arc<FileKey>, index: &mut Index) -> HashSet<ObjectRef> {
        let mut objects = HashSet::new();
        for (document, number) in self.documents.iter().zip(1..) {
            for item in &document.outcome.objects {
                let object = item.reference.clone();
                let position = Position {
                    document: number,
                    indices: item.indices.clone(),
                    line: document.line,
                };
                let file = Arc::clone(key);
                let definition = Definition {
                    since: document.since,
                    kept_since: None,
                    file,
                    position,
                    object: item.object.clone(),
                };
                index.add(object.clone(), definition);
                objects.insert(object);
            }
        }
        objects
    }

    /// Assigns vanished objects to the documents that broke by the same edit, and returns all kept ones. An object that came
    /// back is no longer kept: a later removal must be final.
    fn keep(
        &mut self,
        vanished: HashMap<ObjectRef, Definition>,
        current: &HashSet<ObjectRef>,
    ) -> HashMap<ObjectRef, Definition> {
        let mut all = HashMap::new();
        for document in self
            .documents
            .iter_mut()
            .filter(|document| !document.is_new)
        {
            if document.kept.keys().any(|object| current.contains(object)) {
                Arc::make_mut(&mut document.kept).retain(|object, _| !current.contains(object));
            }
            all.extend(
                document
                    .kept
                    .iter()
                    .map(|(object, definition)| (object.clone(), definition.clone())),
            );
        }
        let vanished: BTreeMap<_, _> = vanished
            .into_iter()
            .filter(|(object, _)| !all.contains_key(object))
            .collect();
        let vanished = Kept::new(vanished);
        for document in self
            .documents
            .iter_mut()
            .filter(|document| document.is_new && document.is_broken())
        {
            document.kept = Arc::clone(&vanished);
            all.extend(
                vanished
                    .iter()
                    .map(|(object, definition)| (object.clone(), definition.clone())),
            );
        }
        all
    }
}

impl Document {
    fn findings(&self, key: &FileKey, number: usize) -> Vec<Finding> {
        let kept = kept_objects(self.kept.keys());
        let finding = |problem: &Problem, severity, message: &str| {
            let position = (number, self.line + problem.line);
            Finding {
                severity,
                ..finding(key, position, &problem.field, message)
            }
        };
        let problems = self.outcome.problems.iter().map(|problem| {
            let message = format!("{}{kept}", problem.message);
            finding(problem, Severity::Error, &message)
        });
        let notices = self.outcome.notices.iter();
        let notices = notices.map(|notice| finding(notice, Severity::Warning, &notice.message));
        problems.chain(notices).collect()
    }
}

/// How new documents are read.
struct NewDocuments<'a> {
    format: Format,
    hasher: &'a RandomState,
    shared: &'a mut SharedData,
    /// Revision of the index.
    since: u64,
}

/// The documents of a text; known ones are not parsed again.
fn read_documents(known: Vec<Document>, text: &str, new: NewDocuments<'_>) -> Vec<Document> {
    let known: HashMap<_, _> = known
        .into_iter()
        .map(|document| (document.hash, document))
        .collect();
    // One for all: nearly every document keeps nothing.
    let none = Kept::default();
    let document = |chunk: Chunk<'_>| {
        let hash = new.hasher.hash_one(chunk.text);
        let line = chunk.line;
        match known.get(&hash) {
            Some(known) => Document {
                line,
                is_new: false,
                ..known.clone()
            },
            None => {
                let mut outcome = document::parse(chunk.text, new.format);
                for item in &mut outcome.objects {
                    new.shared.share(&mut item.object);
                }
                Document {
                    hash,
                    line,
                    outcome: Arc::new(outcome),
                    is_new: true,
                    since: new.since,
                    kept: none.clone(),
                }
            }
        }
    };
    document::split(text, new.format)
        .into_iter()
        .map(document)
        .collect()
}

fn finding(key: &FileKey, (document, line): (usize, usize), field: &str, message: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        subject: Subject::Document {
            file: key.display(),
            document,
            line,
        },
        field: field.into(),
        message: message.into(),
    }
}

/// Names the objects that stay in service although their text is gone, for the end of a message.
fn kept_objects<'a>(mut objects: impl ExactSizeIterator<Item = &'a ObjectRef>) -> String {
    let count = objects.len();
    if count == 0 {
        return String::new();
    }
    let names: Vec<_> = objects
        .by_ref()
        .take(MAX_NAMED)
        .map(ToString::to_string)
        .collect();
    let more = if count > MAX_NAMED {
        format!(" and {} more", count - MAX_NAMED)
    } else {
        String::new()
    };
    format!(
        "; until this is fixed, these stay in service as last read: {}{more}",
        names.join(", ")
    )
}
