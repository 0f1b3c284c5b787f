//! Index of objects: which documents of which files define them. What of it is served is in the snapshot.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use headgate_compile::{Finding, Object, ObjectRef, Severity, Subject};

use crate::files::FileKey;

/// One definition of an object.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    /// Whether the file defines it now; if not, it is kept from before the file broke.
    pub(crate) is_current: bool,
    pub(crate) file: Arc<FileKey>,
    pub(crate) position: Position,
    pub(crate) object: Object,
}

/// Position of a definition in its file; a later one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Number of the document, from 1.
    pub(crate) document: usize,
    /// Index in the document's list.
    pub(crate) index: Option<usize>,
    /// Line at which the document begins, from 1.
    pub(crate) line: usize,
}

impl Definition {
    /// Current definitions override kept ones; among equals the last one wins.
    fn precedence(&self) -> (bool, &FileKey, Position) {
        (self.is_current, &self.file, self.position)
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
}

impl Index {
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
        let definitions = self.definitions.entry(object.clone()).or_default();
        // Nearly every object has one definition; the default capacity of four would waste memory.
        definitions.reserve_exact(1);
        definitions.push(definition);
        self.read.insert(object);
    }

    /// The objects whose definitions were read since the last call, as defined now; `None`: deleted.
    pub(crate) fn take_read(&mut self) -> Vec<(ObjectRef, Option<Object>)> {
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
            let definitions = self.definitions.get(object).into_iter().flatten();
            let winner = definitions.clone().max_by_key(|one| one.precedence());
            let current = definitions.filter(|one| one.is_current);
            current.filter_map(move |lost| {
                let winner = winner.filter(|winner| winner.precedence() != lost.precedence())?;
                Some(overridden(object, lost, winner))
            })
        })
    }

    /// The object as defined now, after its definitions changed.
    fn settle(&mut self, object: &ObjectRef) -> Option<Object> {
        let definitions = self.definitions.get(object)?;
        if definitions.iter().filter(|one| one.is_current).count() > 1 {
            self.repeated.insert(object.clone());
        } else {
            self.repeated.remove(object);
        }
        let winner = definitions.iter().max_by_key(|one| one.precedence());
        let winner = winner.map(|winner| winner.object.clone());
        if winner.is_none() {
            self.definitions.remove(object);
        }
        winner
    }
}

fn overridden(object: &ObjectRef, lost: &Definition, winner: &Definition) -> Finding {
    let message = format!(
        "{object} is defined again at {}, which comes later and is served; this definition is ignored",
        location(winner)
    );
    let Position { document, line, .. } = lost.position;
    Finding {
        severity: Severity::Warning,
        subject: Subject::Document {
            file: lost.file.display(),
            document,
            line,
        },
        field: lost
            .position
            .index
            .map_or_else(|| "".into(), |index| format!("items[{index}]").into()),
        message: message.into(),
    }
}

fn location(definition: &Definition) -> String {
    let Position {
        document,
        index,
        line,
    } = definition.position;
    let file = definition.file.display();
    let item = index
        .map(|index| format!(", items[{index}]"))
        .unwrap_or_default();
    format!("{file}:{line} (document {document}{item})")
}
