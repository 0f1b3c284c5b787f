//! Index of objects: which documents of which files define them. What of it is served is in the snapshot.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use headgate_compile::{Finding, Object, ObjectRef, Severity, Subject};

use crate::files::FileKey;

/// One definition of an object.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    /// Revision of the index at which its text was new.
    pub(crate) since: u64,
    /// Revision at which the file broke, if the definition is kept from before. `None`: the file defines the object now.
    pub(crate) kept_since: Option<u64>,
    pub(crate) file: Arc<FileKey>,
    pub(crate) position: Position,
    pub(crate) object: Object,
}

/// Position of a definition in its file; a later one is greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Number of the document, from 1.
    pub(crate) document: usize,
    /// Indices in the document's list and in lists within it, outermost first.
    pub(crate) indices: Box<[usize]>,
    /// Line at which the document begins, from 1.
    pub(crate) line: usize,
}

impl Definition {
    pub(crate) fn is_current(&self) -> bool {
        self.kept_since.is_none()
    }

    /// A later definition is greater.
    fn order(&self) -> (&FileKey, &Position) {
        (&self.file, &self.position)
    }
}

impl Position {
    /// Path of the definition in its document; empty: the document itself.
    fn path(&self) -> String {
        let items = self.indices.iter().map(|index| format!("items[{index}]"));
        items.collect::<Vec<_>>().join(".")
    }
}

/// The definitions of all files.
#[derive(Default)]
pub(crate) struct Index {
    definitions: HashMap<ObjectRef, Vec<Definition>>,
    /// Objects whose definitions were read again, changed or not.
    read: HashSet<ObjectRef>,
    /// Objects with several current definitions.
    repeated: BTreeSet<ObjectRef>,
    /// Number of calls of `take_read`.
    revision: u64,
}

impl Index {
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Removes a file's definitions of the objects and returns them.
    pub(crate) fn remove(
        &mut self,
        file: &FileKey,
        objects: &[ObjectRef],
    ) -> Vec<(ObjectRef, Definition)> {
        let mut removed = Vec::with_capacity(objects.len());
        for object in objects {
            let Some(definitions) = self.definitions.get_mut(object) else {
                continue;
            };
            self.read.insert(object.clone());
            removed.extend(
                definitions
                    .extract_if(.., |known| *known.file == *file)
                    .map(|old| (object.clone(), old)),
            );
        }
        removed
    }

    pub(crate) fn add(&mut self, object: ObjectRef, definition: Definition) {
        // Nearly every object has one definition; the default capacity of four would waste memory.
        let one = || Vec::with_capacity(1);
        let definitions = self.definitions.entry(object.clone()).or_insert_with(one);
        definitions.push(definition);
        self.read.insert(object);
    }

    /// The objects whose definitions were read since the last call, as defined now; `None`: deleted.
    pub(crate) fn take_read(&mut self) -> Vec<(ObjectRef, Option<Object>)> {
        self.revision += 1;
        let read = std::mem::take(&mut self.read);
        let defined = read.into_iter().map(|object| {
            let defined = self.settle(&object);
            (object, defined)
        });
        defined.collect()
    }

    /// A warning for every current definition that another one overrides.
    pub(crate) fn findings(&self) -> impl Iterator<Item = Finding> {
        self.repeated.iter().flat_map(|object| {
            let definitions = self.definitions.get(object).map_or(&[][..], Vec::as_slice);
            let winner = winner(definitions);
            let current = definitions.iter().filter(|one| one.is_current());
            current.filter_map(move |lost| {
                let winner = winner.filter(|winner| winner.order() != lost.order())?;
                Some(overridden(object, lost, winner))
            })
        })
    }

    /// The object as defined now, after its definitions changed.
    fn settle(&mut self, object: &ObjectRef) -> Option<Object> {
        let definitions = self.definitions.get(object)?;
        if definitions.iter().filter(|one| one.is_current()).count() > 1 {
            self.repeated.insert(object.clone());
        } else {
            self.repeated.remove(object);
        }
        let winner = winner(definitions).map(|winner| winner.object.clone());
        if winner.is_none() {
            self.definitions.remove(object);
        }
        winner
    }
}

/// The definition that is served: the last one. A kept one no longer counts once another is written after its file broke:
/// the object may have moved there.
fn winner(definitions: &[Definition]) -> Option<&Definition> {
    let current = definitions.iter().filter(|one| one.is_current());
    let newest = current.map(|one| one.since).max();
    let candidates = definitions
        .iter()
        .filter(|one| one.kept_since.is_none_or(|kept| newest < Some(kept)));
    candidates.max_by_key(|one| one.order())
}

fn overridden(object: &ObjectRef, lost: &Definition, winner: &Definition) -> Finding {
    let message = format!(
        "{object} is defined again at {}, which comes later and is served; this definition is ignored",
        location(winner)
    );
    Finding {
        severity: Severity::Warning,
        subject: Subject::Document {
            file: lost.file.display(),
            document: lost.position.document,
            line: lost.position.line,
        },
        field: lost.position.path().into(),
        message: message.into(),
    }
}

fn location(definition: &Definition) -> String {
    let Position { document, line, .. } = definition.position;
    let file = definition.file.display();
    let path = match definition.position.path() {
        path if path.is_empty() => path,
        path => format!(", {path}"),
    };
    format!("{file}:{line} (document {document}{path})")
}
