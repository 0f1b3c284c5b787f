//! Which document of which file defines which object. What is served of it, the snapshot knows.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use headgate_compile::{Finding, Object, ObjectRef, Severity, Subject};

use crate::files::FileKey;

/// An object as one document of one file has it.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    /// It stands in the file now; otherwise it did, before the file broke.
    pub(crate) fresh: bool,
    /// The file.
    pub(crate) file: Arc<FileKey>,
    /// Where in it.
    pub(crate) place: Place,
    /// The object.
    pub(crate) object: Object,
}

/// Where in a file a definition stands; later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Number of the document, from 1.
    pub(crate) document: usize,
    /// Index in its list.
    pub(crate) index: Option<usize>,
    /// Line at which the document begins, from 1.
    pub(crate) line: usize,
}

impl Definition {
    /// What stands in a file wins over what stood there once, and then the last one wins.
    fn precedence(&self) -> (bool, &FileKey, Place) {
        (self.fresh, &self.file, self.place)
    }
}

/// All definitions of all files.
#[derive(Default)]
pub(crate) struct Index {
    definitions: HashMap<ObjectRef, Vec<Definition>>,
    /// Objects whose definitions were read again, which says nothing about whether they differ.
    read: HashSet<ObjectRef>,
    /// Objects with several definitions.
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

    /// Adds a definition.
    pub(crate) fn add(&mut self, object: ObjectRef, definition: Definition) {
        let definitions = self.definitions.entry(object.clone()).or_default();
        // One definition is what there is, and room for four adds up.
        definitions.reserve_exact(1);
        definitions.push(definition);
        self.read.insert(object);
    }

    /// The objects whose definitions were read since this was last called, as they are defined now; `None`: no longer.
    pub(crate) fn take_read(&mut self) -> Vec<(ObjectRef, Option<Object>)> {
        let read = std::mem::take(&mut self.read);
        let defined = read.into_iter().map(|object| {
            let defined = self.settle(&object);
            (object, defined)
        });
        defined.collect()
    }

    /// A warning for every definition that another one overrides.
    pub(crate) fn findings(&self) -> impl Iterator<Item = Finding> {
        self.repeated.iter().flat_map(|object| {
            let definitions = self.definitions.get(object).into_iter().flatten();
            let winner = definitions.clone().max_by_key(|one| one.precedence());
            let fresh = definitions.filter(|one| one.fresh);
            fresh.filter_map(move |lost| {
                let winner = winner.filter(|winner| winner.precedence() != lost.precedence())?;
                Some(overridden(object, lost, winner))
            })
        })
    }

    fn settle(&mut self, object: &ObjectRef) -> Option<Object> {
        let definitions = self.definitions.get(object)?;
        if definitions.iter().filter(|one| one.fresh).count() > 1 {
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
        "{object} is defined again at {}, which comes later and is what is served; this definition is ignored",
        described(winner)
    );
    let Place { document, line, .. } = lost.place;
    Finding {
        severity: Severity::Warning,
        subject: Subject::Document {
            file: lost.file.display(),
            document,
            line,
        },
        field: lost
            .place
            .index
            .map_or_else(|| "".into(), |index| format!("items[{index}]").into()),
        message: message.into(),
    }
}

fn described(definition: &Definition) -> String {
    let Place {
        document,
        index,
        line,
    } = definition.place;
    let file = definition.file.display();
    let item = index
        .map(|index| format!(", items[{index}]"))
        .unwrap_or_default();
    format!("{file}:{line} (document {document}{item})")
}
