//! Everything that is ingress-nginx's way: which Ingresses are served, what their rules, annotations and the ConfigMap's
//! settings mean, and what several Ingresses of one host mean together.

mod admission;
pub(crate) mod age;
pub mod annotations;
pub(crate) mod class;
pub(crate) mod closed;
mod compiler;
pub(crate) mod family;
pub(crate) mod host;
mod inspect;
pub(crate) mod parsed;
pub(crate) mod policy;
mod references;
mod registry;
pub(crate) mod serving;
pub mod settings;
pub(crate) mod upstream;

pub use admission::{Review, review};
pub use compiler::{Compiled, IngressStatus, compile};
pub use references::references;
