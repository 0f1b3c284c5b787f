//! Findings: problems and notes about an object, for its author.

use std::fmt;
use std::sync::Arc;

use crate::ObjectRef;

/// In messages about a Service without ready endpoints.
pub(crate) const NO_READY_ENDPOINT: &str = " has no ready endpoint for ";
/// Begins messages about a Service that does not exist.
pub(crate) const NO_SERVICE: &str = "there is no Service ";
/// In messages about the external name of a Service.
pub(crate) const UNRESOLVED: &str = " does not resolve";

/// A problem with an object or a document. Logged when it appears and when it is resolved, shown by the admin port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Finding {
    /// Error, warning or information.
    pub severity: Severity,
    /// The object or document.
    pub subject: Subject,
    /// The field, annotation or key, e.g. `spec.rules[0].host`; empty if it is about the whole subject.
    pub field: Arc<str>,
    /// What is wrong, with the value, what happens now, and what would be right.
    pub message: Arc<str>,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not work as configured: a route is closed, missing, or would be unprotected if served.
    Error,
    /// Served, but not all of its configuration takes effect.
    Warning,
    /// Worth knowing.
    Info,
}

/// The subject of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A Kubernetes object.
    Object(ObjectRef),
    /// A document of a file that is not a usable object.
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

impl Finding {
    /// Whether it says that a backend has no endpoint: none is ready, or its external name does not resolve.
    pub fn lacks_endpoints(&self) -> bool {
        self.lacks_ready_endpoint() || self.message.contains(UNRESOLVED)
    }

    /// Whether it says that a Service has no ready endpoint.
    pub fn lacks_ready_endpoint(&self) -> bool {
        self.message.contains(NO_READY_ENDPOINT)
    }

    /// Whether it says that the Service of a backend does not exist.
    pub fn lacks_service(&self) -> bool {
        self.message.starts_with(NO_SERVICE)
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
