//! The semantics of ingress-nginx: which Ingresses are served, the meaning of their rules and annotations and of the ConfigMap,
//! and how the Ingresses of one host are merged.

mod admission;
pub(crate) mod age;
pub mod annotations;
pub(crate) mod ciphers;
pub(crate) mod class;
pub(crate) mod closed;
mod compiler;
mod expressions;
mod external_names;
pub(crate) mod family;
pub(crate) mod host;
mod inspect;
pub(crate) mod parsed;
pub(crate) mod policy;
mod references;
pub(crate) mod registry;
pub(crate) mod serving;
pub mod settings;
pub(crate) mod snippet;
pub(crate) mod streams;
pub(crate) mod subject;
pub(crate) mod upstream;
mod verdicts;

pub(crate) use admission::review;
pub use class::unserved;
pub use compiler::IngressStatus;
pub(crate) use compiler::{Pass, State};
pub use external_names::unresolved_names;
pub use references::references;
pub use registry::{Judgement, Verdict};
pub use streams::StreamEntry;
pub use verdicts::{AnnotationJudge, SettingVerdicts, setting_verdict, setting_verdicts};
