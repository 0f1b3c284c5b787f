//! Which document defines which object, and what is served of it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use headgate_compile::{Change, Finding, Object, ObjectRef, Severity, Subject};

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
    objects: HashMap<ObjectRef, Entry>,
    /// Objects whose definitions changed since the changes were last taken.
    touched: HashSet<ObjectRef>,
    /// Objects with several definitions.
    repeated: BTreeSet<ObjectRef>,
}

#[derive(Default)]
struct Entry {
    definitions: Vec<Definition>,
    served: Option<Object>,
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
            let Some(entry) = self.objects.get_mut(object) else {
                continue;
            };
            self.touched.insert(object.clone());
            removed.extend(
                entry
                    .definitions
                    .extract_if(.., |known| *known.file == *file)
                    .map(|old| (object.clone(), old)),
            );
        }
        removed
    }

    /// Adds a definition.
    pub(crate) fn add(&mut self, object: ObjectRef, definition: Definition) {
        let definitions = &mut self.objects.entry(object.clone()).or_default().definitions;
        // One definition is what there is, and room for four adds up.
        definitions.reserve_exact(1);
        definitions.push(definition);
        self.touched.insert(object);
    }

    /// What changed in what is served, since this was last called.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        let touched = std::mem::take(&mut self.touched);
        let mut changes: Vec<_> = touched
            .into_iter()
            .filter_map(|object| Some((object.clone(), self.settle(object)?)))
            .collect();
        changes.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        changes.into_iter().map(|(_, change)| change).collect()
    }

    /// A warning for every definition that another one overrides.
    pub(crate) fn findings(&self) -> impl Iterator<Item = Finding> {
        self.repeated.iter().flat_map(|object| {
            let fresh = self.objects.get(object).into_iter().flat_map(Entry::fresh);
            let winner = self.objects.get(object).and_then(Entry::winner);
            fresh.filter_map(move |lost| {
                let winner = winner.filter(|winner| winner.precedence() != lost.precedence())?;
                Some(overridden(object, lost, winner))
            })
        })
    }

    fn settle(&mut self, object: ObjectRef) -> Option<Change> {
        let entry = self.objects.get_mut(&object)?;
        if entry.fresh().count() > 1 {
            self.repeated.insert(object.clone());
        } else {
            self.repeated.remove(&object);
        }
        let Some(winner) = entry.winner().map(|winner| winner.object.clone()) else {
            let was_served = self.objects.remove(&object)?.served.is_some();
            return was_served.then_some(Change::Delete(object));
        };
        let before = entry.served.replace(winner.clone());
        if before.is_some_and(|before| before == winner) {
            return None;
        }
        Some(Change::Apply(winner))
    }
}

impl Entry {
    fn winner(&self) -> Option<&Definition> {
        self.definitions
            .iter()
            .max_by_key(|definition| definition.precedence())
    }

    fn fresh(&self) -> impl Iterator<Item = &Definition> {
        self.definitions
            .iter()
            .filter(|definition| definition.fresh)
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
