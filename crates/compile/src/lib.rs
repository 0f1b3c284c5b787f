//! From Kubernetes objects to a routing table, findings and statuses.
//!
//! [`compile`] is pure and total: the same snapshot gives the same table, nothing in an object can make it fail, and what
//! cannot be served is a [`Finding`]. It knows Kubernetes *types*, and no API client, clock, file or socket. Certificates
//! and keys are parsed and checked here, because a broken one is a finding; they are used only by the data plane.

#![deny(clippy::disallowed_methods)] // no clock, no chance: see .clippy.toml

pub mod batch;
pub mod build;
mod finding;
mod findings;
mod ingress;
mod objects;
mod options;
mod snapshot;

pub use batch::{Batch, Origin};
pub use build::certificate::{CertificateError, from_pem as certificate_from_pem};
pub use build::{EndpointOptions, HttpListeners};
pub use finding::{Finding, Severity, Subject};
pub use ingress::{
    Compiled, IngressStatus, Review, annotations, compile, references, review, settings,
};
pub use objects::{
    ApiObject, ConfigMap, EndpointSlice, Endpoints, IngressClass, Kept, Kind, KindReader, Name,
    Namespace, Object, ObjectRef, Secret, Service,
};
pub use options::{ClassSelection, Namespaces, Options};
pub use snapshot::{Changes, Environment, Snapshot};
