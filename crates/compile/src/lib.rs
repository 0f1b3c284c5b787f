//! From Kubernetes objects to a routing table, findings and statuses.
//!
//! [`compile`] is pure and total: the same snapshot gives the same table, nothing in an object can make it fail, and what
//! cannot be served is a [`Finding`]. It knows Kubernetes *types*, and no API client, clock, file or socket. Certificates
//! and keys are parsed and checked here, because a broken one is a finding; they are used only by the data plane.

mod admission;
mod age;
pub mod annotations;
mod certificate;
mod certificates;
mod class;
mod compiler;
mod finding;
mod findings;
mod host;
mod ingress;
mod inspect;
mod interned;
mod objects;
mod options;
mod policy;
mod references;
mod serving;
pub mod settings;
mod snapshot;
mod sorted;
mod upstream;

pub use admission::{Review, review};
pub use certificate::{CertificateError, from_pem as certificate_from_pem};
pub use compiler::{Compiled, IngressStatus, compile};
pub use finding::{Finding, Severity, Subject};
pub use objects::{
    ConfigMap, EndpointSlice, Endpoints, IngressClass, Namespace, Object, Secret, Service,
};
pub use options::{ClassSelection, Namespaces, Options};
pub use references::references;
pub use snapshot::{Change, Changes, Fact, Kind, Name, ObjectRef, Objects, Snapshot};
