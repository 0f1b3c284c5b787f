//! From the text of a file to objects: splitting into documents, parsing, and reading each as one of the known kinds.
//! All of it is pure.

mod kind;
mod locate;
mod object;
mod parse;
mod path;
mod split;
mod strings;
#[cfg(test)]
mod tests;

use headgate_compile::{Object, ObjectRef};

pub(crate) use parse::parse;
pub(crate) use split::{Chunk, split};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// YAML, of which JSON is nearly a subset. Documents are separated by `---`.
    Yaml,
    /// JSON values one after the other.
    Json,
}

/// What a document says. Lines count from the first line of its text, from 0, so that a document which only moved
/// within its file need not be parsed again.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Its objects, in order.
    pub(crate) objects: Vec<Item>,
    /// What is wrong with it.
    pub(crate) problems: Vec<Problem>,
}

/// An object of a document.
#[derive(Debug)]
pub(crate) struct Item {
    /// Its index in the document's list; `None`: the document is the object.
    pub(crate) index: Option<usize>,
    /// Its kind and name.
    pub(crate) reference: ObjectRef,
    /// The object.
    pub(crate) object: Object,
}

/// Something wrong in a document.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Line, from 0, counted from the document's first.
    pub(crate) line: usize,
    /// The field, e.g. `metadata.annotations["example.com/a"]`; empty: the whole document.
    pub(crate) field: String,
    /// What is wrong, and what would be right.
    pub(crate) message: String,
}
