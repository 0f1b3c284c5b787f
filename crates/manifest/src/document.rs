//! From the text of a file to objects: splits it into documents, parses them, and reads each as one of the supported
//! kinds. Pure.

mod kind;
mod locate;
mod object;
mod parse;
mod path;
mod split;
mod strings;
#[cfg(test)]
mod tests;
mod unknown;

use headgate_compile::{Object, ObjectRef, Workload};

pub(crate) use parse::{parse, parse_with_workloads};
pub(crate) use split::{Chunk, split};

/// Format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// YAML, of which JSON is nearly a subset. Documents are separated by `---`.
    Yaml,
    /// JSON values one after the other.
    Json,
}

/// The parsed content of a document. Lines count from the first line of its text, from 0, so that a document which only
/// moved within its file need not be parsed again.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Its objects, in order.
    pub(crate) objects: Vec<Item>,
    pub(crate) problems: Vec<Problem>,
    /// What is ignored in objects that are read nevertheless.
    pub(crate) notices: Vec<Problem>,
    /// Workloads of ingress-nginx, if these are wanted.
    pub(crate) workloads: Vec<Workload>,
}

/// An object of a document.
#[derive(Debug)]
pub(crate) struct Item {
    /// Its index in the document's list, and in lists within it, outermost first; empty: the document is the object.
    pub(crate) indices: Box<[usize]>,
    pub(crate) reference: ObjectRef,
    pub(crate) object: Object,
}

/// An error in a document, or something in it that is ignored.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Line, from 0, counted from the document's first.
    pub(crate) line: usize,
    /// The field, e.g. `metadata.annotations["example.com/a"]`; empty: the whole document.
    pub(crate) field: String,
    /// What is wrong, and what would be right.
    pub(crate) message: String,
}
