//! Kubernetes objects from files and directories, watched for changes: the source behind `headgate serve`.
//!
//! [`Source`] reads manifests as `kubectl apply -f` would (YAML and JSON, several documents in a file, lists) into a
//! [`Snapshot`](headgate_compile::Snapshot), as a watch of an API server does. It is not an API server: it defaults the
//! namespace and checks names and types, and leaves every decision about what an object means to compiling.
//!
//! Guarantees:
//! - One broken document affects no other. It becomes a finding with file, document number and line.
//! - **Objects stay in service while their text is broken.** When an edit breaks a document, every object that vanishes
//!   from the file by that same edit stays in service as last read, until the document parses again or is removed. The
//!   finding names these objects. If another file defines such an object, a later edit there is served. The same
//!   holds for a file or directory that can no longer be read, and for a file that becomes empty. A removed document or file
//!   removes its objects.
//! - **No half of a file is served.** A file that is written in place is read when its writer closes it, or has written
//!   nothing for 10 s. Where files are polled there are no such events: replace them by renaming there.
//! - An object defined twice is served as defined last: paths in the order given, files of a directory in the order of
//!   their names, documents from top to bottom. A finding names both definitions.
//! - Only changed documents are parsed again, and only objects that differ are reported.
//! - A field that an object's type does not have is a finding; annotations in a wrong place of an Ingress keep that version of
//!   it out of service, because they may be what protects it.
//! - No file content causes a panic; sizes, nesting and aliases are bounded.

mod document;
mod error;
mod files;
mod index;
mod once;
mod source;
mod store;
mod watch;

pub use error::SourceError;
pub use once::{Contents, read};
pub use source::{Source, SourceOptions};
