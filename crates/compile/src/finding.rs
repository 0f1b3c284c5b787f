//! Findings: what is wrong or noteworthy about an object, for the person who wrote it.

use std::fmt;
use std::sync::Arc;

use crate::ObjectRef;

/// A problem with an object or a document. Logged when it appears and when it goes, shown by the admin port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// The field, annotation or key, e.g. `spec.rules[0].host`; empty when the whole subject is meant.
    pub field: Arc<str>,
    /// What is wrong, with the value, and what would be right.
    pub message: Arc<str>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not work as its author meant: a route is closed, missing or unprotected-if-it-were-served.
    Error,
    /// Served, but not all of its configuration takes effect.
    Warning,
    /// Worth knowing.
    Info,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A Kubernetes object.
    Object(ObjectRef),
    /// A document of a file that is no usable object.
    Document {
        /// The file.
        file: Arc<str>,
        /// Number of the document in it, from 1.
        document: usize,
        /// Line in the file, from 1.
        line: usize,
    },
}

impl Severity {
    /// `error`, `warning` or `info`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => object.fmt(f),
            Self::Document {
                file,
                document,
                line,
            } => write!(f, "{file}:{line} (document {document})"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.severity.as_str(), self.subject)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}
